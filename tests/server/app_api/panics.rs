//! Panics in callbacks.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use corecast::app::{Accept, Action, CloseContext, Context, Denied, Handler, Upgrade};
use corecast::config::Config;
use corecast::error::Error;
use corecast::protocol::websocket::handshake::{Refusal, Request};
use corecast::server::ServerHandle;
use corecast::session::{CloseReason, Message};

use super::{Log, Script, expect, say, wait_for};
use crate::support::backend;
use crate::support::client::{Client, End, request_to};
use crate::support::wire::{self, BINARY, FIN, PING, PONG, TEXT};

#[test]
fn a_panic_ends_its_connection_only() {
    let (log, told) = (Log::default(), Arc::new(Mutex::new(Vec::new())));
    let (notes, list) = (Arc::clone(&log), Arc::clone(&told));
    let address = std::net::SocketAddr::from(([127, 0, 0, 1], 0));
    let server = backend::server(Config::default())
        .listen(address)
        .cores(vec![corecast::server::allowed_cores()[0]])
        .on_panic(move |panic| {
            list.lock().unwrap().push((panic.callback, panic.message.clone()));
            panic!("in the hook as well");
        })
        .start(move |_, _| Script(Arc::clone(&notes)))
        .unwrap();
    let addr = server.addresses()[0];
    let mut other = Client::open(addr);
    let mut client = Client::open(addr);
    say(&mut client, "before");
    say(&mut client, "panic");
    say(&mut client, "after");
    expect(&mut client, "before");
    client.expect(&wire::server_close(1011, "internal error"));
    client.send(&wire::close(1011, ""));
    client.expect_end(b"");
    wait_for(&log, "closed /: closed here with");
    let mut refused = Client::connect(addr);
    refused.send(&request_to("/panic", ""));
    assert!(refused.read_head().status.contains(" 503 "));
    say(&mut other, "still here");
    expect(&mut other, "still here");
    assert_eq!(server.stats()[0].app.panics, 2);
    let expected = [("message", "asked to".to_owned()), ("upgrade", "in upgrade".to_owned())];
    assert_eq!(*told.lock().unwrap(), expected);
    server.drain();
    drop((other, refused));
    server.join().unwrap();
}

/// Panics in the callback that the path or the request names.
struct Fragile;

/// What a client may name, and what then happens to it.
#[derive(Default)]
struct Fuse(bool);

/// What a panic carries, and panics when it is dropped.
struct Twice;

impl Drop for Twice {
    fn drop(&mut self) {
        std::panic::panic_any(Self);
    }
}

impl Drop for Fuse {
    fn drop(&mut self) {
        assert!(!self.0, "no callback of a handler");
    }
}

impl Handler for Fragile {
    type Connection = String;
    type User = Fuse;

    fn upgrade(&mut self, request: &Request<'_>, _: &mut Accept) -> Upgrade<String> {
        if request.path == "/twice" {
            std::panic::panic_any(Twice);
        }
        Upgrade::Accept(request.path.to_owned())
    }

    fn authorise_connect(&mut self, request: &Request<'_>, user: &mut Fuse) -> Result<(), Refusal> {
        assert!(request.query != Some("token=connect"), "asked to");
        user.0 = request.query == Some("token=drop");
        Ok(())
    }

    fn authorise(&mut self, _: &Fuse, action: Action<'_>) -> Result<(), Denied> {
        match action {
            Action::Subscribe(filter) => assert!(filter.as_str() != "panic", "asked to"),
            Action::Publish(topic) => assert!(topic.as_str() != "panic", "asked to"),
            _ => {}
        }
        Ok(())
    }

    fn open(&mut self, path: &mut String, cx: &mut Context<'_, '_>) {
        assert!(path != "/open", "asked to");
        if path == "/timer" {
            cx.set_timer(Duration::from_millis(1));
        }
    }

    fn message<'a>(&mut self, path: &mut String, _: Message<'a>, cx: &mut Context<'_, 'a>) {
        if path == "/drain" {
            // More than the kernel takes.
            cx.binary(&vec![0; LARGE]).unwrap();
        }
    }

    fn ping(&mut self, path: &mut String, _: &[u8], _: &mut Context<'_, '_>) {
        assert!(path != "/ping", "asked to");
    }

    fn pong(&mut self, path: &mut String, _: &[u8], _: &mut Context<'_, '_>) {
        assert!(path != "/pong", "asked to");
    }

    fn drain(&mut self, _: &mut String, _: &mut Context<'_, '_>) {
        panic!("asked to");
    }

    fn timer(&mut self, _: &mut String, _: &mut Context<'_, '_>) {
        panic!("asked to");
    }

    fn close(&mut self, path: String, _: CloseReason, _: &mut CloseContext<'_>) {
        assert!(path != "/close", "asked to");
    }
}

const LARGE: usize = 8 << 20;

fn fragile() -> (ServerHandle, Arc<Mutex<Vec<&'static str>>>) {
    let told = Arc::new(Mutex::new(Vec::new()));
    let list = Arc::clone(&told);
    let server = backend::server(Config::default())
        .listen(([127, 0, 0, 1], 0).into())
        .on_panic(move |panic| list.lock().unwrap().push(panic.callback));
    (server.start(|_, _| Fragile).unwrap(), told)
}

#[test]
fn each_callback_may_panic() {
    let _memory = super::memory();
    let (server, told) = fragile();
    let addr = server.addresses()[0];
    let mut other = Client::open(addr);
    let error = wire::server_close(1011, "internal error");
    let open = |path: &str| {
        let mut client = Client::connect(addr);
        client.open_at(path, "");
        client
    };
    for (path, sent, answer) in [
        ("/open", vec![], vec![]),
        ("/ping", wire::frame(FIN | PING, b""), wire::unmasked(FIN | PONG, b"")),
        ("/pong", wire::frame(FIN | PONG, b""), vec![]),
        ("/timer", vec![], vec![]),
        ("/drain", wire::frame(FIN | TEXT, b""), wire::unmasked(FIN | BINARY, &vec![0; LARGE])),
    ] {
        let mut client = open(path);
        client.send(&sent);
        client.expect(&[answer, error.clone()].concat());
        client.send(&wire::close(1011, ""));
        client.expect_end(b"");
    }
    open("/close").close();
    let mut refused = Client::connect(addr);
    refused.send(&request_to("/topics/x?token=connect", ""));
    assert!(refused.read_head().status.contains(" 503 "));
    let mut denied = Client::connect(addr);
    denied.send(&request_to("/topics/panic", ""));
    assert!(denied.read_head().status.contains(" 503 "));
    for request in [r#"{"subscribe":"panic"}"#, r#"{"publish":"panic","data":1}"#] {
        let mut client = open("/pubsub");
        say(&mut client, request);
        expect(&mut client, r#"{"error":"\"panic\": internal error"}"#);
        client.expect(&error);
    }
    let mut publisher = open("/topics/panic?role=pub");
    say(&mut publisher, "x");
    publisher.expect(&error);
    other.expect_alive();
    let expected = [
        "open",
        "ping",
        "pong",
        "timer",
        "drain",
        "close",
        "authorise_connect",
        "authorise",
        "authorise",
        "authorise",
        "authorise",
    ];
    assert_eq!(*told.lock().unwrap(), expected);
    let panics: u64 = server.stats().iter().map(|stats| stats.app.panics).sum();
    assert_eq!(panics, expected.len() as u64);
    server.drain();
    drop(other);
    server.join().unwrap();
}

/// Nobody knows what a panic carries: dropping it may panic, again and again.
#[test]
fn a_panic_that_panics_when_it_is_dropped_ends_its_connection_only() {
    let (server, told) = fragile();
    let mut other = Client::open(server.addresses()[0]);
    let mut refused = Client::connect(server.addresses()[0]);
    refused.send(&request_to("/twice", ""));
    assert!(refused.read_head().status.contains(" 503 "));
    assert_eq!(*told.lock().unwrap(), ["upgrade"]);
    other.send(&wire::frame(FIN | PING, b"there?"));
    other.expect(&wire::unmasked(FIN | PONG, b"there?"));
    server.drain();
    drop(other);
    server.join().unwrap();
}

/// A core that is missing would leave a server that limps: all of it ends at once.
#[test]
fn a_panic_outside_of_callbacks_stops_the_server() {
    let (server, told) = fragile();
    let addr = server.addresses()[0];
    let mut others: Vec<Client> = (0..8).map(|_| Client::open(addr)).collect();
    let mut client = Client::connect(addr);
    client.open_at("/pubsub?token=drop", "");
    drop(client);
    let error = server.join().unwrap_err();
    assert!(matches!(&error, Error::Panic(text) if text == "no callback of a handler"), "{error}");
    for other in &mut others {
        let (_, end) = other.read_to_end(Duration::from_secs(20));
        assert!(end != End::Open);
    }
    assert!(told.lock().unwrap().is_empty(), "it is no callback");
    assert!(server.join().is_err(), "a later call says the same");
}

/// An echo that wants its panics to stop the server, and panics if it is asked to.
struct Uncaught;

impl Handler for Uncaught {
    type Connection = ();
    type User = ();
    const CATCH_PANICS: bool = false;

    fn upgrade(&mut self, request: &Request<'_>, _: &mut Accept) -> Upgrade<()> {
        assert_ne!(request.path, "/panic", "asked to");
        Upgrade::Accept(())
    }

    fn message<'a>(&mut self, (): &mut (), message: Message<'a>, cx: &mut Context<'_, 'a>) {
        assert_ne!(message.payload(), b"panic", "asked to");
        cx.echo(message);
    }
}

/// An application can want its panics not to be caught: each stops the server.
#[test]
fn a_panic_that_is_not_caught_stops_the_server() {
    for in_message in [true, false] {
        let server = backend::server(Config::default()).listen(([127, 0, 0, 1], 0).into());
        let server = server.start(|_, _| Uncaught).unwrap();
        let addr = server.addresses()[0];
        let mut client = Client::open(addr);
        say(&mut client, "before");
        expect(&mut client, "before");
        if in_message {
            say(&mut client, "panic");
        } else {
            Client::connect(addr).send(&request_to("/panic", ""));
        }
        let error = server.join().unwrap_err();
        assert!(matches!(&error, Error::Panic(text) if text.contains("asked to")), "{error}");
    }
}
