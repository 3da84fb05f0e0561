//! Plain requests: what the server answers, what the application does, and which pages may read it.

use std::sync::Arc;

use super::{Client, Core, cores_with, id};
use crate::app::echo::Echo;
use crate::app::{Accept, Context, Handler, RequestContext, Upgrade};
use crate::base::Millis;
use crate::config::Config;
use crate::protocol::http::{Request, Response, Status};
use crate::protocol::websocket::handshake::{self, Origins};
use crate::pubsub::Payload;
use crate::session::{Message, Pools, Session};

/// The answer of a new connection to a request of this line with these header lines.
fn ask<H: Handler>(core: &mut Core<H>, line: &str, further: &str) -> String {
    let session = Session::new(id(1), Millis::default(), &core.config, false);
    let mut client = Client { session, pools: Pools::new(Arc::clone(&core.config)) };
    let mut bytes = format!("{line}\r\nHost: h:81\r\n{further}\r\n").into_bytes();
    String::from_utf8(client.receive(core, &mut bytes).1).unwrap()
}

fn status(answer: &str) -> &str {
    answer.split(' ').nth(1).unwrap_or_default()
}

/// The value of a header that is there once.
fn header<'a>(answer: &'a str, name: &str) -> Option<&'a str> {
    let mut values = answer.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
    let value = values.next();
    assert_eq!(values.next(), None, "{name} is there once: {answer}");
    value
}

fn set_origins<H: Handler>(core: &mut Core<H>, origins: Origins) {
    let mut config = Config::clone(&core.config);
    config.origins = origins;
    core.config = Arc::new(config);
    core.gateway.config = Arc::clone(&core.config);
}

#[test]
fn what_is_served_without_a_websocket() {
    let [mut core, _] = cores_with(|| Echo);
    for (line, expected) in [
        ("GET / HTTP/1.1", "200"),
        ("GET /?x HTTP/1.1", "200"),
        ("HEAD / HTTP/1.1", "200"),
        ("GET / HTTP/1.0", "200"),
        ("OPTIONS / HTTP/1.0", "200"),
        ("OPTIONS * HTTP/1.1", "200"),
        ("GET /healthz HTTP/1.1", "200"),
        ("HEAD /healthz HTTP/1.0", "200"),
        ("OPTIONS /healthz HTTP/1.1", "200"),
        ("GET /echo HTTP/1.1", "426"),
        ("HEAD /echo HTTP/1.1", "426"),
        ("GET /topics HTTP/1.1", "426"),
        ("GET /topics/a HTTP/1.1", "426"),
        ("GET /topics/a?role=sub HTTP/1.1", "426"),
        ("GET /pubsub HTTP/1.1", "426"),
        ("OPTIONS /pubsub HTTP/1.1", "200"),
        ("OPTIONS /echo HTTP/1.1", "200"),
        ("GET /elsewhere HTTP/1.1", "404"),
        ("POST /elsewhere HTTP/1.1", "404"),
        ("GET /healthz/ HTTP/1.1", "404"),
        ("POST / HTTP/1.1", "405"),
        ("PUT /healthz HTTP/1.1", "405"),
        ("DELETE /topics/a HTTP/1.1", "405"),
        ("TRACE / HTTP/1.1", "405"),
        ("CONNECT h:81 HTTP/1.1", "405"),
        ("BREW / HTTP/1.1", "501"),
        ("get-this / HTTP/1.1", "400"),
        ("Get / HTTP/1.1", "501"),
        ("BREW /elsewhere HTTP/1.1", "501"),
        ("BREW /pubsub HTTP/1.1", "501"),
    ] {
        let answer = ask(&mut core, line, "");
        assert_eq!(status(&answer), expected, "{line}: {answer}");
        let is_head = line.starts_with("HEAD ");
        let has_body = !answer.ends_with("\r\n\r\n");
        assert_eq!(has_body, !is_head && !line.starts_with("OPTIONS"), "{line}: {answer}");
        let allows = matches!(expected, "405") || line.starts_with("OPTIONS");
        let expected_allow = allows.then_some("GET, HEAD, OPTIONS");
        assert_eq!(header(&answer, "Allow"), expected_allow, "{line}: {answer}");
        let upgrade = (expected == "426").then_some("websocket");
        assert_eq!(header(&answer, "Upgrade"), upgrade, "{line}: {answer}");
        if is_head {
            let got = ask(&mut core, &line.replacen("HEAD", "GET", 1), "");
            let (head, body) = got.split_once("\r\n\r\n").unwrap();
            assert!(!body.is_empty());
            assert_eq!(answer.trim_end(), head, "{line}");
        }
    }
}

#[test]
fn an_upgrade_that_is_not_known_is_ignored() {
    let [mut core, _] = cores_with(|| Echo);
    for further in [
        "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQ\r\n",
        "Connection: Upgrade\r\nUpgrade: TLS/1.0\r\n",
        "Connection: Upgrade\r\nUpgrade: websockets\r\n",
    ] {
        assert_eq!(status(&ask(&mut core, "GET / HTTP/1.1", further)), "200", "{further}");
    }
    // In HTTP/1.0 no upgrade is known.
    let websocket = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
        Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    assert_eq!(status(&ask(&mut core, "GET /echo HTTP/1.0", websocket)), "426");
    assert_eq!(status(&ask(&mut core, "HEAD / HTTP/1.1", websocket)), "200");
    assert_eq!(status(&ask(&mut core, "GET /echo HTTP/1.1", websocket)), "101");
}

#[test]
fn the_page_names_the_address_that_the_client_used() {
    let [mut core, _] = cores_with(|| Echo);
    let page = ask(&mut core, "GET / HTTP/1.1", "");
    for text in ["ws://h:81/echo", "ws://h:81/topics/", "ws://h:81/pubsub", "http://h:81/healthz"] {
        assert!(page.contains(text), "{text}: {page}");
    }
    let mut config = Config::clone(&core.config);
    config.pubsub.endpoints = false;
    core.gateway.core.config = Arc::new(config);
    let page = ask(&mut core, "GET / HTTP/1.1", "");
    assert!(page.contains("ws://h:81/echo") && !page.contains("topics"), "{page}");
}

#[test]
fn pages_of_allowed_origins_may_read_answers() {
    const ALLOW: &str = "Access-Control-Allow-Origin";
    let [mut core, _] = cores_with(|| Echo);
    let good = "Origin: https://good.example\r\n";
    let evil = "Origin: https://evil.example\r\n";
    let asks = "Access-Control-Request-Method: GET\r\n";
    set_origins(&mut core, Origins::list(["https://good.example"]).unwrap());
    for line in ["GET / HTTP/1.1", "GET /healthz HTTP/1.1", "GET /x HTTP/1.1"] {
        let answer = ask(&mut core, line, good);
        assert_eq!(header(&answer, ALLOW), Some("https://good.example"), "{line}");
        assert_eq!(header(&answer, "Vary"), Some("Origin"), "{line}");
        let answer = ask(&mut core, line, evil);
        assert_eq!((header(&answer, ALLOW), header(&answer, "Vary")), (None, Some("Origin")));
        let twice = format!("{good}{good}");
        assert_eq!(header(&ask(&mut core, line, &twice), ALLOW), None, "{line}");
        let answer = ask(&mut core, line, "");
        assert_eq!((header(&answer, ALLOW), header(&answer, "Vary")), (None, None), "{line}");
    }
    for line in ["OPTIONS /healthz HTTP/1.1", "OPTIONS /topics/a HTTP/1.1"] {
        let answer = ask(&mut core, line, &format!("{good}{asks}"));
        assert_eq!(status(&answer), "200", "{answer}");
        assert_eq!(header(&answer, ALLOW), Some("https://good.example"));
        let methods = header(&answer, "Access-Control-Allow-Methods");
        assert_eq!(methods, Some("GET, HEAD, OPTIONS"));
        assert_eq!(header(&answer, "Access-Control-Max-Age"), Some("600"));
        let answer = ask(&mut core, line, &format!("{evil}{asks}"));
        assert_eq!((status(&answer), header(&answer, ALLOW)), ("403", None));
        let answer = ask(&mut core, line, good);
        assert_eq!(header(&answer, "Access-Control-Allow-Methods"), None, "it does not ask");
    }
    set_origins(&mut core, Origins::Any);
    let answer = ask(&mut core, "GET / HTTP/1.1", evil);
    assert_eq!((header(&answer, ALLOW), header(&answer, "Vary")), (Some("*"), None));
    set_origins(&mut core, Origins::SameHost);
    assert_eq!(header(&ask(&mut core, "GET / HTTP/1.1", evil), ALLOW), None);
    let own = "Origin: http://h:81\r\n";
    assert_eq!(header(&ask(&mut core, "GET / HTTP/1.1", own), ALLOW), Some("http://h:81"));
}

/// Answers some paths, with the bodies if `BODIES`.
struct Site<const BODIES: bool>;

impl<const BODIES: bool> Handler for Site<BODIES> {
    type Connection = ();
    type User = ();

    const REQUEST_BODIES: bool = BODIES;

    fn upgrade(&mut self, _: &handshake::Request<'_>, _: &mut Accept) -> Upgrade<()> {
        Upgrade::Accept(())
    }

    fn request(&mut self, request: &Request<'_>, cx: &mut RequestContext<'_>) -> Option<Response> {
        assert!(request.path != "/pubsub" && request.method != "CONNECT");
        let own =
            |value| Response::new(Status::OK).with_header("Access-Control-Allow-Origin", value);
        match (request.method, request.path) {
            ("POST", "/len") => {
                let len = request.body.len().to_string();
                Some(Response::text(Status::OK, len))
            }
            ("BREW", "/pot") => Some(Response::new(Status::new(418)?)),
            ("POST", "/publish") => {
                cx.publish("t", &Payload::binary(request.body.to_vec())).unwrap();
                Some(Response::new(Status::NO_CONTENT))
            }
            (_, "/own") => own("https://own.example").ok(),
            (_, "/panic") => panic!("in request"),
            _ => None,
        }
    }

    fn message<'a>(&mut self, (): &mut (), _: Message<'a>, _: &mut Context<'_, 'a>) {}
}

#[test]
fn an_application_answers_what_it_knows() {
    let [mut core, mut other] = cores_with(|| Site::<true>);
    set_origins(&mut core, Origins::Any);
    let body = "Content-Length: 5\r\n\r\nhello";
    let with_body = |line: &str| format!("{line}\r\nHost: h\r\n{body}");
    let answer = ask(&mut core, &with_body("POST /len HTTP/1.1"), "");
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.contains("\r\n\r\n5"), "{answer}");
    assert_eq!(status(&ask(&mut core, "BREW /pot HTTP/1.1", "")), "418");
    assert_eq!(status(&ask(&mut core, "BREW /cup HTTP/1.1", "")), "501");
    assert_eq!(status(&ask(&mut core, "GET /cup HTTP/1.1", "")), "426");
    assert_eq!(status(&ask(&mut core, "POST /cup HTTP/1.1", "")), "405");
    assert_eq!(status(&ask(&mut core, "GET / HTTP/1.1", "")), "200");
    assert_eq!(status(&ask(&mut core, "CONNECT h:81 HTTP/1.1", "")), "405");
    assert_eq!(status(&ask(&mut core, "GET /pubsub HTTP/1.1", "")), "426");
    assert_eq!(status(&ask(&mut core, "GET /panic HTTP/1.1", "")), "500");
    assert_eq!(core.gateway.stats().panics, 1);
    let origin = "Origin: https://a.example\r\n";
    let answer = ask(&mut core, "GET /own HTTP/1.1", origin);
    assert_eq!(header(&answer, "Access-Control-Allow-Origin"), Some("https://own.example"));
    let answer = ask(&mut core, "BREW /pot HTTP/1.1", origin);
    assert_eq!(header(&answer, "Access-Control-Allow-Origin"), Some("*"));
    assert_eq!(core.published(), 0);
    assert_eq!(status(&ask(&mut core, &with_body("POST /publish HTTP/1.1"), "")), "204");
    core.settle(&mut other);
    assert_eq!(core.published(), 1);
}

#[test]
fn bodies_are_read_and_discarded_unless_they_are_wanted() {
    let [mut core, _] = cores_with(|| Site::<false>);
    let request = "POST /len HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhelloGET / HTTP/1.1";
    let answers = ask(&mut core, request, "");
    assert!(answers.contains("\r\n\r\n0HTTP/1.1 200 OK\r\n"), "{answers}");
}
