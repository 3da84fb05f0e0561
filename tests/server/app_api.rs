//! Goal: an embedder's program can do what the public API promises, over real sockets.
//! Method: servers with handlers of the test, and clients that send and read bytes.

mod answers;
mod callbacks;
mod endpoints;
mod ends;
mod handles;
mod later;
mod limits;
mod panics;
mod peers;
mod programs;
mod requests;

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use crate::support::client::Client;
use crate::support::library::Embedded;
use crate::support::wire::{FIN, TEXT, frame, unmasked};
use corecast::app::{Accept, CloseContext, Context, Handler, PreparedMessage, Upgrade};
use corecast::config::Config;
use corecast::protocol::websocket::CloseCode;
use corecast::protocol::websocket::handshake::Request;
use corecast::pubsub::Payload;
use corecast::session::{CloseReason, Message};

/// The bytes of the payload of a large prepared message, more than the kernel takes.
const PREPARED: usize = 8 << 20;

/// Held by tests that measure the memory of this process, or take much of it.
fn memory() -> MutexGuard<'static, ()> {
    static MEMORY: Mutex<()> = Mutex::new(());
    MEMORY.lock().unwrap_or_else(PoisonError::into_inner)
}

/// All are clones of one.
fn prepared() -> PreparedMessage {
    static MESSAGE: OnceLock<PreparedMessage> = OnceLock::new();
    MESSAGE.get_or_init(|| PreparedMessage::binary(&vec![b'p'; PREPARED])).clone()
}

/// What callbacks have noted.
type Log = Arc<Mutex<Vec<String>>>;

/// Does what its messages say, and notes its callbacks.
struct Script(Log);

impl Script {
    fn note(&self, line: impl Into<String>) {
        self.0.lock().unwrap().push(line.into());
    }
}

impl Handler for Script {
    type Connection = String;
    type User = ();

    fn upgrade(&mut self, request: &Request<'_>, accept: &mut Accept) -> Upgrade<String> {
        accept.header("Set-Cookie", "seen=1").unwrap();
        accept.header("X-Path", request.path).unwrap();
        assert!(request.path != "/panic", "in upgrade");
        Upgrade::Accept(request.path.to_owned())
    }

    fn open(&mut self, path: &mut String, cx: &mut Context<'_, '_>) {
        match &**path {
            "/greet" => cx.text("hello").unwrap(),
            "/prepared" => cx.prepared(&prepared()).unwrap(),
            _ => {}
        }
    }

    fn message<'a>(&mut self, _: &mut String, message: Message<'a>, cx: &mut Context<'_, 'a>) {
        let text = message.text().unwrap_or_default();
        let (verb, rest) = text.split_once(' ').unwrap_or((text, ""));
        match verb {
            "subscribe" => {
                cx.subscribe(rest).unwrap();
                cx.text("ok").unwrap();
            }
            "unsubscribe" => {
                let had = cx.unsubscribe(rest).unwrap();
                cx.text(&had.to_string()).unwrap();
            }
            "publish" => cx.publish(rest, &Payload::text("all")).unwrap(),
            "others" => cx.publish_to_others(rest, &Payload::text("others")).unwrap(),
            "retain" => cx.retain(rest, &Payload::text("kept")).unwrap(),
            "timer" => cx.set_timer(Duration::from_millis(rest.parse().unwrap())),
            "close" => cx.close(CloseCode::NORMAL, "asked"),
            "ping" => cx.ping(rest.as_bytes()).unwrap(),
            "queued" => {
                assert_eq!(cx.queued(), 0);
                cx.text("12345678").unwrap();
                assert_eq!(cx.queued(), 10);
            }
            "panic" => panic!("asked to"),
            "prepared" => cx.prepared(&prepared()).unwrap(),
            "both" => {
                cx.text("first").unwrap();
                cx.prepared(&prepared()).unwrap();
            }
            "count" => {
                // As large as fit four times into the limit.
                let message = |number: u8| [&[number][..], &[b'.'; 60_000]].concat();
                let send = |at| Some((at, cx.binary(&message(at)).err()?));
                let (accepted, error) = (0..100).find_map(send).unwrap();
                self.note(format!("accepted {accepted} {error:?}"));
            }
            "echoes" => {
                (0..300).for_each(|_| cx.echo(message));
                self.note(format!("echoes {}", cx.queued()));
            }
            "large" => {
                let megabyte = vec![b'x'; 1 << 20];
                let count = rest.parse().unwrap();
                let sent = (0..count).take_while(|_| cx.binary(&megabyte).is_ok()).count();
                self.note(format!("sent {sent}"));
            }
            _ => cx.text(text).unwrap(),
        }
    }

    fn ping(&mut self, _: &mut String, payload: &[u8], _: &mut Context<'_, '_>) {
        self.note(format!("ping {}", String::from_utf8_lossy(payload)));
    }

    fn pong(&mut self, _: &mut String, payload: &[u8], _: &mut Context<'_, '_>) {
        self.note(format!("pong {}", String::from_utf8_lossy(payload)));
    }

    fn drain(&mut self, _: &mut String, _: &mut Context<'_, '_>) {
        self.note("drain");
    }

    fn timer(&mut self, _: &mut String, cx: &mut Context<'_, '_>) {
        cx.text("time").unwrap();
    }

    fn close(&mut self, path: String, reason: CloseReason, cx: &mut CloseContext<'_>) {
        self.note(format!("closed {path}: {reason}"));
        let side = if reason.is_local() { "here" } else { "there" };
        self.note(format!("end {path}: {side} {} {:?}", reason.code().value(), cx.text()));
        cx.publish("left", &Payload::text(path)).unwrap();
    }
}

fn script(config: Config) -> (Embedded, Log) {
    let log = Log::default();
    let notes = Arc::clone(&log);
    (Embedded::start_with(config, move |_, _| Script(Arc::clone(&notes))), log)
}

/// Waits until the log holds `line`.
fn wait_for(log: &Log, line: &str) {
    let is_there = || log.lock().unwrap().iter().any(|noted| noted.starts_with(line));
    crate::support::host::wait_until(Duration::from_secs(20), is_there);
    assert!(is_there(), "{line} is not in {:?}", log.lock().unwrap());
}

fn say(client: &mut Client, text: &str) {
    client.send(&frame(FIN | TEXT, text.as_bytes()));
}

fn expect(client: &mut Client, text: &str) {
    client.expect(&unmasked(FIN | TEXT, text.as_bytes()));
}
