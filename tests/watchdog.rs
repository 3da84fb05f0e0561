//! Goal: a callback that holds its loop is warned of in the log, and text of clients cannot add
//! lines to it.
//! Method: a handler that sleeps, and a subscriber for the log of this process, which has no other.

mod support;

use std::fmt::Write;
use std::sync::Mutex;
use std::time::Duration;

use corecast::app::{Accept, Context, Handler, Upgrade};
use corecast::config::Config;
use corecast::protocol::websocket::handshake::Request;
use corecast::pubsub::Payload;
use corecast::server::allowed_cores;
use corecast::session::Message;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

use support::backend;
use support::client::Client;
use support::host::wait_until;
use support::wire::{FIN, TEXT, frame, unmasked};

/// The warnings of this process, one line each.
static WARNINGS: Mutex<Vec<String>> = Mutex::new(Vec::new());

struct Warnings;

struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        write!(self.0, "{}={value:?} ", field.name()).unwrap();
    }
}

impl Subscriber for Warnings {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() <= Level::WARN
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut line = Line(String::new());
        event.record(&mut line);
        WARNINGS.lock().unwrap().push(line.0);
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

/// Sleeps as many milliseconds as a message says.
struct Sleeper;

impl Handler for Sleeper {
    type Connection = ();
    type User = ();

    fn upgrade(&mut self, _: &Request<'_>, _: &mut Accept) -> Upgrade<()> {
        Upgrade::Accept(())
    }

    fn message<'a>(&mut self, (): &mut (), message: Message<'a>, cx: &mut Context<'_, 'a>) {
        let ms = message.text().unwrap().parse().unwrap();
        std::thread::sleep(Duration::from_millis(ms));
        cx.echo(message);
    }
}

fn hold(client: &mut Client, ms: &str) {
    client.send(&frame(FIN | TEXT, ms.as_bytes()));
}

#[test]
fn a_callback_that_holds_its_loop_is_warned_of() {
    let _ = tracing::subscriber::set_global_default(Warnings);
    let core = *allowed_cores().last().unwrap();
    let server = backend::server(Config::default())
        .listen(([127, 0, 0, 1], 0).into())
        .cores(vec![core])
        .watchdog(Some(Duration::from_millis(500)))
        .start(|_, _| Sleeper)
        .unwrap();
    let mut client = Client::open(server.addresses()[0]);
    let warnings = || {
        let warnings = WARNINGS.lock().unwrap();
        let is_ours = |line: &&String| line.contains("a callback holds its loop");
        warnings.iter().filter(is_ours).cloned().collect::<Vec<_>>()
    };
    // A loop that sleeps for want of work holds nobody.
    std::thread::sleep(Duration::from_millis(1500));
    assert!(warnings().is_empty(), "{:?}", warnings());
    hold(&mut client, "3000");
    assert!(wait_until(Duration::from_secs(20), || !warnings().is_empty()));
    client.expect(&unmasked(FIN | TEXT, b"3000"));
    assert!(warnings()[0].contains(&format!("core={core} ")), "{:?}", warnings());
    server.drain();
    drop(client);
    server.join().unwrap();
}

#[test]
fn a_topic_adds_no_line_to_the_log() {
    let _ = tracing::subscriber::set_global_default(Warnings);
    let mut config = Config::default();
    config.pubsub.max_retained = 0;
    let server = backend::server(config)
        .listen(([127, 0, 0, 1], 0).into())
        .cores(vec![*allowed_cores().last().unwrap()])
        .start(|_, _| Sleeper)
        .unwrap();
    server.retain("a\nERROR forged", Payload::text("x")).unwrap();
    let find = || {
        let warnings = WARNINGS.lock().unwrap();
        warnings.iter().find(|line| line.contains("not retained")).cloned()
    };
    assert!(wait_until(Duration::from_secs(20), || find().is_some()));
    let line = find().unwrap();
    assert!(line.contains(r#"topic="a\nERROR forged""#) && !line.contains('\n'), "{line}");
    server.stop();
    server.join().unwrap();
}
