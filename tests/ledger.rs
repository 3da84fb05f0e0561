//! Goal: whatever clients make a core hold is on its ledger.
//! Method: for each kind of holder, a server in this process, an allocator that counts, and clients
//! that make the server hold much of that kind and little else. What the server has allocated for
//! it and what it has charged agree within 20 %, and nothing stays charged when the clients leave.

#[path = "ledger/allocator.rs"]
mod allocator;
#[path = "ledger/crowds.rs"]
mod crowds;
mod support;
#[cfg(feature = "tls")]
#[path = "ledger/tls.rs"]
mod tls;

use std::net::TcpStream;
use std::sync::Mutex;
use std::time::Duration;

use corecast::app::PublishError;
use corecast::config::{Config, SlowConsumer};
use corecast::pubsub::Payload;
use support::client::{Client, PATIENCE, request_to};
use support::deflate::deflated;
use support::host::wait_until;
use support::library::Embedded;
use support::wire::{self, BINARY, FIN, RSV1, TEXT};

const MIB: usize = 1 << 20;
/// What else the server may hold and charge, such as tables that have grown.
const LITTLE: usize = 64 << 10;

/// The longest that sums may take to stay as they are. Nothing is judged by it: a machine may be
/// slow for minutes.
const SETTLES: Duration = Duration::from_secs(120);

/// One test at a time: the allocator counts for the whole process.
static SERIAL: Mutex<()> = Mutex::new(());

/// What is allocated and what is charged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Sums {
    allocated: usize,
    charged: usize,
}

fn charged(server: &Embedded) -> usize {
    let of = |memory: u64| usize::try_from(memory).unwrap();
    server.handle().stats().iter().map(|core| of(core.worker.memory)).sum()
}

/// The sums once they do not change any more.
fn settled(server: &Embedded) -> Sums {
    let sums = || Sums { charged: charged(server), allocated: allocator::allocated() };
    let mut last = sums();
    let mut unchanged = 0;
    let is_settled = wait_until(SETTLES, || {
        std::thread::sleep(Duration::from_millis(20));
        let now = sums();
        let is_same = now.charged == last.charged && now.allocated.abs_diff(last.allocated) < 1000;
        unchanged = if is_same { unchanged + 1 } else { 0 };
        last = now;
        unchanged > 10
    });
    assert!(is_settled, "{last:?}");
    last
}

/// Starts a server, has `hold` make it hold at least `least` bytes, and compares. Then the clients
/// leave.
fn agree(kind: &str, config: Config, least: usize, hold: impl FnOnce(&Embedded) -> Vec<TcpStream>) {
    agree_until(kind, config, least, hold, |_, clients| drop(clients), 0);
}

/// The same, with what makes the server free what it holds, and the most that stays charged then.
fn agree_until<C>(
    kind: &str,
    config: Config,
    least: usize,
    hold: impl FnOnce(&Embedded) -> C,
    leave: impl FnOnce(&Embedded, C),
    left: usize,
) {
    let _serial = SERIAL.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    agree_on(kind, &Embedded::start_on(config, 1), least, hold, leave, left);
}

/// The same on a server that is there already, under the lock.
fn agree_on<C>(
    kind: &str,
    server: &Embedded,
    least: usize,
    hold: impl FnOnce(&Embedded) -> C,
    leave: impl FnOnce(&Embedded, C),
    left: usize,
) {
    let mut first = Client::open(server.addr());
    first.send(&wire::frame(FIN | BINARY, b"hello"));
    first.read_frame();
    drop(first);
    let before = settled(server);
    let clients = hold(server);
    let held = settled(server);
    let charged_more = held.charged - before.charged;
    let allocated_more = held.allocated - before.allocated;
    println!("{kind}: {charged_more} charged, {allocated_more} allocated");
    assert!(charged_more >= least, "{kind}: {charged_more} of {least} bytes are held");
    let apart = charged_more.abs_diff(allocated_more);
    assert!(apart <= allocated_more / 5, "{kind}: {apart} apart of {allocated_more}");
    leave(server, clients);
    let most = before.charged + left + LITTLE;
    let is_credited = wait_until(PATIENCE, || charged(server) <= most);
    assert!(is_credited, "{kind}: {} stay charged", charged(server));
}

fn open(server: &Embedded, target: &str, further: &str) -> TcpStream {
    let mut client = Client::connect_narrow(server.addr(), 4096);
    client.open_at(target, further);
    client.into_stream()
}

fn send(stream: &TcpStream, bytes: &[u8]) {
    use std::io::Write;
    let mut stream = stream;
    stream.write_all(bytes).unwrap();
}

/// Connections that have each sent these bytes after the handshake.
fn senders(server: &Embedded, count: usize, further: &str, bytes: &[u8]) -> Vec<TcpStream> {
    let one = |_| {
        let stream = open(server, "/", further);
        send(&stream, bytes);
        stream
    };
    (0..count).map(one).collect()
}

/// Publishes, and waits while there is no room.
fn publish(server: &Embedded, topic: &str, payload: &[u8], retain: bool) {
    let publisher = server.publisher();
    let published = wait_until(PATIENCE, || {
        let payload = Payload::binary(payload.to_vec());
        let result = match retain {
            true => publisher.retain(topic, payload),
            false => publisher.publish(topic, payload),
        };
        result != Err(PublishError::Full)
    });
    assert!(published);
}

/// Requests that are incomplete do not time out, however slow the machine is.
fn patient() -> Config {
    let mut config = Config::default();
    config.timeouts.handshake = Duration::from_secs(600);
    config.timeouts.body = Duration::from_secs(600);
    config
}

fn with_deflate() -> Config {
    let mut config = Config::default();
    config.deflate.enabled = true;
    config
}

#[test]
fn incomplete_messages() {
    let beginning = wire::cut_short(FIN | BINARY, 2 * MIB, &vec![1; MIB + MIB / 2]);
    agree("incomplete messages", Config::default(), 20 * MIB, |server| {
        senders(server, 20, "", &beginning)
    });
}

#[test]
fn inflated_messages() {
    let payload = deflated(&vec![b'a'; MIB + MIB / 2]);
    let beginning = wire::frame(RSV1 | TEXT, &payload);
    let extension = "Sec-WebSocket-Extensions: permessage-deflate\r\n";
    agree("inflated messages", with_deflate(), 20 * MIB, |server| {
        senders(server, 20, extension, &beginning)
    });
    // One byte is enough to need a decompressor.
    let beginning = wire::cut_short(FIN | RSV1 | TEXT, 100, &payload[..1]);
    agree("decompressors", with_deflate(), 4 * MIB, |server| {
        senders(server, 100, extension, &beginning)
    });
}

#[test]
fn windows_that_are_kept() {
    let mut config = with_deflate();
    config.deflate.server_context_takeover = true;
    config.deflate.client_context_takeover = true;
    let text = "a text that is long enough to be compressed ".repeat(1000);
    let message = wire::frame(FIN | RSV1 | TEXT, &deflated(text.as_bytes()));
    let extension = "Sec-WebSocket-Extensions: permessage-deflate\r\n";
    agree("windows", config, 10 * MIB, |server| senders(server, 40, extension, &message));
}

#[test]
fn queued_replies() {
    let message = wire::frame(FIN | BINARY, &vec![1; 12 * MIB]);
    agree("a long reply", Config::default(), 24 * MIB, |server| senders(server, 4, "", &message));
}

/// Long messages are held once, however many subscribers wait for them.
#[test]
fn messages_that_wait_for_subscribers() {
    let mut config = Config::default();
    config.pubsub.slow = SlowConsumer::DropNewest;
    agree("long messages", config.clone(), 32 * MIB, |server| {
        let open = |number| open(server, &format!("/topics/{}?role=sub", number % 4), "");
        let subscribers = (0..80).map(open).collect();
        for _ in 0..3 {
            for topic in ["0", "1", "2", "3"] {
                publish(server, topic, &vec![1; 12 * MIB], false);
            }
        }
        subscribers
    });
    agree("short messages", config, 4 * MIB, |server| {
        let open = |_| {
            let mut client = Client::connect_narrow(server.addr(), 4096);
            client.open_at("/pubsub", "");
            client.send(&wire::frame(FIN | TEXT, br##"{"subscribe":"#"}"##));
            client.read_frame();
            client.into_stream()
        };
        let subscribers: Vec<TcpStream> = (0..40).map(open).collect();
        publish(server, "long", &vec![b' '; 6 * MIB], false);
        settled(server);
        for number in 0..3000 {
            publish(server, &format!("a/{number}"), b"short", false);
        }
        subscribers
    });
}

/// Each message of a client comes with a topic of its own, which is as long as many messages.
#[test]
fn short_messages_of_long_topics() {
    agree("long topics", Config::default(), 4 * MIB, |server| {
        let topic = |number: usize| format!("{number}{}", "x".repeat(250));
        let open = |number| {
            let mut client = Client::connect_narrow(server.addr(), 4096);
            client.open_at("/pubsub", "");
            let request = format!("{{\"subscribe\":[\"long\",\"{}\"]}}", topic(number));
            client.send(&wire::frame(FIN | TEXT, request.as_bytes()));
            client.read_frame();
            client.into_stream()
        };
        let subscribers: Vec<TcpStream> = (0..20).map(open).collect();
        publish(server, "long", &vec![b' '; 6 * MIB], false);
        settled(server);
        let mut publisher = Client::connect_narrow(server.addr(), 4096);
        publisher.open_at("/pubsub", "");
        for _ in 0..400 {
            for number in 0..20 {
                let request = format!("{{\"publish\":\"{}\",\"data\":1}}", topic(number));
                publisher.send(&wire::frame(FIN | TEXT, request.as_bytes()));
            }
            publisher.send(&wire::frame(FIN | TEXT, br#"{"publish":"x","data":1,"id":1}"#));
            publisher.read_frame();
        }
        subscribers
    });
}

/// The gaps of a subscriber that lost messages of many topics are counted by topic.
#[test]
fn gaps() {
    let mut config = Config::default();
    config.pubsub.slow = SlowConsumer::DropOldest;
    config.pubsub.queue = 4 << 10;
    agree("gaps", config, MIB, |server| {
        let open = |_| open(server, "/pubsub", "");
        let subscribers: Vec<TcpStream> = (0..20).map(open).collect();
        for subscriber in &subscribers {
            send(subscriber, &wire::frame(FIN | TEXT, br##"{"subscribe":"#"}"##));
        }
        settled(server);
        publish(server, "long", &vec![b' '; 6 * MIB], false);
        settled(server);
        for number in 0..1500 {
            publish(server, &format!("a/{number}"), b"short", false);
        }
        subscribers
    });
}

/// Retained values stay until they are cleared; then a note of each topic is kept for a while.
#[test]
fn retained_values() {
    for (count, len, note) in [(100, 200 << 10, 200), (4000, 30, 200)] {
        let topic = |number: usize| format!("some/topic/{number:06}");
        let hold = |server: &Embedded| {
            (0..count).for_each(|number| publish(server, &topic(number), &vec![1; len], true));
        };
        let clear = |server: &Embedded, ()| {
            (0..count).for_each(|number| publish(server, &topic(number), b"", true));
        };
        agree_until("retained values", Config::default(), count * len, hold, clear, count * note);
    }
}

/// The name of a filter of a client, by their numbers.
type Name<'a> = &'a dyn Fn(usize, usize) -> String;

/// Short and long names, with and without wildcards, of one subscriber each and of many.
#[test]
fn filters() {
    let long = "level/".repeat(30);
    let kinds: [(&str, Name<'_>); 5] = [
        ("filters", &|client, number| format!("some/{client}/{number}")),
        ("long filters", &|client, number| format!("{long}{client}/{number}")),
        ("wildcards", &|client, number| format!("some/+/{client}/{number}")),
        ("deep wildcards", &|client, number| format!("{client}/{number}/{}+", "a/".repeat(28))),
        ("shared filters", &|_, number| format!("some/{number}/+")),
    ];
    for (kind, name) in kinds {
        agree(kind, Config::default(), MIB / 2, |server| {
            let subscribe = |client| {
                let stream = open(server, "/pubsub", "");
                // Short requests leave no long vectors behind for reuse.
                for from in (0..120).step_by(10) {
                    let names = (from..from + 10).map(|number| name(client, number));
                    let names = serde_json::to_string(&names.collect::<Vec<_>>()).unwrap();
                    let request = format!("{{\"subscribe\":{names}}}");
                    send(&stream, &wire::frame(FIN | TEXT, request.as_bytes()));
                }
                stream
            };
            (0..80).map(subscribe).collect()
        });
    }
}

/// A retained value is encoded once for many subscribers, which read none of it.
#[test]
fn a_long_retained_value_is_held_once() {
    const LEN: usize = 14 * MIB;
    let _serial = SERIAL.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let server = Embedded::start_on(Config::default(), 1);
    publish(&server, "big", &vec![b'1'; LEN], true);
    let before = settled(&server);
    assert!((LEN..LEN + MIB).contains(&before.charged));
    allocator::reset_peak();
    let mut subscribers = Vec::new();
    for _ in 0..100 {
        let mut raw = Client::connect_narrow(server.addr(), 4096);
        raw.open_at("/topics/big?role=sub", "");
        let mut json = Client::connect_narrow(server.addr(), 4096);
        json.open_at("/pubsub", "");
        json.send(&wire::frame(FIN | TEXT, br##"{"subscribe":"#"}"##));
        subscribers.extend([raw, json]);
    }
    let held = settled(&server);
    println!("{held:?}, peak {}", allocator::peak());
    // In each of the two encodings once.
    let more = held.charged - before.charged;
    assert!((2 * LEN..2 * LEN + 2 * MIB).contains(&more), "{more}");
    assert!(allocator::peak() - before.allocated < 5 * LEN, "{}", allocator::peak());
    drop(subscribers);
    assert!(wait_until(PATIENCE, || charged(&server) <= before.charged + LITTLE));
}

#[test]
fn partial_heads() {
    let head = request_to("/", &format!("Cookie: {}\r\n", "c".repeat(6000)));
    agree("partial heads", patient(), MIB, |server| {
        let begin = |_| {
            let stream = TcpStream::connect(server.addr()).unwrap();
            send(&stream, &head[..head.len() - 2]);
            stream
        };
        (0..200).map(begin).collect()
    });
}

#[test]
fn partial_bodies() {
    let cookie = "c".repeat(6000);
    let head =
        format!("POST / HTTP/1.1\r\nHost: h\r\nCookie: {cookie}\r\nContent-Length: 9\r\n\r\n");
    agree("partial bodies", patient(), MIB, |server| {
        let begin = |_| {
            let stream = TcpStream::connect(server.addr()).unwrap();
            send(&stream, format!("{head}half").as_bytes());
            stream
        };
        (0..200).map(begin).collect()
    });
}
