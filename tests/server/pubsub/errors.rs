//! Goal: errors are reported, and close a connection only if it breaks a rule of the protocol.
//! Method: each wrong request is sent on the same connection, which must answer it with an error
//! that names the mistake, and with the `id`; at the end the connection still publishes and
//! subscribes.

use std::time::Duration;

use corecast::app::{Accept, Context, Handler, Upgrade};
use corecast::config::Config;
use corecast::protocol::websocket::handshake::{Refusal, Rejection, Request};
use corecast::session::Message;

use crate::pubsub::common::{Json, delivery, raw, text};
use crate::support::client::{Client, End, request_to};
use crate::support::library::Embedded;
use crate::support::server::Server;
use crate::support::wire::{self, BINARY, FIN};

#[test]
fn wrong_requests_are_answered_and_the_connection_stays() {
    let server = Server::start(&[]);
    let mut json = Json::open(server.addr());
    let long = "x".repeat(256);
    let (subscribe, publish) =
        (format!(r#"{{"subscribe":"{long}"}}"#), format!(r#"{{"publish":"{long}","data":1}}"#));
    let cases: [(&str, &[&str]); 22] = [
        (r#"{"subscribe":""}"#, &["empty"]),
        (r#"{"subscribe":"a+/b"}"#, &["a+/b", "`+`"]),
        (r##"{"subscribe":"a/#/b"}"##, &["`#`"]),
        (r##"{"subscribe":["ok","b#"]}"##, &["b#"]),
        (r#"{"subscribe":"a\u0000"}"#, &["NUL"]),
        (r#"{"subscribe":[]}"#, &["subscribe"]),
        (r#"{"subscribe":7}"#, &["subscribe"]),
        (r#"{"unsubscribe":"a/+b"}"#, &["`+`"]),
        (r#"{"publish":"a/+","data":1}"#, &["wildcards"]),
        (r#"{"publish":"","data":1}"#, &["empty"]),
        (r#"{"publish":"a"}"#, &["data"]),
        (r#"{"publish":"a","data":1,"retain":1}"#, &["retain"]),
        (r#"{"publish":"a","data":1,"data":2}"#, &["data", "twice"]),
        (r#"{"publish":"a","data":1,"subscribe":"b"}"#, &["subscribe", "publish"]),
        (r#"{"publish":"a","data":1,"qos":1}"#, &["qos"]),
        (r#"{"subscribe":"a","data":1}"#, &["data"]),
        ("{}", &["subscribe", "publish"]),
        ("[]", &["JSON object"]),
        ("", &["JSON object"]),
        (r#"{"publish":"a","data":}"#, &["valid JSON"]),
        (&subscribe, &["256", "255", "xxx"]),
        (&publish, &["256", "255"]),
    ];
    for (request, parts) in cases {
        json.expect_error(request, parts);
    }
    let with_id = json.ask(r#"{"id":{"a": 1},"subscribe":"+x"}"#);
    assert!(with_id.ends_with(r#","id":{"a": 1}}"#), "{with_id}");
    for request in [
        r#"{"id":"x","publish":"a"}"#,
        r#"{"id":"x","publish":"+","data":1}"#,
        r#"{"id":"x","unsubscribe":"+x"}"#,
    ] {
        let answer = json.ask(request);
        assert!(
            answer.starts_with(r#"{"error":"#) && answer.ends_with(r#","id":"x"}"#),
            "{answer}"
        );
    }
    // Long names are truncated, at a character boundary.
    for begin in ["", "x"] {
        let name = format!("{begin}{}", "é".repeat(200));
        let shown = format!("\"{begin}{}...\": ", "é".repeat((80 - begin.len()) / 2));
        json.expect_error(&format!(r#"{{"publish":"{name}","data":1}}"#), &[&shown]);
    }
    json.client.send(&wire::frame(FIN | BINARY, br#"{"subscribe":"a"}"#));
    let answer = json.read();
    assert!(answer.starts_with(r#"{"error":"#) && answer.contains("binary"), "{answer}");
    // No wrong request has subscribed to anything.
    let mut other = Json::open(server.addr());
    for topic in ["a", "b", "ok"] {
        other.publish(topic, "0", "");
    }
    json.expect_nothing();
    json.subscribe(&[&long[1..], "a"]);
    json.publish("a", "1", "");
    json.expect(&delivery("a", "1"));
}

#[test]
fn there_are_128_subscriptions_for_each_connection() {
    let server = Server::start(&[]);
    let mut json = Json::open(server.addr());
    let names: Vec<String> = (0..129).map(|n| format!("n/{n}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let list = |names: &[&str]| serde_json::to_string(names).unwrap();
    // A request subscribes to all of its filters or to none.
    json.expect_error(&format!(r#"{{"subscribe":{}}}"#, list(&names)), &["128", "129"]);
    json.subscribe(&names[..100]);
    json.subscribe(&names[50..127]);
    // One subscription is left, for a filter that is named several times.
    json.subscribe(&[names[127]; 2]);
    json.expect_error(r#"{"subscribe":"n/128"}"#, &["128"]);
    let answer = json.ask(r#"{"id":4,"subscribe":"n/128"}"#);
    assert!(answer.ends_with(r#","id":4}"#), "{answer}");
    // A filter that is subscribed to already does not count again.
    json.subscribe(&["n/0", "n/0"]);
    json.ask(r#"{"unsubscribe":"n/0"}"#);
    json.subscribe(&["n/128"]);
    json.expect_error(r#"{"subscribe":"n/0"}"#, &["128"]);
    // Duplicates count once, and a request may unsubscribe from any number of filters.
    let mut another = Json::open(server.addr());
    another.subscribe(&["n/5"; 200]);
    let answer = another.ask(&format!(r#"{{"unsubscribe":{}}}"#, list(&names)));
    assert_eq!(answer, format!(r#"{{"unsubscribed":{}}}"#, list(&names)));
    let mut other = Json::open(server.addr());
    for name in &names {
        other.publish(name, "1", "");
    }
    for name in &names[1..] {
        json.expect(&delivery(name, "1"));
    }
    json.expect_nothing();
}

#[test]
fn a_wrong_path_gets_400_and_a_reason() {
    let server = Server::start(&[]);
    let long = format!("/topics/{}", "t".repeat(256));
    let cases = [
        ("/topics", "The path names no topic; connect to /topics/<topic>."),
        ("/topics/", "The path names no topic; connect to /topics/<topic>."),
        ("/pubsub/", "The path ends in a slash; connect to /pubsub."),
        ("/topics/a?role=boss", "The parameter role is not both, sub or pub."),
        ("/topics/a?echo=2", "The parameter echo is not 0 or 1."),
        ("/topics/a?echo=0&echo=1", "The parameter echo is there twice; give it once."),
        ("/topics/a?qos=1", "The parameter \"qos\" is not known; known are role and echo."),
        ("/topics/a%2", "A % in the path has no two hexadecimal digits after it."),
        ("/topics/a%FF", "The topic in the path is not valid UTF-8."),
        ("/topics/a/+", "`+` or `#`"),
        ("/topics/%23", "`+` or `#`"),
        ("/topics/%00", "NUL"),
        (&long, "the name has 256 bytes; at most 255 are allowed"),
        ("/pubsub?role=sub", "/pubsub takes no parameter, but there is \"role\"."),
    ];
    for (target, line) in cases {
        let mut client = Client::connect(server.addr());
        client.send(&request_to(target, ""));
        let (answer, end) = client.read_to_end(Duration::from_secs(5));
        let answer = String::from_utf8(answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 400 Bad Request\r\n"), "{target}: {answer}");
        let body = answer.split_once("\r\n\r\n").unwrap().1;
        assert!(body.contains(line) && body.lines().count() == 1, "{target}: {body:?}");
        assert_eq!(end, End::Fin, "{target}");
    }
}

#[test]
fn a_subscriber_only_must_not_publish() {
    let server = Server::start(&[]);
    let mut witness = raw(server.addr(), "t");
    let mut client = raw(server.addr(), "t?role=sub");
    client.send(&text("not allowed"));
    client.expect(&wire::server_close(1008, "this connection only subscribes (role=sub)"));
    client.send(&wire::close(1008, ""));
    client.expect_end(b"");
    witness.expect_alive();
    // A client that only publishes receives nothing.
    let mut publisher = raw(server.addr(), "t?role=pub");
    publisher.send(&text("mine"));
    witness.expect(&wire::unmasked(FIN | wire::TEXT, b"mine"));
    publisher.expect_alive();
}

#[test]
fn the_subprotocol_is_selected_if_it_was_offered() {
    let server = Server::start(&[]);
    let cases = [
        ("", None),
        ("Sec-WebSocket-Protocol: corecast.v1.json\r\n", Some("corecast.v1.json")),
        ("Sec-WebSocket-Protocol: mqtt, corecast.v1.json\r\n", Some("corecast.v1.json")),
    ];
    for (further, protocol) in cases {
        let mut client = Client::connect(server.addr());
        let head = client.open_at("/pubsub", further);
        assert_eq!(head.get("Sec-WebSocket-Protocol"), protocol, "{further}");
        client.send(&text(r#"{"subscribe":"a"}"#));
        client.expect(&wire::unmasked(FIN | wire::TEXT, br#"{"subscribed":["a"]}"#));
    }
}

/// A browser aborts the connection without a reason if its offer is not answered, and a client
/// would be misled by a subprotocol that this endpoint does not use. So the refusal names the
/// supported one.
#[test]
fn unknown_subprotocols_are_refused_with_the_known_one() {
    let server = Server::start(&[]);
    for offer in
        ["mqtt", "corecast.v2.json", "graphql-ws, graphql-transport-ws", "Corecast.v1.json"]
    {
        let mut client = Client::connect(server.addr());
        client.send(&request_to("/pubsub", &format!("Sec-WebSocket-Protocol: {offer}\r\n")));
        let (answer, end) = client.read_to_end(Duration::from_secs(5));
        let answer = String::from_utf8(answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 400 Bad Request\r\n"), "{offer}: {answer}");
        let line = "/pubsub knows the subprotocol corecast.v1.json only; offer it, or none.\n";
        assert!(answer.ends_with(&format!("\r\n\r\n{line}")), "{offer}: {answer}");
        assert_eq!(end, End::Fin, "{offer}");
    }
}

/// A page can send a token only in the query. The server ignores it unless the application uses it.
#[test]
fn a_token_in_the_query_is_no_error() {
    let server = Server::start(&[]);
    for query in ["token=abc", "access_token=a.b.c", "token=1&access_token=2", "token="] {
        let mut json = Json::on_path(server.addr(), &format!("/pubsub?{query}"));
        json.subscribe(&["a"]);
        let mut publisher = raw(server.addr(), &format!("a?role=pub&{query}"));
        publisher.send(&text("1"));
        json.expect(&delivery("a", "1"));
    }
}

/// A path without the JSON protocol must not select its subprotocol.
#[test]
fn other_paths_do_not_select_the_subprotocol() {
    let server = Server::start(&[]);
    for path in ["/", "/pubsubs", "/topics/a", "/topics/a?role=sub"] {
        let mut client = Client::connect(server.addr());
        let head = client.open_at(path, "Sec-WebSocket-Protocol: corecast.v1.json\r\n");
        assert_eq!(head.get("Sec-WebSocket-Protocol"), None, "{path}");
        let mut client = Client::connect(server.addr());
        let head = client.open_at(path, "Sec-WebSocket-Protocol: corecast.v1.json, chat\r\n");
        let expected = if path.starts_with("/topics") { Some("chat") } else { None };
        assert_eq!(head.get("Sec-WebSocket-Protocol"), expected, "{path}");
    }
}

/// Authorises clients with the right cookie or token, and echoes.
#[derive(Debug)]
struct Guard;

impl Handler for Guard {
    type Connection = ();
    type User = ();

    fn upgrade(&mut self, _: &Request<'_>, _: &mut Accept) -> Upgrade<()> {
        Upgrade::Accept(())
    }

    fn authorise_connect(&mut self, request: &Request<'_>, (): &mut ()) -> Result<(), Refusal> {
        match (request.header("Cookie"), request.query) {
            (Some(b"pass=7"), _) => Ok(()),
            (_, Some(query)) if query.split('&').any(|it| it == "ticket=7" || it == "token=7") => {
                Ok(())
            }
            _ => Err(Refusal::saying(Rejection::Forbidden, "Log in first.")),
        }
    }

    fn message<'a>(&mut self, (): &mut (), message: Message<'a>, cx: &mut Context<'_, 'a>) {
        cx.echo(message);
    }
}

#[test]
fn an_application_decides_about_publishing_and_subscribing() {
    let server = Embedded::start_with(Config::default(), |_, _| Guard);
    for path in ["/pubsub", "/topics/a"] {
        let mut client = Client::connect(server.addr());
        client.send(&request_to(path, "Cookie: pass=8\r\n"));
        let (answer, _) = client.read_to_end(Duration::from_secs(5));
        assert!(answer.starts_with(b"HTTP/1.1 403 "), "{path}: {}", answer.escape_ascii());
        assert!(answer.ends_with(b"Log in first.\n"), "{path}: {}", answer.escape_ascii());
        let mut client = Client::connect(server.addr());
        client.open_at(path, "Cookie: pass=7\r\n");
        client.expect_alive();
    }
    // The application is called before anything else in the query is checked.
    let refused = "HTTP/1.1 403 ";
    for (target, begin) in [
        ("/pubsub?token=8", refused),
        ("/topics/a?token=8", refused),
        ("/topics/a?role=boss", refused),
        ("/pubsub?ticket=8", refused),
        ("/pubsub?token=7", "HTTP/1.1 101 "),
        ("/topics/a?role=pub&token=7", "HTTP/1.1 101 "),
        ("/pubsub?ticket=7", "HTTP/1.1 400 "),
        ("/topics/a?role=boss&token=7", "HTTP/1.1 400 "),
    ] {
        let mut client = Client::connect(server.addr());
        client.send(&request_to(target, ""));
        let answer = client.read_head();
        assert!(answer.status.starts_with(begin), "{target}: {}", answer.status);
    }
    // Other paths go to `upgrade`, which accepts all.
    Client::connect(server.addr()).open_at("/", "");
}
