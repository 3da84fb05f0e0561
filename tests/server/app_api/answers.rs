//! Plain requests that another thread answers.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::Duration;

use corecast::app::{Accept, Context, Handler, RequestContext, Responder, SendError, Upgrade};
use corecast::config::Config;
use corecast::protocol::http::{Request, Response, Status};
use corecast::protocol::websocket::handshake::{self, Origins, Rejection};
use corecast::session::Message;

use super::{expect, say};
use crate::support::client::{Client, End, Head, request_to};
use crate::support::host::wait_until;
use crate::support::library::Embedded;

const LIMIT: Duration = Duration::from_secs(20);

/// Passes the answer to `/later` on, and answers other paths at once.
struct Desk(Sender<Responder>);

impl Handler for Desk {
    type Connection = ();
    type User = ();

    const REQUEST_BODIES: bool = true;

    fn upgrade(&mut self, request: &handshake::Request<'_>, accept: &mut Accept) -> Upgrade<()> {
        if request.path == "/later" {
            let (later, decision) = accept.decide_later();
            decision.refuse(Rejection::Forbidden).unwrap();
            return later;
        }
        Upgrade::Accept(())
    }

    fn request(&mut self, request: &Request<'_>, cx: &mut RequestContext<'_>) -> Option<Response> {
        match request.path {
            "/later" => {
                self.0.send(cx.answer_later()).unwrap();
                None
            }
            // Before the callback returns.
            "/soon" => {
                let text = String::from_utf8(request.body.to_vec()).unwrap();
                let lost = cx.answer_later();
                let responder = cx.answer_later();
                assert_eq!(lost.respond(Response::new(Status::OK)), Err(SendError::Gone));
                responder.respond(Response::text(Status::OK, text)).unwrap();
                None
            }
            "/both" => {
                self.0.send(cx.answer_later()).unwrap();
                Some(Response::text(Status::OK, "both"))
            }
            "/panic" => {
                self.0.send(cx.answer_later()).unwrap();
                panic!("a test of panics");
            }
            "/drop" => {
                drop(cx.answer_later());
                None
            }
            path => Some(Response::text(Status::OK, path.to_owned())),
        }
    }

    fn message<'a>(&mut self, (): &mut (), message: Message<'a>, cx: &mut Context<'_, 'a>) {
        cx.echo(message);
    }
}

fn desk(config: Config) -> (Embedded, Receiver<Responder>) {
    let (responders, queue) = channel();
    (Embedded::start_with(config, move |_, _: &_| Desk(responders.clone())), queue)
}

fn request(method: &str, path: &str, more: &str) -> Vec<u8> {
    format!("{method} {path} HTTP/1.1\r\nHost: a\r\n{more}\r\n").into_bytes()
}

/// A client whose request waits, and what answers it.
fn waiting(server: &Embedded, queue: &Receiver<Responder>, bytes: &[u8]) -> (Client, Responder) {
    let mut client = Client::connect(server.addr());
    client.send(bytes);
    let responder = queue.recv_timeout(LIMIT).unwrap();
    assert!(responder.is_open());
    (client, responder)
}

/// The next response, with its body.
fn response(client: &mut Client) -> (Head, String) {
    let head = client.read_head();
    let len = head.get("Content-Length").map_or(0, |len| len.parse().unwrap());
    (head, String::from_utf8(client.read_bytes(len)).unwrap())
}

fn body(client: &mut Client) -> String {
    response(client).1
}

fn gone(responder: Responder) {
    assert!(wait_until(LIMIT, || !responder.is_open()));
    assert_eq!(responder.respond(Response::new(Status::OK)), Err(SendError::Gone));
}

fn connections(server: &Embedded) -> usize {
    server.handle().stats().iter().map(|stats| stats.connections).sum()
}

#[test]
fn another_thread_answers_and_later_requests_wait() {
    let (server, queue) = desk(Config::default());
    let post = [&request("POST", "/soon", "Content-Length: 4\r\n")[..], b"body"].concat();
    let later = request("GET", "/later", "");
    let all = [&later[..], &request("GET", "/one", ""), &post, &later, &request("GET", "/two", "")];
    let (mut client, responder) = waiting(&server, &queue, &all.concat());
    let (early, end) = client.read_to_end(Duration::from_millis(100));
    assert_eq!((early, end), (Vec::new(), End::Open), "nothing overtakes the first answer");
    let answer = Response::text(Status::CONFLICT, "first").with_header("X-Later", "yes").unwrap();
    thread::spawn(move || responder.respond(answer).unwrap()).join().unwrap();
    let (head, text) = response(&mut client);
    assert_eq!((head.status.as_str(), text.as_str()), ("HTTP/1.1 409 Conflict", "first"));
    assert_eq!((head.get("X-Later"), head.get("Connection")), (Some("yes"), None));
    assert_eq!(body(&mut client), "/one");
    assert_eq!(body(&mut client), "body");
    let responder = queue.recv_timeout(LIMIT).unwrap();
    responder.respond(Response::text(Status::OK, vec!["x"; 1 << 20].concat())).unwrap();
    assert_eq!(body(&mut client).len(), 1 << 20);
    assert_eq!(body(&mut client), "/two");
    // The connection may become a WebSocket.
    client.open_at("/", "");
    say(&mut client, "hello");
    expect(&mut client, "hello");
    client.close();
}

#[test]
fn answers_have_the_form_that_the_request_asks_for() {
    let mut config = Config::default();
    config.origins = Origins::list(["https://good.example"]).unwrap();
    let (server, queue) = desk(config);
    let page = "Origin: https://good.example\r\n";
    let (mut client, responder) = waiting(&server, &queue, &request("HEAD", "/later", page));
    responder.respond(Response::text(Status::OK, "unsent")).unwrap();
    let head = client.read_head();
    assert_eq!(head.get("Content-Length"), Some("6"));
    assert_eq!(head.get("Access-Control-Allow-Origin"), Some("https://good.example"));
    assert_eq!(head.get("Vary"), Some("Origin"));
    client.send(&request("GET", "/next", "Connection: close\r\nOrigin: https://evil.example\r\n"));
    let (head, text) = response(&mut client);
    assert_eq!((head.get("Access-Control-Allow-Origin"), text.as_str()), (None, "/next"));
    let close = request("GET", "/later", "Connection: close\r\n");
    let (mut client, responder) = waiting(&server, &queue, &close);
    responder.respond(Response::text(Status::OK, "last")).unwrap();
    assert_eq!(response(&mut client).0.get("Connection"), Some("close"));
    assert_eq!(client.read_to_end(LIMIT), (Vec::new(), End::Fin));
    let old = b"GET /later HTTP/1.0\r\n\r\n";
    let (mut client, responder) = waiting(&server, &queue, old);
    responder.respond(Response::text(Status::OK, "old")).unwrap();
    let (bytes, end) = client.read_to_end(LIMIT);
    assert!(bytes.ends_with(b"\r\n\r\nold") && end == End::Fin, "{}", bytes.escape_ascii());
}

#[test]
fn a_request_that_nobody_answers_gets_503() {
    let mut config = Config::default();
    config.timeouts.handshake = Duration::from_millis(300);
    let (server, queue) = desk(config);
    for method in ["GET", "HEAD"] {
        let (mut client, responder) = waiting(&server, &queue, &request(method, "/later", ""));
        assert_eq!(client.read_head().status, "HTTP/1.1 503 Service Unavailable");
        assert!(!responder.is_open(), "told before the client is answered");
        gone(responder);
        let (rest, end) = client.read_to_end(LIMIT);
        assert_eq!((rest.is_empty(), end), (method == "HEAD", End::Fin));
    }
    let mut client = Client::connect(server.addr());
    for _ in 0..3 {
        client.send(&request("GET", "/drop", ""));
        assert_eq!(response(&mut client).0.status, "HTTP/1.1 503 Service Unavailable");
    }
    // The time begins with each request.
    for _ in 0..3 {
        thread::sleep(Duration::from_millis(200));
        client.send(&request("GET", "/later", ""));
        let responder = queue.recv_timeout(LIMIT).unwrap();
        responder.respond(Response::text(Status::OK, "in time")).unwrap();
        assert_eq!(body(&mut client), "in time");
    }
    assert!(wait_until(LIMIT, || connections(&server) == 1));
}

#[test]
fn a_client_that_leaves_is_noticed() {
    let (server, queue) = desk(Config::default());
    let later = request("GET", "/later", "");
    let (client, responder) = waiting(&server, &queue, &later);
    client.finish();
    gone(responder);
    let (client, responder) = waiting(&server, &queue, &later);
    client.reset();
    gone(responder);
    let (client, responder) = waiting(&server, &queue, &later.repeat(2));
    client.reset();
    gone(responder);
    assert!(wait_until(LIMIT, || connections(&server) == 0));
    // What was sent behind the request is answered before the FIN behind it.
    let both = [&later[..], &request("GET", "/one", "")].concat();
    let (mut client, responder) = waiting(&server, &queue, &both);
    client.finish();
    thread::sleep(Duration::from_millis(50));
    responder.respond(Response::text(Status::OK, "first")).unwrap();
    assert_eq!((body(&mut client), body(&mut client)), ("first".into(), "/one".into()));
    client.expect_end(b"");
    let memory = || server.handle().stats().iter().map(|stats| stats.worker.memory).sum::<u64>();
    assert!(wait_until(LIMIT, || memory() == 0), "{} bytes are still charged", memory());
}

#[test]
fn a_response_that_is_returned_counts_before_a_later_one() {
    let (server, queue) = desk(Config::default());
    let mut client = Client::connect(server.addr());
    for (path, status) in [("/both", "200 OK"), ("/panic", "500 Internal Server Error")] {
        client.send(&request("GET", path, ""));
        assert_eq!(response(&mut client).0.status, format!("HTTP/1.1 {status}"));
        gone(queue.recv_timeout(LIMIT).unwrap());
    }
    // A handshake on the same connection is decided on its own.
    client.send(&request_to("/later", ""));
    assert!(client.read_head().status.contains(" 403 "));
}

#[test]
fn a_server_that_stops_does_not_wait() {
    let later = request("GET", "/later", "");
    let (server, queue) = desk(Config::default());
    let (mut client, responder) = waiting(&server, &queue, &later);
    server.handle().drain();
    assert_eq!(client.read_head().status, "HTTP/1.1 503 Service Unavailable");
    client.finish();
    gone(responder);
    let (server, queue) = desk(Config::default());
    let (_client, responder) = waiting(&server, &queue, &later);
    server.handle().stop();
    server.handle().join().unwrap();
    gone(responder);
}

#[test]
fn many_requests_wait_at_once() {
    let (server, queue) = desk(Config::default());
    let later = request("GET", "/later", "");
    let mut all: Vec<_> = (0..200).map(|_| waiting(&server, &queue, &later)).collect();
    let memory = || server.handle().stats().iter().map(|stats| stats.worker.memory).sum::<u64>();
    assert!(memory() >= 200 * 64, "{} bytes are charged", memory());
    let mut clients = Vec::new();
    for (number, (client, responder)) in all.drain(..).rev().enumerate() {
        responder.respond(Response::text(Status::OK, number.to_string())).unwrap();
        clients.push(client);
    }
    for (number, client) in clients.iter_mut().enumerate() {
        assert_eq!(body(client), number.to_string());
    }
}
