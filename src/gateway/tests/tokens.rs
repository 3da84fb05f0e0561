//! Clients that need tokens: at their handshake, with each request, and until their tokens end.

mod asked;
mod named;

use std::cell::Cell;
use std::time::Duration;

use super::*;
use crate::authority::testing::{SECRET, token};
use crate::authority::{Keys, Tokens};
use crate::base::Ledger;
use crate::session::Wakeup;

thread_local! {
    /// Milliseconds after the beginning of 1970.
    static CLOCK: Cell<u64> = const { Cell::new(0) };
}

const START: u64 = 1_700_000_000;

fn clock() -> Duration {
    Duration::from_millis(CLOCK.get())
}

/// Two cores that verify tokens, without leeway, and API keys. `k` is a key of `robot`.
fn guarded<H: Handler>(app: impl Fn() -> H) -> [Core<H>; 2] {
    CLOCK.set(START * 1000);
    let k = "8254c329a92850f6d539dd376f4816ee2764517da5e0235514af433164480d7a";
    let line = format!("robot sha256={k} publish=t/{{sub}}");
    let keys = Keys::default().secret(SECRET).and_then(|keys| keys.api_keys(&line)).unwrap();
    let tokens = Tokens::new(keys).leeway(Duration::ZERO).with_cookie("session");
    let tokens = Arc::new(tokens);
    cores_with(app).map(|core| {
        let Core { gateway, publisher, flag, config } = core;
        let gateway = gateway.with_authority(Some(Arc::clone(&tokens) as _), clock);
        Core { gateway, publisher, flag, config }
    })
}

/// A token of a user, which ends after so many seconds.
fn of(user: &str, seconds: u64, publish: &str, subscribe: &str) -> String {
    let end = START + seconds;
    token(&format!(
        r#"{{"sub":"{user}","exp":{end},"publish":[{publish}],"subscribe":[{subscribe}]}}"#
    ))
}

fn header(token: &str) -> String {
    format!("Authorization: Bearer {token}\r\n")
}

fn status(answer: &str) -> &str {
    answer.split(' ').nth(1).unwrap_or_default()
}

/// The turns of a core at this many milliseconds after the start, until it may sleep.
fn turn_at<H: Handler>(core: &mut Core<H>, millis: u64) -> Vec<Call> {
    CLOCK.set(START * 1000 + millis);
    let (now, mut out) = (Millis(millis), Recorder::default());
    loop {
        core.gateway.start_turn(now, false);
        core.gateway.end_turn(now, 128, &mut out);
        core.gateway.take_work();
        if matches!(core.gateway.wakeup(), Wakeup::At(next) if next > now) {
            return out.calls;
        }
    }
}

const INVALID: &str = r#"Bearer error="invalid_token""#;

#[test]
fn a_token_may_come_in_each_place() {
    let [mut core, _] = guarded(|| Echo);
    let ann = of("ann", 100, "", "");
    for (target, further) in [
        ("/pubsub", header(&ann)),
        (&format!("/pubsub?access_token={ann}"), String::new()),
        ("/pubsub", format!("Sec-WebSocket-Protocol: bearer.{ann}\r\n")),
        ("/pubsub", format!("Cookie: session={ann}\r\n")),
        ("/pubsub", "X-API-Key: k\r\n".to_owned()),
    ] {
        let (client, answer) = Client::connect(&mut core, id(7), target, &further);
        assert_eq!(status(&answer), "101", "{target} {further}: {answer}");
        close(&mut core, client);
    }
    for (target, further, expected, challenge, part) in [
        ("/pubsub", String::new(), "401", "Bearer", "A token is needed"),
        ("/topics/t", String::new(), "401", "Bearer", "A token is needed"),
        ("/topics/t", header("x"), "401", INVALID, "not valid"),
        ("/pubsub", "X-API-Key: j\r\n".into(), "401", INVALID, "API key"),
        (
            "/pubsub?access_token=x",
            header(&ann),
            "400",
            "Bearer error=\"invalid_request\"",
            "several tokens",
        ),
        ("/pubsub", header(&of("a", 0, "", "")), "401", INVALID, "expired"),
    ] {
        let (_, answer) = Client::connect(&mut core, id(7), target, &further);
        assert_eq!(status(&answer), expected, "{answer}");
        let line = answer.lines().find_map(|line| line.strip_prefix("WWW-Authenticate: "));
        assert_eq!(line, Some(challenge), "{answer}");
        assert!(answer.contains(part), "{answer}");
    }
    // Without a token, nothing is said about the rest of the request. With one, it is judged.
    for (target, token, expected) in [
        ("/pubsub?x=1", "", "401"),
        ("/pubsub?x=1", &*header(&ann), "400"),
        ("/topics/%", &header(&ann), "400"),
    ] {
        assert_eq!(status(&Client::connect(&mut core, id(7), target, token).1), expected);
    }
    // Echo needs none.
    assert_eq!(status(&Client::connect(&mut core, id(7), "/", "").1), "101");
}

/// Browsers fail a connection if they have offered subprotocols and none is answered.
#[test]
fn the_subprotocol_with_the_token_is_answered_only_if_there_is_no_other() {
    let [mut core, _] = guarded(|| Echo);
    let ann = of("ann", 100, "\"t\"", "");
    let bearer = format!("bearer.{ann}");
    for (target, offered, expected) in [
        ("/pubsub", format!("corecast.v1.json, {bearer}"), Some("corecast.v1.json")),
        ("/pubsub", format!("{bearer}, corecast.v1.json"), Some("corecast.v1.json")),
        ("/pubsub", bearer.clone(), Some(&*bearer)),
        ("/topics/t?role=pub", format!("{bearer}, chat"), Some("chat")),
        ("/topics/t?role=pub", bearer.clone(), Some(&bearer)),
        ("/topics/t?role=pub", format!("{bearer}, corecast.v1.json"), None),
    ] {
        let further = format!("Sec-WebSocket-Protocol: {offered}\r\n");
        let (client, answer) = Client::connect(&mut core, id(7), target, &further);
        assert_eq!(status(&answer), "101", "{answer}");
        let mut lines = answer.lines();
        let found = lines.find_map(|line| line.strip_prefix("Sec-WebSocket-Protocol: "));
        assert_eq!(found, expected, "{target} {offered}");
        close(&mut core, client);
    }
    let further = format!("Sec-WebSocket-Protocol: {bearer}, mqtt\r\n");
    assert_eq!(status(&Client::connect(&mut core, id(7), "/pubsub", &further).1), "400");
}

#[test]
fn each_request_of_pubsub_needs_its_right() {
    let [mut core, mut other] = guarded(|| Echo);
    let ann = of("ann", 100, r#""news/{sub}","log/#""#, r#""news/#""#);
    let (mut client, _) = Client::connect(&mut core, id(7), "/pubsub", &header(&ann));
    for (request, expected) in [
        (r#"{"publish":"news/ann","data":1,"id":1}"#, r#"{"published":"news/ann","id":1}"#),
        (
            r#"{"publish":"news/bob","data":1,"id":2}"#,
            r#"{"error":"\"news/bob\": the token does not allow to publish to this","id":2}"#,
        ),
        (r#"{"publish":"log/a/b","data":1,"id":3}"#, r#"{"published":"log/a/b","id":3}"#),
        (
            r##"{"subscribe":["news/a","#"],"id":4}"##,
            r##"{"error":"\"#\": the token does not allow to subscribe to this","id":4}"##,
        ),
    ] {
        let (_, replies) = client.send(&mut core, &[request]);
        assert_eq!(replies, [expected], "{request}");
    }
    assert_eq!(core.gateway.broker().stats().subscriptions, 0);
    client.send(&mut core, &[r#"{"subscribe":["news/+/x","news/a"]}"#]);
    let calls = core.settle(&mut other);
    assert!(calls.contains(&answer(id(7), r#"{"subscribed":["news/+/x","news/a"]}"#)), "{calls:?}");
}

#[test]
fn a_client_of_one_topic_needs_the_right_for_its_role() {
    let [mut core, mut other] = guarded(|| Echo);
    let tokens =
        [of("a", 100, "\"t\"", ""), of("b", 100, "", "\"t\""), of("c", 100, "\"x\"", "\"x\"")];
    let [writer, reader, neither] = tokens.map(|token| header(&token));
    // A handshake that waits for its subscription is not refused.
    for (target, token, expected) in [
        ("/topics/t?role=pub", &writer, "101"),
        ("/topics/t?role=pub", &reader, "403"),
        ("/topics/t?role=sub", &writer, "403"),
        ("/topics/t?role=sub", &reader, ""),
        ("/topics/t", &writer, "403"),
        ("/topics/t", &reader, ""),
        ("/topics/t", &neither, "403"),
        ("/topics/t?role=pub", &neither, "403"),
    ] {
        let (client, answer) = Client::connect(&mut core, id(7), target, token);
        assert_eq!(status(&answer), expected, "{target} {answer}");
        let named = expected != "403" || answer.contains("insufficient_scope");
        assert!(named, "{answer}");
        close(&mut core, client);
        core.settle(&mut other);
    }
    // It may read, and is closed when it sends.
    let (mut client, _) = Client::connect(&mut core, id(7), "/topics/t", &reader);
    core.settle(&mut other);
    let mut out = Output::default();
    client.session.respond(Millis::default(), Ok(None), &mut client.pools, &mut out, |_| {});
    let mut bytes = Vec::new();
    masked(&mut bytes, "x");
    let (_, reply) = client.receive(&mut core, &mut bytes);
    assert_eq!(reply[2..4], CloseCode::POLICY_VIOLATION.value().to_be_bytes());
    assert!(reply.ends_with(b"not allowed to publish to this topic"));
    assert_eq!(core.published(), 0);
    let (mut client, _) = Client::connect(&mut core, id(8), "/topics/t?role=pub", &writer);
    client.send(&mut core, &["x"]);
    assert_eq!(core.published(), 1);
}

#[test]
fn another_token_takes_the_place_of_the_first() {
    let [mut core, mut other] = guarded(|| Echo);
    let first = of("ann", 100, "\"a\"", r#""a/#","b""#);
    let (mut client, _) = Client::connect(&mut core, id(7), "/pubsub", &header(&first));
    client.send(&mut core, &[r#"{"subscribe":["a/x","a/#","b"]}"#]);
    core.settle(&mut other);
    let mut ask = |core: &mut Core<Echo>, token: &str| {
        client.send(core, &[&format!(r#"{{"token":"{token}","id":1}}"#)]).1
    };
    let wrong = format!("{}A", &first[..first.len() - 1]);
    for (token, part) in [
        (of("bob", 200, "", ""), "another user"),
        (of("ann", 0, "", ""), "expired"),
        ("x".to_owned(), "not valid"),
        (wrong, "signature"),
        ("x".repeat(8193), "longer than 8 KiB"),
    ] {
        let replies = ask(&mut core, &token);
        assert!(replies[0].starts_with(r#"{"error":"#) && replies[0].contains(part), "{replies:?}");
        assert!(!replies[0].contains(&token), "{replies:?}");
    }
    assert_eq!(core.gateway.broker().stats().subscriptions, 3, "nothing has changed");
    // All rights stay: answered at once.
    let same = of("ann", 150, "\"c\"", r#""a/#","b""#);
    assert_eq!(ask(&mut core, &same), [r#"{"authorised":"ann","expires":150,"id":1}"#]);
    // Some are gone: those subscriptions end, and the answer follows their last messages.
    let less = of("ann", 200, "", r#""a/+""#);
    assert_eq!(ask(&mut core, &less), [""; 0]);
    let expected =
        answer(id(7), r#"{"authorised":"ann","expires":200,"unsubscribed":["a/#","b"],"id":1}"#);
    let calls = core.settle(&mut other);
    assert_eq!(calls, [expected, Call::SetReading(id(7), true)]);
    assert_eq!(core.gateway.broker().stats().subscriptions, 1);
    let (_, replies) = client.send(&mut core, &[r#"{"publish":"c","data":1}"#]);
    assert!(replies[0].contains("does not allow"), "{replies:?}");
}

#[test]
fn without_keys_a_token_is_not_verified() {
    let [mut core, _] = cores();
    let mut client = Client::json(&mut core, id(7));
    let (_, replies) = client.send(&mut core, &[r#"{"token":"x","id":1}"#]);
    assert_eq!(replies, [r#"{"error":"This server verifies no tokens.","id":1}"#]);
    let further = "Sec-WebSocket-Protocol: bearer.x\r\n";
    assert_eq!(status(&Client::connect(&mut core, id(8), "/pubsub", further).1), "400");
    for (target, further) in [("/pubsub", header("x")), ("/pubsub?access_token=x", String::new())] {
        assert_eq!(status(&Client::connect(&mut core, id(8), target, &further).1), "101");
    }
}

#[test]
fn a_client_is_warned_and_closed_when_its_token_ends() {
    let [mut core, _] = guarded(|| Echo);
    let (_json, _) = Client::connect(&mut core, id(7), "/pubsub", &header(&of("a", 100, "", "")));
    let (_raw, _) = Client::connect(
        &mut core,
        id(8),
        "/topics/t?role=pub",
        &header(&of("b", 100, "\"t\"", "")),
    );
    let warning = answer(id(7), r#"{"expires":30}"#);
    // A timer is up to 64 ms late.
    let at = |core: &mut Core<Echo>, millis| turn_at(core, millis);
    assert_eq!(at(&mut core, 0), []);
    assert_eq!(at(&mut core, 69_000), []);
    let Wakeup::At(next) = core.gateway.wakeup() else { panic!("now") };
    assert!((69_900..=70_064).contains(&next.0), "{next:?}");
    assert_eq!(at(&mut core, 69_900), []);
    assert_eq!(at(&mut core, 70_064), [warning]);
    assert_eq!(at(&mut core, 99_000), []);
    assert_eq!(at(&mut core, 99_900), []);
    let mut calls = at(&mut core, 100_064);
    calls.sort_by_key(|call| format!("{call:?}"));
    let code = CloseCode::UNAUTHORIZED;
    assert_eq!(code.value(), 4401);
    let ends = |id| [Call::Close(id, code), Call::Respond(id, false), Call::SetReading(id, true)];
    let mut expected = [ends(id(7)), ends(id(8))].concat();
    expected.sort_by_key(|call| format!("{call:?}"));
    assert_eq!(calls, expected);
    assert_eq!(at(&mut core, 200_000), []);
    assert!(!core.gateway.core.has_work);
}

#[test]
fn a_token_with_little_time_is_warned_about_at_once_and_a_new_one_gives_more() {
    let [mut core, _] = guarded(|| Echo);
    let token = header(&of("a", 20, "", ""));
    let (mut client, _) = Client::connect(&mut core, id(7), "/pubsub", &token);
    assert_eq!(turn_at(&mut core, 0), [answer(id(7), r#"{"expires":20}"#)]);
    assert_eq!(turn_at(&mut core, 100), []);
    let more = format!(r#"{{"token":"{}"}}"#, of("a", 1_000, "", ""));
    client.send(&mut core, &[&more]);
    assert_eq!(turn_at(&mut core, 100), []);
    for millis in [200, 21_000, 900_000, 969_900] {
        assert_eq!(turn_at(&mut core, millis), [], "{millis}");
    }
    assert_eq!(turn_at(&mut core, 970_100), [answer(id(7), r#"{"expires":30}"#)]);
    // The end does not concern the next one in its slot.
    close(&mut core, client);
    assert_eq!(turn_at(&mut core, 1_100_000), []);
}

/// The clock of the system counts, not the time since the start.
#[test]
fn the_clock_may_be_set() {
    let [mut core, _] = guarded(|| Echo);
    let token = header(&of("a", 86_400, "", ""));
    let (_client, _) = Client::connect(&mut core, id(7), "/pubsub", &token);
    assert_eq!(turn_at(&mut core, 0), []);
    let mut out = Recorder::default();
    CLOCK.set((START + 86_400) * 1000);
    core.gateway.end_turn(Millis(3_600_100), 128, &mut out);
    assert!(out.calls.contains(&Call::Close(id(7), CloseCode::UNAUTHORIZED)), "{:?}", out.calls);
}

#[test]
fn what_is_kept_of_a_token_is_charged_and_its_signature_is_work() {
    let [mut core, _] = guarded(|| Echo);
    let ledger = Ledger::default();
    core.gateway.use_ledger(&ledger);
    let list =
        (0..60).map(|at| format!("\"{at}/{}\"", "x".repeat(60))).collect::<Vec<_>>().join(",");
    let token = of("ann", 100, &list, "");
    let work = |client: &Client| client.pools.work.used();
    let (client, _) = Client::connect(&mut core, id(7), "/pubsub", &header(&of("a", 1, "", "")));
    close(&mut core, client);
    turn_at(&mut core, 0);
    let before = ledger.used();
    let (client, _) = Client::connect(&mut core, id(7), "/pubsub", &header(&token));
    assert!(work(&client) > token.len() as u64 * 12 + 3_000, "{}", work(&client));
    assert!(ledger.used() > before + 60 * 60, "{}", ledger.used());
    close(&mut core, client);
    turn_at(&mut core, 0);
    assert_eq!(ledger.used(), before);
    // So is a wrong one.
    let wrong = header(&format!("{}A", &token[..token.len() - 1]));
    let (client, answer) = Client::connect(&mut core, id(7), "/pubsub", &wrong);
    assert_eq!(status(&answer), "401");
    assert!(work(&client) > token.len() as u64 * 12 + 3_000);
}
