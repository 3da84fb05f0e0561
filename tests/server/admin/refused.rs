//! Every limit has a flag and a counter: what is within it is served, the next one is counted.

use crate::admin::page::{Administrated, ask};
use crate::support::client::{Client, request};
use crate::support::wire::{CLOSE, FIN, PING, TEXT, frame};

fn pubsub(server: &Administrated) -> Client {
    let mut client = Client::connect(server.addr());
    client.open_at("/pubsub", "");
    client
}

/// The answer to a request in JSON.
fn say(client: &mut Client, text: &str) -> String {
    client.send(&frame(FIN | TEXT, text.as_bytes()));
    String::from_utf8(client.read_frame().payload).unwrap()
}

#[test]
fn subscriptions() {
    let server = Administrated::start(&["--max-subscriptions", "3"]);
    for (filters, is_within) in
        [("\"a\",\"b\"", true), ("\"a\",\"b\",\"c\"", true), ("\"a\",\"b\",\"c\",\"d\"", false)]
    {
        let mut client = pubsub(&server);
        let refused = "corecast_refused_subscriptions_total";
        let before = server.metrics();
        let answer = say(&mut client, &format!("{{\"subscribe\":[{filters}]}}"));
        let after = server.metrics();
        assert_eq!(answer.starts_with("{\"subscribed\""), is_within, "{answer}");
        assert_eq!(answer.contains("may have 3 subscriptions"), !is_within, "{answer}");
        let more = f64::from(u8::from(!is_within));
        assert_eq!(after.get(refused) - before.get(refused), more, "{filters}");
        client.expect_alive();
    }
}

#[test]
fn retained_topics() {
    let server = Administrated::start(&["--max-retained", "3"]);
    let mut client = pubsub(&server);
    for number in 1..=4 {
        let request = format!(r#"{{"publish":"t/{number}","data":1,"retain":true,"id":1}}"#);
        let answer = say(&mut client, &request);
        assert_eq!(answer.starts_with("{\"published\""), number <= 3, "{number}: {answer}");
        let metrics = server.metrics();
        let found = ["corecast_retained_values", "corecast_unretained_messages_total"]
            .map(|name| metrics.get(name));
        assert_eq!(found, [f64::from(number.min(3)), f64::from(u8::from(number == 4))]);
    }
}

/// A value may have a byte more until the limit is reached, and then no more.
#[test]
fn retained_bytes() {
    const LIMIT: usize = 2_000;
    let server = Administrated::start(&["--max-retained-bytes", "2000"]);
    let mut client = pubsub(&server);
    let mut is_retained = |len: usize| {
        let data = "x".repeat(len);
        let request = format!(r#"{{"publish":"t","data":"{data}","retain":true,"id":1}}"#);
        say(&mut client, &request).starts_with("{\"published\"")
    };
    let most = (0..=LIMIT).rev().find(|len| is_retained(*len)).unwrap();
    assert!(most > LIMIT / 2, "{most}");
    assert_eq!([most - 1, most, most + 1].map(&mut is_retained), [true, true, false]);
    let unretained = (LIMIT - most + 1) as f64;
    assert_eq!(server.metrics().get("corecast_unretained_messages_total"), unretained);
}

fn refusals(server: &Administrated, limit: &str) -> f64 {
    server.metrics().get(&format!("corecast_refused_connections_total{{limit=\"{limit}\"}}"))
}

fn status(server: &Administrated) -> (Client, String) {
    let mut client = Client::connect(server.addr());
    client.send(&request(""));
    let status = client.read_head().status.split(' ').nth(1).unwrap().to_owned();
    (client, status)
}

#[test]
fn connections() {
    for (flag, limit, expected) in [
        ("--max-connections", "connections", "503"),
        ("--max-connections-per-address", "connections_per_address", "429"),
    ] {
        let server = Administrated::start(&[flag, "2"]);
        let mut open = Vec::new();
        for number in 1..=3 {
            let (client, status) = status(&server);
            assert_eq!(status, if number <= 2 { "101" } else { expected }, "{flag} {number}");
            assert_eq!(refusals(&server, limit), f64::from(u8::from(number == 3)));
            open.push(client);
        }
        let code = format!("corecast_refused_requests_total{{code=\"{expected}\"}}");
        assert_eq!(server.metrics().get(&code), 1.0);
    }
}

#[test]
fn handshakes() {
    let server = Administrated::start(&["--max-handshakes", "1", "--handshake-timeout", "600"]);
    let pending = |count: f64| {
        let is_met = || server.metrics().get("corecast_pending_handshakes") == count;
        assert!(crate::support::host::wait_until(crate::support::client::PATIENCE, is_met));
    };
    let mut silent = Client::connect(server.addr());
    pending(1.0);
    assert_eq!(status(&server).1, "503");
    assert_eq!(refusals(&server, "handshakes"), 1.0);
    silent.open_at("/", "");
    pending(0.0);
    assert_eq!(status(&server).1, "101");
    // The listener for administration is not limited.
    assert_eq!(ask(server.admin, "GET", "/healthz", "", b"").0, "200");
    let server = Administrated::start(&["--handshake-rate", "1", "--handshake-burst", "3"]);
    let answers: Vec<String> = (0..40).map(|_| status(&server).1).collect();
    let refused = answers.iter().filter(|status| *status == "429").count();
    assert!(refused > 0 && answers[..3].iter().all(|status| status == "101"), "{answers:?}");
    assert_eq!(refusals(&server, "handshake_rate"), refused as f64);
}

#[test]
fn rates() {
    let close = &["--rate-policy", "close"][..];
    for (flags, policy, of, bytes) in [
        (["--message-rate", "2"], close, "messages", frame(FIN | TEXT, b"x").repeat(3)),
        (["--byte-rate", "20"], close, "bytes", frame(FIN | TEXT, b"123456789012345")),
        (["--control-rate", "2"], &[], "control", frame(FIN | PING, b"").repeat(3)),
    ] {
        let server = Administrated::start(&[&flags[..], policy].concat());
        let mut client = Client::open(server.addr());
        client.send(&bytes);
        while client.read_frame().first != FIN | CLOSE {}
        let counter = format!("corecast_rate_limits_total{{of=\"{of}\",action=\"close\"}}");
        let metrics = server.metrics();
        assert_eq!(metrics.get(&counter), 1.0, "{of}");
        let all = metrics.0.iter().filter(|(name, _)| name.starts_with("corecast_rate_limits"));
        assert_eq!(all.map(|(_, count)| count).sum::<f64>(), 1.0, "{of}");
        let code = "corecast_closed_connections_total{cause=\"violation\",code=\"1008\"}";
        client.finish();
        let is_counted = || server.metrics().get(code) == 1.0;
        assert!(crate::support::host::wait_until(crate::support::client::PATIENCE, is_counted));
    }
    let server = Administrated::start(&["--message-rate", "1", "--message-burst", "2"]);
    let mut client = Client::open(server.addr());
    client.send(&frame(FIN | TEXT, b"x").repeat(3));
    (0..3).for_each(|_| assert_eq!(client.read_frame().payload, b"x"));
    let delayed = "corecast_rate_limits_total{of=\"messages\",action=\"delay\"}";
    assert!(server.metrics().get(delayed) >= 1.0);
}
