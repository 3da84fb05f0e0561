//! Goal: who may connect is as the route says.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use corecast::app::echo::Echo;
use corecast::config::{Access, Config, Route, RouteTo, Routes};
use ring::hmac;
use std::time::{Duration, SystemTime};

use super::*;

const SECRET: &str = "0123456789abcdef0123456789abcdef";

/// A token for topics below `news`, which ends after this time.
fn token(lasts: Duration) -> String {
    let end = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap() + lasts;
    let claims = format!(
        r#"{{"sub":"ann","exp":{}.{:03},"publish":["news/#"],"subscribe":["news/#"]}}"#,
        end.as_secs(),
        end.subsec_millis()
    );
    let parts = [r#"{"alg":"HS256"}"#, &claims].map(|it| URL_SAFE_NO_PAD.encode(it));
    let message = parts.join(".");
    let key = hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes());
    let tag = hmac::sign(&key, message.as_bytes());
    format!("{message}.{}", URL_SAFE_NO_PAD.encode(tag))
}

fn guarded() -> (Server, File) {
    let (none, needed) = ("authority = \"none\"", "authority = \"token\"");
    let routes = [
        route("/open/{topic...}", "topics", none),
        route("/open-api", "pubsub", none),
        route("/needed/{topic...}", "topics", needed),
        route("/api", "pubsub", ""),
        route("/echo", "echo", ""),
        route("/own-echo", "echo", needed),
        route("/up", "health", ""),
    ];
    let secret = File::new(SECRET);
    let text =
        format!("token-secret = \"{}\"\ntoken-leeway = 0\n{}", secret.path(), routes.concat());
    (serve(&text), secret)
}

#[test]
fn a_route_needs_a_token_or_does_not() {
    let (server, _secret) = guarded();
    let addr = server.addr();
    let bearer = format!("Authorization: Bearer {}\r\n", token(Duration::from_secs(600)));
    for (target, without, with, wrong) in [
        ("/open/news/a", 101, 101, 101),
        ("/open/other", 101, 101, 101),
        ("/open-api", 101, 101, 101),
        ("/needed/news/a", 401, 101, 401),
        ("/needed/other", 401, 403, 401),
        ("/api", 401, 101, 401),
        ("/echo", 101, 101, 101),
        ("/own-echo", 401, 101, 401),
        ("/nowhere", 404, 404, 404),
    ] {
        let bad = "Authorization: Bearer x\r\n";
        let found = ["", &bearer, bad].map(|further| ask(addr, target, further).0);
        assert_eq!(found, [without, with, wrong], "{target}");
    }
    assert_eq!(plain(addr, "GET", "/up", "").0, 200);
    // Whoever is let in without a token may do all, and has none to renew.
    let mut free = open(addr, "/open-api");
    send(&mut free, r##"{"subscribe":"#"}"##);
    assert_eq!(read(&mut free), r##"{"subscribed":["#"]}"##);
    let mut raw = open(addr, "/open/other");
    send(&mut raw, "1");
    assert_eq!(read(&mut raw), "1");
    assert_eq!(read(&mut free), r#"{"topic":"other","data":1}"#);
    send(&mut free, &format!(r#"{{"token":"{}"}}"#, token(Duration::from_secs(600))));
    let said = read(&mut free);
    assert!(said.contains("needs no token"), "{said}");
    let warned = server.log().iter().any(|line| line.contains("beyond this machine"));
    assert!(!warned);
}

#[test]
fn the_end_of_a_token_ends_the_echo_that_needs_it() {
    let (server, _secret) = guarded();
    let mut client = Client::connect(server.addr());
    let bearer = format!("Authorization: Bearer {}\r\n", token(Duration::from_secs(2)));
    client.open_at("/own-echo", &bearer);
    send(&mut client, "while it holds");
    assert_eq!(read(&mut client), "while it holds");
    let mut free = Client::connect(server.addr());
    free.open_at("/echo", &bearer);
    let close = client.read_frame();
    assert_eq!(close.payload[..2], 4401_u16.to_be_bytes(), "{close:?}");
    free.expect_alive();
}

#[test]
fn a_server_that_verifies_nothing_does_not_start_with_a_route_for_tokens() {
    let mut config = Config::default();
    let route = Route::new("/", RouteTo::Application).unwrap().access(Access::Token);
    config.routes = Routes::new([route]).unwrap();
    let server = crate::support::backend::server(config).listen("127.0.0.1:0".parse().unwrap());
    let error = server.start(|_, _| Echo).unwrap_err();
    assert!(error.to_string().contains("a route needs tokens"), "{error}");
}
