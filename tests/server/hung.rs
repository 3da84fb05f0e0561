//! Goal: a loop that hangs harms nobody on the other loops, and the end of the server is not waited
//! for in vain. Method: a handler that sleeps for longer than the time after which a loop hangs, in
//! one of two loops on the same core.

use std::io::Write;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use corecast::app::{Accept, Context, Handler, Upgrade};
use corecast::config::Config;
use corecast::error::Error;
use corecast::protocol::websocket::handshake::Request;
use corecast::server::{ServerHandle, allowed_cores};
use corecast::session::Message;

use crate::support::backend;
use crate::support::client::{Client, End, request_to};
use crate::support::host::wait_until;
use crate::support::wire::{BINARY, FIN, TEXT, frame, unmasked};

/// Answers with the number of its loop. A message of digits holds the loop for so many
/// milliseconds.
struct Loop(usize);

impl Handler for Loop {
    type Connection = ();
    type User = ();

    fn upgrade(&mut self, _: &Request<'_>, _: &mut Accept) -> Upgrade<()> {
        Upgrade::Accept(())
    }

    fn message<'a>(&mut self, (): &mut (), message: Message<'a>, cx: &mut Context<'_, 'a>) {
        if let Ok(ms) = message.text().unwrap().parse() {
            std::thread::sleep(Duration::from_millis(ms));
        }
        let _ = cx.text(&self.0.to_string());
    }
}

fn start(loops: usize) -> ServerHandle {
    let mut config = Config::default();
    config.pubsub.backlog = 1 << 20;
    // Nobody is too slow: some clients read only at the end.
    config.pubsub.queue = 16 << 20;
    let next = AtomicUsize::new(0);
    backend::server(config)
        .listen(([127, 0, 0, 1], 0).into())
        .cores(vec![*allowed_cores().last().unwrap()])
        .loops_per_core(loops)
        .start(move |_, _| Loop(next.fetch_add(1, Ordering::Relaxed)))
        .unwrap()
}

/// A connection of each of the two loops.
fn one_of_each(addr: SocketAddr) -> [Client; 2] {
    let mut found = [None, None];
    while found.iter().any(Option::is_none) {
        let mut client = Client::open(addr);
        client.send(&frame(FIN | TEXT, b"which"));
        let number: usize =
            String::from_utf8(client.read_frame().payload).unwrap().parse().unwrap();
        found[number] = Some(client);
    }
    found.map(Option::unwrap)
}

fn topic(addr: SocketAddr, target: &str) -> Client {
    let mut client = Client::connect(addr);
    client.open_at(target, "");
    client
}

/// A connection of the loop that serves: the one of several that is answered first.
fn served(addr: SocketAddr, target: &str) -> Client {
    let mut candidates: Vec<_> = (0..12).map(|_| Client::connect(addr).into_stream()).collect();
    for stream in &mut candidates {
        stream.write_all(&request_to(target, "")).unwrap();
    }
    let is_answered = |stream: &TcpStream| {
        stream.set_read_timeout(Some(Duration::from_millis(10))).unwrap();
        stream.peek(&mut [0]).is_ok_and(|got| got == 1)
    };
    let mut answered = None;
    assert!(wait_until(Duration::from_secs(10), || {
        answered = candidates.iter().position(is_answered);
        answered.is_some()
    }));
    let stream = candidates.swap_remove(answered.unwrap());
    stream.set_read_timeout(None).unwrap();
    let mut client = Client::from_stream(stream);
    assert!(client.read_head().status.contains(" 101 "));
    client
}

#[test]
fn the_others_go_on_without_a_loop_that_hangs() {
    const MESSAGE: usize = 64 << 10;
    let server = start(2);
    let addr = server.addresses()[0];
    // Subscribers on both loops. On a busy machine one of them may accept many in a row.
    let mut subscribers = Vec::new();
    while subscribers.len() < 16 || server.stats().iter().any(|stats| stats.connections == 0) {
        assert!(subscribers.len() < 2_000, "one loop accepts all connections");
        subscribers.push(topic(addr, "/topics/t?role=sub"));
    }
    let [mut echo, mut hung] = one_of_each(addr);
    let began = Instant::now();
    hung.send(&frame(FIN | TEXT, b"20000"));
    std::thread::sleep(Duration::from_millis(100));
    // A new subscription waits for the loop until that is declared to hang, and then comes into
    // force.
    let mut subscriber = served(addr, "/topics/new?role=sub");
    // More than the queue between the loops holds: publishers do not wait.
    let mut publisher = served(addr, "/topics/new?role=pub");
    let mut many = served(addr, "/topics/t?role=pub");
    publisher.send(&frame(FIN | TEXT, b"first"));
    subscriber.expect(&unmasked(FIN | TEXT, b"first"));
    for _ in 0..64 {
        many.send(&frame(FIN | BINARY, &vec![7; MESSAGE]));
    }
    publisher.send(&frame(FIN | TEXT, b"second"));
    subscriber.expect(&unmasked(FIN | TEXT, b"second"));
    echo.send(&frame(FIN | TEXT, b"which"));
    echo.expect(&unmasked(FIN | TEXT, b"0"));
    assert!(began.elapsed() < Duration::from_secs(20), "the loop has gone on before the end");
    // It goes on. Its subscribers are closed, those of the other loop have missed nothing.
    hung.expect(&unmasked(FIN | TEXT, b"1"));
    let (mut closed, mut complete) = (0, 0);
    for client in &mut subscribers {
        let mut got = 0;
        loop {
            let frame = client.read_frame();
            if frame.first != FIN | BINARY {
                assert!(frame.payload.starts_with(&1013_u16.to_be_bytes()), "{frame:?}");
                closed += 1;
                break;
            }
            got += 1;
            if got == 64 {
                complete += 1;
                break;
            }
        }
    }
    assert!(closed > 0 && complete > 0, "{closed} closed, {complete} complete");
    let lost: u64 = server.stats().iter().map(|stats| stats.topics.lost).sum();
    assert!((1..64).contains(&lost), "{lost}");
    let mut again = topic(addr, "/topics/new?role=sub");
    publisher.send(&frame(FIN | TEXT, b"third"));
    again.expect(&unmasked(FIN | TEXT, b"third"));
    server.drain();
    drop((subscribers, echo, hung, subscriber, publisher, many, again));
    server.join().unwrap();
}

#[test]
fn the_end_is_not_waited_for_in_vain() {
    let server = start(1);
    let mut hung = Client::open(server.addresses()[0]);
    hung.send(&frame(FIN | TEXT, b"20000"));
    std::thread::sleep(Duration::from_millis(100));
    let other = server.clone();
    let joining = std::thread::spawn(move || other.join());
    std::thread::sleep(Duration::from_millis(100));
    assert!(!joining.is_finished());
    server.stop();
    let error = joining.join().unwrap().unwrap_err();
    assert!(matches!(&error, Error::Hung { cores } if cores == server.cores()), "{error}");
    // The callback has returned by then, and the rest is as usual.
    let (_, end) = hung.read_to_end(Duration::from_secs(40));
    assert!(end != End::Open);
    assert!(wait_until(Duration::from_secs(10), || server.join().is_ok()));
}

#[test]
fn a_server_without_handles_is_stopped_through_that_of_its_handlers() {
    /// Stops its server on any message.
    struct Stopper(ServerHandle);

    impl Handler for Stopper {
        type Connection = ();
        type User = ();

        fn upgrade(&mut self, _: &Request<'_>, _: &mut Accept) -> Upgrade<()> {
            Upgrade::Accept(())
        }

        fn message<'a>(&mut self, (): &mut (), _: Message<'a>, _: &mut Context<'_, 'a>) {
            self.0.stop();
        }
    }

    let server = backend::server(Config::default()).listen(([127, 0, 0, 1], 0).into());
    let server = server.start(|_, handle| Stopper(handle.clone())).unwrap();
    let addr = server.addresses()[0];
    drop(server);
    let mut client = Client::open(addr);
    client.send(&frame(FIN | TEXT, b"stop"));
    let (_, end) = client.read_to_end(Duration::from_secs(20));
    assert!(end != End::Open);
    let is_free = || TcpListener::bind(addr).is_ok();
    assert!(wait_until(Duration::from_secs(10), is_free));
}

#[test]
fn a_failed_start_leaves_no_thread_and_no_port() {
    for failing in [0, 1] {
        let held = Arc::new(());
        let addr = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let (next, in_handlers) = (AtomicUsize::new(0), Arc::clone(&held));
        let server = backend::server(Config::default())
            .listen(addr)
            .cores(vec![*allowed_cores().last().unwrap()])
            .loops_per_core(2);
        let error = server
            .start(move |_, _| {
                let number = next.fetch_add(1, Ordering::Relaxed);
                assert!(number != failing, "loop {number} fails");
                Held(Arc::clone(&in_handlers))
            })
            .unwrap_err();
        let text = format!("loop {failing} fails");
        assert!(matches!(&error, Error::Panic(panic) if *panic == text), "{error}");
        assert_eq!(Arc::strong_count(&held), 1, "no handler is left, and so no thread");
        // The kernel closes what a ring held some time after the ring itself.
        let is_free = || TcpListener::bind(addr).is_ok();
        assert!(wait_until(Duration::from_secs(10), is_free), "the port is free");
    }
}

/// Holds a count of the handlers that there are.
struct Held(#[allow(dead_code, reason = "counted by its clones")] Arc<()>);

impl Handler for Held {
    type Connection = ();
    type User = ();

    fn upgrade(&mut self, _: &Request<'_>, _: &mut Accept) -> Upgrade<()> {
        Upgrade::Accept(())
    }

    fn message<'a>(&mut self, (): &mut (), message: Message<'a>, cx: &mut Context<'_, 'a>) {
        cx.echo(message);
    }
}
