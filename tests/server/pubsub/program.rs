//! Goal: a program publishes from any thread: accepted messages arrive in order, and each other
//! message is an error. Method: a server in this process. A handler that blocks its core until the
//! test releases it fills the inbox reliably.

use std::net::SocketAddr;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

use corecast::app::echo::Echo;
use corecast::app::{Accept, Context, Handler, Upgrade};
use corecast::app::{PublishError, Publisher};
use corecast::config::Config;
use corecast::protocol::websocket::handshake::Request;
use corecast::pubsub::{NameError, Payload};
use corecast::server::allowed_cores;
use corecast::session::Message;

use crate::pubsub::common::{Json, delivery, raw, text};
use crate::pubsub::many_clients::expect_all;
use crate::support::backend;
use crate::support::client::Client;
use crate::support::library::Embedded;
use crate::support::wire::{self, FIN, TEXT};

const LIMIT: Duration = Duration::from_secs(10);

/// Publishes again until it is accepted; returns the number of refusals.
fn insist(publisher: &Publisher, topic: &str, payload: &Payload) -> usize {
    let mut refused = 0;
    loop {
        match publisher.publish(topic, payload.clone()) {
            Ok(()) => return refused,
            Err(PublishError::Full) => {
                refused += 1;
                std::thread::yield_now();
            }
            Err(other) => panic!("{other}"),
        }
    }
}

#[test]
fn several_loops_on_a_core_are_one_server() {
    const LOOPS: usize = 3;
    let server = Embedded::start_loops(Config::default(), LOOPS);
    let subscriber = |_| raw(server.addr(), "t?role=sub");
    let mut clients: Vec<Client> = (0..64).map(subscriber).collect();
    // One publisher for each loop.
    for number in 0..LOOPS {
        insist(&server.publisher(), "t", &Payload::text(number.to_string()));
    }
    let mut seen = vec![Vec::new(); clients.len()];
    expect_all(&mut clients, LIMIT, |number, frame| {
        seen[number].push(frame.payload);
        seen[number].len() == LOOPS
    });
    for mut seen in seen {
        seen.sort();
        assert_eq!(seen, [b"0", b"1", b"2"]);
    }
    drop(clients);
    let accepted: Vec<u64> = server.stop().iter().map(|stats| stats.accepted).collect();
    assert_eq!(accepted.len(), LOOPS);
    assert_eq!(accepted.iter().sum::<u64>(), 64);
    assert!(accepted.iter().all(|accepted| *accepted > 0), "{accepted:?}");
}

#[test]
fn threads_publish_in_order() {
    const EACH: usize = 1_500;
    const THREADS: usize = 4;
    let mut config = Config::default();
    config.pubsub.queue = 64 << 20;
    let server = Embedded::start_on(config, 2);
    let mut clients: Vec<Client> =
        (0..8).map(|_| Json::subscribed(server.addr(), &["p/+", "p/#"]).client).collect();
    clients.extend((0..8).map(|n| raw(server.addr(), &format!("p/{}?role=sub", n % 2))));
    let threads: Vec<_> = (0..THREADS)
        .map(|who| {
            // Two threads share the inbox of each core.
            let publisher = server.publisher().clone();
            std::thread::spawn(move || {
                let send = |number: usize| {
                    let said = format!("[{who},{number},\"{}\"]", "p".repeat(number % 300));
                    let payload = match number % 2 {
                        0 => Payload::text(said),
                        _ => Payload::binary(said.into_bytes()),
                    };
                    (0..2).map(|t| insist(&publisher, &format!("p/{t}"), &payload)).sum::<usize>()
                };
                (0..EACH).map(send).sum::<usize>()
            })
        })
        .collect();
    let mut next = vec![[[0; 2]; THREADS]; clients.len()];
    expect_all(&mut clients, LIMIT, |number, frame| {
        let said: serde_json::Value = serde_json::from_slice(&frame.payload).unwrap();
        let (topic, data) = match said["topic"].as_str() {
            Some(topic) => (usize::from(topic == "p/1"), &said["data"]),
            None => (number % 2, &said),
        };
        let who = usize::try_from(data[0].as_u64().unwrap()).unwrap();
        let next = &mut next[number];
        assert_eq!(data[1], next[who][topic], "subscriber {number}, thread {who}");
        next[who][topic] += 1;
        let per_thread = if number < 8 { 2 * EACH } else { EACH };
        next.as_flattened().iter().sum::<usize>() == THREADS * per_thread
    });
    let refused: usize = threads.into_iter().map(|thread| thread.join().unwrap()).sum();
    println!("{refused} times full");
    clients.iter_mut().for_each(Client::expect_alive);
    drop(clients);
    assert!(server.stop().iter().all(|stats| stats.accepted > 0), "a core served no connection");
}

/// A handler that blocks its core from a message on until the test releases it.
struct Holding {
    held: SyncSender<()>,
    go: Receiver<()>,
}

impl Handler for Holding {
    type Connection = ();
    type User = ();

    fn upgrade(&mut self, request: &Request<'_>, accept: &mut Accept) -> Upgrade<()> {
        Echo.upgrade(request, accept)
    }

    fn message<'a>(&mut self, (): &mut (), _: Message<'a>, cx: &mut Context<'_, 'a>) {
        self.held.send(()).unwrap();
        self.go.recv_timeout(LIMIT).unwrap();
        cx.text("done").unwrap();
    }
}

/// Runs `fill` while the only core of a server is blocked, and then `then` with a subscriber to `f`
/// and the result of `fill`.
fn while_held<T>(
    config: Config,
    fill: impl FnOnce(&Publisher) -> T,
    then: impl FnOnce(&mut Client, T),
) {
    let (held, is_held) = sync_channel(1);
    let (let_go, go) = sync_channel(1);
    let parts = std::sync::Mutex::new(Some((held, go)));
    let make = move |_, _: &_| {
        let (held, go) = parts.lock().unwrap().take().unwrap();
        Holding { held, go }
    };
    let address = SocketAddr::from(([127, 0, 0, 1], 0));
    let server = backend::server(config).listen(address).cores(vec![allowed_cores()[0]]);
    let running = server.start(make).unwrap();
    let publisher = running.publisher();
    let mut subscriber = raw(running.addresses()[0], "f?role=sub");
    let mut holder = Client::open(running.addresses()[0]);
    holder.send(&text("hold"));
    is_held.recv_timeout(LIMIT).unwrap();
    let filled = fill(&publisher);
    let_go.send(()).unwrap();
    holder.expect(&wire::unmasked(FIN | TEXT, b"done"));
    then(&mut subscriber, filled);
    // There is room again.
    insist(&publisher, "f", &Payload::text("after"));
    subscriber.expect(&wire::unmasked(FIN | TEXT, b"after"));
    drop((subscriber, holder));
    running.drain();
    running.join().unwrap();
    assert_eq!(publisher.publish("f", Payload::text("x")), Err(PublishError::Stopped));
}

#[test]
fn a_full_inbox_is_an_error_and_accepted_messages_arrive() {
    let mut config = Config::default();
    config.pubsub.queue = 64 << 20;
    let fill = |publisher: &Publisher| {
        let taken = (0..5_000_u32)
            .take_while(|n| publisher.publish("f", Payload::text(n.to_string())).is_ok())
            .count();
        assert!((100..5_000).contains(&taken), "{taken} were taken");
        assert_eq!(publisher.clone().publish("f", Payload::text("x")), Err(PublishError::Full));
        taken
    };
    while_held(config, fill, |subscriber, taken| {
        for number in 0..taken {
            assert_eq!(subscriber.read_frame().payload, number.to_string().as_bytes());
        }
    });
}

#[test]
fn an_inbox_is_bounded_by_bytes_as_well() {
    let mut config = Config::default();
    (config.pubsub.queue, config.pubsub.backlog) = (64 << 20, 100_000);
    let fill = |publisher: &Publisher| {
        let taken = (0..100_u8)
            .take_while(|n| publisher.publish("f", Payload::binary(vec![*n; 30_000])).is_ok())
            .count();
        assert_eq!(taken, 3);
        // A small message still fits.
        publisher.publish("f", Payload::text("small")).unwrap();
        taken
    };
    while_held(config, fill, |subscriber, taken| {
        for number in 0..taken {
            assert_eq!(
                subscriber.read_frame().payload,
                vec![u8::try_from(number).unwrap(); 30_000]
            );
        }
        subscriber.expect(&wire::unmasked(FIN | TEXT, b"small"));
    });
}

#[test]
fn invalid_messages_are_refused() {
    let mut config = Config::default();
    config.limits.max_message = 1_000;
    let server = Embedded::start_on(config, 2);
    let publisher = server.publisher();
    let mut json = Json::subscribed(server.addr(), &["#"]);
    let publish = |topic: &str, size| publisher.publish(topic, Payload::binary(vec![b'1'; size]));
    assert_eq!(publish("a", 1_001), Err(PublishError::TooLarge));
    assert_eq!(publish("", 1), Err(PublishError::Topic(NameError::Empty)));
    assert_eq!(publish("a/+", 1), Err(PublishError::Topic(NameError::WildcardInTopic)));
    let long = NameError::TooLong { len: 256, max: 255 };
    assert_eq!(publish(&"x".repeat(256), 1), Err(PublishError::Topic(long)));
    assert_eq!(
        publisher.retain("a\0", Payload::text("1")),
        Err(PublishError::Topic(NameError::Nul))
    );
    publish("a", 1_000).unwrap();
    json.expect(&delivery("a", &"1".repeat(1_000)));
    json.expect_nothing();
    drop(json);
    server.stop();
    for publisher in [publisher.clone(), publisher] {
        assert_eq!(publisher.publish("a", Payload::text("1")), Err(PublishError::Stopped));
    }
}
