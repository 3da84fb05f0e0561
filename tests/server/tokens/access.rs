//! Goal: handshakes and requests are allowed or denied as the token says, wherever it comes from.

use corecast::app::echo::Echo;
use corecast::authority::{Authority, Credential, TokenError, Verify, Verifying};
use corecast::config::Config;
use corecast::pubsub::Filter;
use std::sync::Arc;

use super::*;

#[test]
fn a_token_is_taken_from_each_place() {
    let (server, _files) = guarded(&["--token-cookie", "session", "--allow-origin", "http://h"]);
    let (addr, token) = (server.addr(), token());
    for target in ["/pubsub", "/topics/news/a"] {
        for (query, further) in [
            ("", bearer(&token)),
            (&*format!("?access_token={token}"), String::new()),
            ("", format!("Sec-WebSocket-Protocol: x.y, bearer.{token}\r\n")),
            ("", format!("Cookie: a=b; session={token}\r\n")),
        ] {
            // /pubsub knows its own subprotocol only.
            let further = match target {
                "/pubsub" => further.replace("x.y", "corecast.v1.json"),
                _ => further,
            };
            let (head, body) = ask(addr, &format!("{target}{query}"), &further);
            assert!(head.status.contains("101"), "{target} {further}: {head:?} {body}");
            let protocol = head.get("Sec-WebSocket-Protocol");
            assert!(protocol.is_none_or(|it| !it.contains("bearer")), "{protocol:?}");
        }
        for (further, expected) in [
            (String::new(), 401),
            (bearer("x"), 401),
            (bearer(&signed(r#"{"sub":"ann","exp":9999999999}"#, &[1; 32])), 401),
            (bearer(&token_until(now())), 401),
            (bearer(&"x".repeat(8193)), 401),
            (format!("{}Cookie: session={token}x\r\n", bearer(&token)), 400),
        ] {
            let (head, body) = ask(addr, target, &further);
            assert!(head.status.contains(&expected.to_string()), "{further}: {head:?} {body}");
            let challenge = head.get("WWW-Authenticate").unwrap();
            assert!(challenge.starts_with("Bearer"), "{challenge}");
            assert!(body.ends_with(".\n") && body.len() < 200, "{body}");
        }
    }
    // A browser that offers nothing else is answered with what it has offered.
    let offered = format!("bearer.{token}");
    let further = format!("Sec-WebSocket-Protocol: {offered}\r\n");
    for target in ["/pubsub", "/topics/news/a"] {
        let (head, _) = ask(addr, target, &further);
        assert_eq!(head.get("Sec-WebSocket-Protocol"), Some(&*offered));
    }
    // Echo needs none.
    assert_eq!(status(addr, "/", ""), 101);
}

#[test]
fn what_a_token_does_not_allow_is_denied() {
    let (server, _files) = guarded(&[]);
    let addr = server.addr();
    let of = |publish: &str, subscribe: &str| {
        let end = now().as_secs() + 600;
        signed(
            &format!(
                r#"{{"sub":"ann","exp":{end},"publish":["{publish}"],"subscribe":["{subscribe}"]}}"#
            ),
            SECRET,
        )
    };
    let mixed = of("news/{sub}", "news/+");
    for (target, expected) in [
        ("/topics/news/ann", 101),
        ("/topics/news/ann?role=pub", 101),
        ("/topics/news/bob?role=pub", 403),
        ("/topics/news/bob?role=sub", 101),
        ("/topics/news/bob/x?role=sub", 403),
        ("/topics/news", 403),
        ("/topics/%23", 400),
    ] {
        assert_eq!(status(addr, target, &bearer(&mixed)), expected, "{target}");
    }
    let mut client = open(addr, "/pubsub", &mixed);
    for (request, expected) in [
        (r#"{"subscribe":"news/+","id":1}"#, r#"{"subscribed":["news/+"],"id":1}"#),
        (r#"{"subscribe":"news/#","id":2}"#, "does not allow to subscribe"),
        (r#"{"publish":"news/bob","data":1,"id":3}"#, "does not allow to publish"),
        (r#"{"publish":"news/bob","data":1,"retain":true,"id":4}"#, "does not allow to publish"),
    ] {
        send(&mut client, request);
        let said = read(&mut client);
        assert!(said.contains(expected), "{request}: {said}");
    }
    send(&mut client, r#"{"publish":"news/ann","data":1}"#);
    assert_eq!(read(&mut client), r#"{"topic":"news/ann","data":1}"#);
    client.close();
    // Reading is allowed, sending is not.
    let mut reader = open(addr, "/topics/news/x", &of("other", "news/x"));
    send(&mut reader, "hi");
    let close = reader.read_frame();
    assert_eq!(close.payload[..2], 1008_u16.to_be_bytes());
    assert_eq!(&close.payload[2..], b"not allowed to publish to this topic");
}

/// Tokens that PyJWT has made, with keys in PEM and in a set.
#[test]
fn keys_of_all_kinds_are_read_from_files() {
    let vector = |name: &str| {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors/tokens/");
        format!("{folder}{name}")
    };
    let read = |name: &str| bearer(fs::read_to_string(vector(name)).unwrap().trim());
    let [rs, es, ed, set] = ["rs256.pem", "es256.pem", "eddsa.pem", "jwks.json"].map(vector);
    let secret = vector("hs256.secret");
    let flags =
        ["--token-key", &rs, "--token-key", &es, "--token-key", &ed, "--token-secret", &secret];
    let server = Server::start(&flags);
    for name in ["rs256.jwt", "rs256-r1.jwt", "es256.jwt", "eddsa.jwt", "hs256.jwt"] {
        assert_eq!(status(server.addr(), "/topics/news/ann", &read(name)), 101, "{name}");
        assert_eq!(status(server.addr(), "/topics/other", &read(name)), 403, "{name}");
    }
    assert_eq!(status(server.addr(), "/pubsub", &read("ps256.jwt")), 401);
    let server = Server::start(&["--token-jwks", &set]);
    for (name, expected) in [("rs256-r1.jwt", 101), ("rs256.jwt", 401), ("hs256.jwt", 401)] {
        assert_eq!(status(server.addr(), "/pubsub", &read(name)), expected, "{name}");
    }
}

#[test]
fn programs_have_api_keys() {
    let files = Files::new();
    // The SHA-256 of "0b2c-key".
    let hash = ring::digest::digest(&ring::digest::SHA256, b"0b2c-key");
    let hash: String = hash.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    let lines = format!("# who may publish\nprices sha256={hash} publish={{sub}}/#\n");
    let keys = files.write("keys", lines);
    let server = Server::start(&["--api-keys", &keys]);
    let addr = server.addr();
    let key = "X-API-Key: 0b2c-key\r\n";
    for (target, further, expected) in [
        ("/topics/prices/a?role=pub", key, 101),
        ("/topics/other?role=pub", key, 403),
        ("/topics/prices/a", key, 403),
        ("/pubsub", key, 101),
        ("/pubsub", "X-API-Key: 0b2c-keY\r\n", 401),
        ("/pubsub", "X-API-Key:\r\n", 401),
        ("/pubsub", "Authorization: Bearer 0b2c-key\r\n", 401),
        ("/pubsub", "", 401),
        ("/pubsub", "X-API-Key: 0b2c-key\r\nAuthorization: Bearer x\r\n", 400),
    ] {
        assert_eq!(status(addr, target, further), expected, "{target} {further}");
    }
}

/// Lets in whoever says a name.
struct ByName;

impl Verify for ByName {
    fn verify(
        &self,
        credential: &Credential<'_>,
        cx: &mut Verifying,
    ) -> Result<Authority, TokenError> {
        let Credential::Token(name) = credential else { return Err(TokenError::ApiKey) };
        let own = Filter::new(name, cx.max_topic)
            .map_err(|error| TokenError::Refused(error.to_string()))?;
        Authority::new(name, vec![own.clone()], vec![own], None)
            .map_err(|error| TokenError::Refused(error.to_string()))
    }
}

#[test]
fn a_program_may_verify_by_itself() {
    let server = crate::support::backend::server(Config::default());
    let server = server.listen("127.0.0.1:0".parse().unwrap()).authority(Arc::new(ByName));
    let running = server.start(|_, _| Echo).unwrap();
    let addr = running.addresses()[0];
    for (target, expected) in [
        ("/topics/ann?access_token=ann", 101),
        ("/topics/bob?access_token=ann", 403),
        ("/topics/ann", 401),
        ("/topics/ann?access_token=a%23", 401),
    ] {
        assert_eq!(status(addr, target, ""), expected, "{target}");
    }
    running.stop();
    running.join().unwrap();
}
