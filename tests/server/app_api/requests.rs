//! Plain requests to an application, and refusals and acceptances with headers of its own.

use std::time::Duration;

use corecast::app::{Accept, Context, Handler, RequestContext, Upgrade};
use corecast::config::Config;
use corecast::protocol::http::{Request, Response, Status};
use corecast::protocol::websocket::handshake::{self, Refusal};
use corecast::pubsub::Payload;
use corecast::session::Message;

use crate::support::client::{Client, End, request_to};
use crate::support::library::Embedded;
use crate::support::wire;

const LIMIT: Duration = Duration::from_secs(20);

/// An application with pages, a way to publish, and clients that must log in.
struct Site;

/// 401 without the right cookie, 429 with another one.
fn log_in(request: &handshake::Request<'_>) -> Result<(), Refusal> {
    let answer = |status, name, value| {
        let response = Response::text(status, "no\n").with_header(name, value).unwrap();
        Err(response.into())
    };
    match request.cookie("session") {
        Some("7") => Ok(()),
        Some(_) => answer(Status::TOO_MANY_REQUESTS, "Retry-After", "30"),
        None => answer(Status::UNAUTHORIZED, "WWW-Authenticate", "Bearer realm=\"site\""),
    }
}

impl Handler for Site {
    type Connection = ();
    type User = ();

    const PEER_ADDRESSES: bool = true;
    const REQUEST_BODIES: bool = true;

    fn upgrade(&mut self, request: &handshake::Request<'_>, accept: &mut Accept) -> Upgrade<()> {
        accept.header("Set-Cookie", "a=1; Path=/").unwrap();
        accept.header("Set-Cookie", "b=2").unwrap();
        match log_in(request) {
            Ok(()) => Upgrade::Accept(()),
            Err(refusal) => Upgrade::Refuse(refusal),
        }
    }

    fn authorise_connect(
        &mut self,
        request: &handshake::Request<'_>,
        (): &mut (),
    ) -> Result<(), Refusal> {
        match request.query_pairs().find(|(name, _)| name == "ticket") {
            Some((_, ticket)) if ticket == "7 8" => Ok(()),
            _ => log_in(request),
        }
    }

    fn request(&mut self, request: &Request<'_>, cx: &mut RequestContext<'_>) -> Option<Response> {
        match (request.method, request.path) {
            ("GET" | "HEAD", "/where") => {
                let peer = cx.peer_addr().expect("it was asked for");
                Some(Response::text(Status::OK, peer.to_string()))
            }
            ("POST", "/publish") => {
                cx.publish("news", &Payload::binary(request.body.to_vec())).unwrap();
                Response::new(Status::NO_CONTENT).with_header("X-Sent", "1").ok()
            }
            _ => None,
        }
    }

    fn message<'a>(&mut self, (): &mut (), message: Message<'a>, cx: &mut Context<'_, 'a>) {
        cx.echo(message);
    }
}

#[test]
fn plain_requests_are_answered_with_status_headers_and_body() {
    let server = Embedded::start_with(Config::default(), |_, _| Site);
    let mut reader = Client::connect(server.addr());
    reader.open_at("/topics/news?role=sub", "Cookie: session=7\r\n");
    let mut client = Client::connect(server.addr());
    let own = client.stream().local_addr().unwrap().to_string();
    client.send(b"GET /where HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_eq!(client.read_head().status, "HTTP/1.1 200 OK");
    client.expect(own.as_bytes());
    // The same connection publishes, with a body of either framing.
    client.send(b"POST /publish HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello");
    client.send(b"POST /publish HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n");
    client.send(b"3\r\nbye\r\n0\r\n\r\n");
    for body in ["hello", "bye"] {
        let head = client.read_head();
        assert_eq!((&*head.status, head.get("X-Sent")), ("HTTP/1.1 204 No Content", Some("1")));
        reader.expect(&wire::unmasked(wire::FIN | wire::BINARY, body.as_bytes()));
    }
    // And becomes a WebSocket.
    let head = client.open_at("/chat", "Cookie: session=7\r\n");
    assert_eq!(head.all("Set-Cookie"), ["a=1; Path=/", "b=2"]);
    client.expect_alive();
}

#[test]
fn refusals_have_the_headers_of_their_status() {
    let server = Embedded::start_with(Config::default(), |_, _| Site);
    for path in ["/chat", "/pubsub", "/topics/a"] {
        for (further, status, name, value) in [
            ("", "401 Unauthorized", "WWW-Authenticate", "Bearer realm=\"site\""),
            ("Cookie: session=8\r\n", "429 Too Many Requests", "Retry-After", "30"),
        ] {
            let mut client = Client::connect(server.addr());
            client.send(&request_to(path, further));
            let head = client.read_head();
            assert_eq!(head.status, format!("HTTP/1.1 {status}"), "{path}");
            assert_eq!((head.get(name), head.get("Connection")), (Some(value), Some("close")));
            assert_eq!(head.get("Set-Cookie"), None, "a refusal has its own headers");
            assert_eq!(client.read_to_end(LIMIT), (b"no\n".to_vec(), End::Fin), "{path}");
        }
    }
}

/// The application sees the whole query before the endpoint judges it.
#[test]
fn parameters_that_an_endpoint_does_not_know_reach_the_application() {
    let server = Embedded::start_with(Config::default(), |_, _| Site);
    for path in ["/pubsub", "/topics/a"] {
        for (query, status) in [
            ("ticket=9", "401 Unauthorized"),
            // Who may connect is told what is wrong with the rest.
            ("ticket=7+8", "400 Bad Request"),
        ] {
            let mut client = Client::connect(server.addr());
            client.send(&request_to(&format!("{path}?{query}"), ""));
            assert_eq!(client.read_head().status, format!("HTTP/1.1 {status}"), "{path}?{query}");
            let (body, _) = client.read_to_end(LIMIT);
            let body = String::from_utf8(body).unwrap();
            assert_eq!(body.contains("\"ticket\""), status.starts_with("400"), "{body}");
        }
    }
}
