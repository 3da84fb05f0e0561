//! Clients that show tokens: who they are, what they are refused with, and how they end.

use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::hmac;

use crate::admin::page::{Administrated, Metrics};
use crate::support::client::{Client, request_to};
use crate::support::host::wait_until;
use crate::support::wire::{FIN, TEXT, frame};

const LIMIT: Duration = Duration::from_secs(20);
const SECRET: &[u8] = b"0123456789abcdef0123456789abcdef";

/// A server that verifies tokens. The file with the secret is removed once it is read.
fn guarded() -> Administrated {
    let file: PathBuf =
        std::env::temp_dir().join(format!("corecast-admin-secret-{}", std::process::id()));
    std::fs::write(&file, SECRET).unwrap();
    let flags = ["--token-secret", file.to_str().unwrap(), "--token-leeway", "0"];
    let server = Administrated::start(&flags);
    std::fs::remove_file(&file).unwrap();
    server
}

/// A header with a token of this user, for topics below `news`.
fn bearer(user: &str, lasts: Duration) -> String {
    let end = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap() + lasts;
    let claims = format!(
        r#"{{"sub":"{user}","exp":{}.{:03},"subscribe":["news/#"]}}"#,
        end.as_secs(),
        end.subsec_millis()
    );
    let [header, claims] = [r#"{"alg":"HS256"}"#, &claims].map(|it| URL_SAFE_NO_PAD.encode(it));
    let message = format!("{header}.{claims}");
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, SECRET), message.as_bytes());
    format!("Authorization: Bearer {message}.{}\r\n", URL_SAFE_NO_PAD.encode(tag))
}

/// What a token does not allow after the handshake is counted; the connection stays.
#[test]
fn what_is_denied_later_is_counted() {
    let server = guarded();
    let mut ann = Client::connect(server.addr());
    ann.open_at("/pubsub", &bearer("ann", Duration::from_secs(600)));
    let token = |user: &str| {
        let header = bearer(user, Duration::from_secs(600));
        header.trim_end().rsplit(' ').next().unwrap().to_owned()
    };
    let mut ask = |request: String, is_allowed: bool| {
        ann.send(&frame(FIN | TEXT, request.as_bytes()));
        let answer = String::from_utf8(ann.read_frame().payload).unwrap();
        assert_eq!(!answer.starts_with("{\"error\""), is_allowed, "{request}: {answer}");
    };
    for (request, is_allowed) in [
        (r#"{"subscribe":"news/a"}"#.to_owned(), true),
        (r##"{"subscribe":["news/b","#"]}"##.to_owned(), false),
        (r#"{"publish":"news/a","data":1}"#.to_owned(), false),
        (r#"{"publish":"news/a","data":1,"id":2}"#.to_owned(), false),
        (format!("{{\"token\":\"{}\"}}", token("ann")), true),
        (format!("{{\"token\":\"{}\"}}", token("bob")), false),
        (format!("{{\"token\":\"{}x\"}}", token("ann")), false),
        (r#"{"token":"x"}"#.to_owned(), false),
    ] {
        ask(request, is_allowed);
    }
    let metrics = server.metrics();
    let denied = ["subscriptions", "messages", "tokens"]
        .map(|of| metrics.get(&format!("corecast_denied_total{{of=\"{of}\"}}")));
    assert_eq!(denied, [1.0, 2.0, 3.0]);
    ann.expect_alive();
}

fn refused(metrics: &Metrics, code: u16) -> f64 {
    metrics.get(&format!("corecast_refused_requests_total{{code=\"{code}\"}}"))
}

/// One whose token ends is warned and closed with 4401. On a machine that takes longer than the
/// token lasts for the handshake, or until the warning, another one is made. Returns how many were
/// closed.
fn outlive_a_token(server: &Administrated) -> u32 {
    let mut closed = 0;
    for seconds in [1, 4, 16] {
        let mut bob = Client::connect(server.addr());
        bob.send(&request_to("/pubsub", &bearer("bob", Duration::from_secs(seconds))));
        if !bob.read_head().status.contains("101") {
            continue;
        }
        closed += 1;
        let first = bob.read_frame();
        let is_warning = first.payload.starts_with(b"{\"expires\":");
        let last = if is_warning { bob.read_frame() } else { first };
        assert_eq!(last.payload[..2], 4401_u16.to_be_bytes(), "{last:?}");
        if is_warning {
            return closed;
        }
    }
    panic!("no token lasted until a warning");
}

#[test]
fn users_refusals_and_ends_are_seen() {
    let server = guarded();
    let lasting = bearer("ann", Duration::from_secs(600));
    let mut ann = Client::connect(server.addr());
    ann.open_at("/pubsub", &lasting);
    let (before, echo) = (server.metrics(), Client::open(server.addr()));
    for (target, header, status) in
        [("/pubsub", "", "401"), ("/topics/news/a", "", "401"), ("/topics/other", &lasting, "403")]
    {
        let mut client = Client::connect(server.addr());
        client.send(&request_to(target, header));
        assert!(client.read_head().status.contains(status), "{target}");
        client.finish();
    }
    let is_counted = |metrics: &Metrics| {
        [401, 403].map(|code| refused(metrics, code) - refused(&before, code)) == [2.0, 1.0]
    };
    assert!(wait_until(LIMIT, || is_counted(&server.metrics())), "{:#?}", server.metrics());
    // The user of each, none without a token.
    let all = server.connections();
    let user = |endpoint: &str| {
        all.iter().find(|one| one["endpoint"] == endpoint).map(|one| one["user"].clone())
    };
    assert_eq!((user("pubsub"), user("app")), (Some("ann".into()), Some(().into())), "{all:#?}");
    let ended = "corecast_closed_connections_total{cause=\"server\",code=\"4401\"}";
    let expected = f64::from(outlive_a_token(&server));
    let is_counted = || server.metrics().get(ended) == expected;
    assert!(wait_until(LIMIT, is_counted), "{expected}: {:#?}", server.metrics());
    let is_said = |parts: [&str; 2]| {
        let log = server.server.log();
        log.iter().any(|line| parts.iter().all(|part| line.contains(part)))
    };
    for parts in [["refused", "status=401"], ["refused", "status=403"], ["closed by", "code=4401"]]
    {
        assert!(wait_until(LIMIT, || is_said(parts)), "{parts:?}: {:#?}", server.server.log());
    }
    drop(echo);
}
