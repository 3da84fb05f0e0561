//! What the server does when clients, or the application, ask too much of it, is counted.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use corecast::app::{Accept, Context, Handler, Upgrade};
use corecast::config::{Config, SlowConsumer};
use corecast::protocol::websocket::handshake::Request;
use corecast::server::{Listen, Listening, ServerHandle, allowed_cores};
use corecast::session::Message;

use crate::admin::page::{Administrated, Metrics};
use crate::support::backend;
use crate::support::client::{Client, PATIENCE, request};
use crate::support::host::wait_until;
use crate::support::wire::{self, BINARY, FIN, TEXT, frame};

/// Waits until a counter has this value.
fn await_value(metrics: impl Fn() -> Metrics, name: &str, value: f64) {
    let is_met = wait_until(PATIENCE, || metrics().get(name) == value);
    assert!(is_met, "{name} is {} instead of {value}", metrics().get(name));
}

/// A client that does not read the echoes is not read from.
#[test]
fn clients_that_are_not_read_from() {
    let paused = "corecast_paused_clients_total";
    let server = Administrated::start(&["--send-queue", "64KiB"]);
    let mut client = Client::open(server.addr());
    client.send(&frame(FIN | TEXT, b"hello"));
    client.read_frame();
    assert_eq!(server.metrics().get(paused), 0.0);
    let mut silent = Client::connect_narrow(server.addr(), 4 << 10);
    silent.open_at("/", "");
    silent.stream().set_write_timeout(Some(Duration::from_millis(500))).unwrap();
    let message = frame(FIN | BINARY, &[7; 60_000]);
    let taken = (0..1_000).take_while(|_| silent.try_send(&message)).count();
    assert!(taken < 1_000);
    // More than once if the kernel makes room for more meanwhile.
    assert!(wait_until(PATIENCE, || server.metrics().get(paused) >= 1.0));
    client.expect_alive();
}

#[test]
fn bytes_that_are_delayed() {
    let of =
        |action: &str| format!("corecast_rate_limits_total{{of=\"bytes\",action=\"{action}\"}}");
    let server = Administrated::start(&["--byte-rate", "5000", "--byte-burst", "1000"]);
    let mut client = Client::open(server.addr());
    let message = frame(FIN | BINARY, &[1; 400]);
    client.send(&message);
    assert_eq!(client.read_frame().payload.len(), 400);
    assert_eq!(server.metrics().get(&of("delay")), 0.0);
    client.send(&message.repeat(4));
    (0..4).for_each(|_| assert_eq!(client.read_frame().payload.len(), 400));
    let metrics = server.metrics();
    let all = metrics.0.iter().filter(|(name, _)| name.starts_with("corecast_rate_limits"));
    let delays = metrics.get(&of("delay"));
    assert!(delays >= 1.0 && all.map(|(_, count)| count).sum::<f64>() == delays, "{metrics:#?}");
    client.expect_alive();
}

/// The beginning of a message of 64 KiB.
fn beginning() -> Vec<u8> {
    wire::cut_short(FIN | BINARY, 64 << 10, &[5; 60_000])
}

/// Incomplete messages beyond the limit of memory: those that hold the most are closed with 1009,
/// and meanwhile newcomers are answered with 503. Each is counted once.
#[test]
fn want_of_memory() {
    const ROUNDS: usize = 100;
    let refused = "corecast_refused_connections_total{limit=\"memory\"}";
    let shed = "corecast_shed_connections_total";
    // One that the machine did not let send for a second is slow.
    let closed = [1008, 1009].map(|code| {
        format!("corecast_closed_connections_total{{cause=\"memory\",code=\"{code}\"}}")
    });
    let server = Administrated::start(&["--max-memory", "1MiB", "--max-message", "128KiB"]);
    let mut unserved = 0;
    for _ in 0..ROUNDS {
        let mut holders: Vec<Client> = (0..30).map(|_| Client::open(server.addr())).collect();
        let mut newcomers = Vec::new();
        for holder in &mut holders {
            holder.try_send(&beginning());
            let mut newcomer = Client::connect(server.addr());
            newcomer.send(&request(""));
            newcomers.push(newcomer);
        }
        for newcomer in &mut newcomers {
            match newcomer.read_head().status.split(' ').nth(1).unwrap() {
                "101" => {}
                status => {
                    assert_eq!(status, "503");
                    unserved += 1;
                }
            }
        }
        drop((holders, newcomers));
        let is_free = || server.connections().is_empty();
        assert!(wait_until(PATIENCE, is_free), "connections stay");
        let metrics = server.metrics();
        assert_eq!(metrics.get(refused), f64::from(unserved));
        if unserved > 0 && metrics.get(shed) > 0.0 {
            break;
        }
    }
    let metrics = server.metrics();
    assert!(unserved > 0, "nobody was refused in {ROUNDS} rounds");
    let closed: f64 = closed.iter().map(|name| metrics.get(name)).sum();
    assert!(metrics.get(shed) > 0.0 && closed == metrics.get(shed), "{metrics:#?}");
    Client::open(server.addr()).expect_alive();
}

/// Sends as many messages of 64 KiB as a message asks for, and counts those that are refused; or
/// panics.
struct Pushy(Arc<AtomicU64>);

impl Handler for Pushy {
    type Connection = ();
    type User = ();

    fn upgrade(&mut self, _: &Request<'_>, _: &mut Accept) -> Upgrade<()> {
        Upgrade::Accept(())
    }

    fn message<'a>(&mut self, (): &mut (), message: Message<'a>, cx: &mut Context<'_, 'a>) {
        let count: u32 = message.text().and_then(|text| text.parse().ok()).expect("a number");
        for _ in 0..count {
            if cx.binary(&[9; 64 << 10]).is_err() {
                self.0.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
}

/// A server in this process with a listener of its own for connections through a proxy.
struct Pushing {
    running: ServerHandle,
    admin: SocketAddr,
    proxied: SocketAddr,
    refused: Arc<AtomicU64>,
}

impl Pushing {
    fn start() -> Self {
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut config = Config::default();
        config.pubsub.slow = SlowConsumer::DropNewest;
        let server = backend::server(config).listen(any).listen_on(Listen::tcp(any).admin());
        let server = server.listen_on(Listen::tcp(any).proxy_protocol());
        let server = server.cores(vec![allowed_cores()[0]]).watchdog(None);
        let refused = Arc::new(AtomicU64::new(0));
        let counter = Arc::clone(&refused);
        let running = server.start(move |_, _| Pushy(Arc::clone(&counter))).unwrap();
        let at = |number: usize| match running.listening()[number] {
            Listening::Tcp(addr) => addr,
            _ => panic!(),
        };
        let (admin, proxied) = (at(1), at(2));
        Self { running, admin, proxied, refused }
    }

    fn addr(&self) -> SocketAddr {
        self.running.addresses()[0]
    }

    fn metrics(&self) -> Metrics {
        Metrics::of(self.admin)
    }
}

impl Drop for Pushing {
    fn drop(&mut self) {
        self.running.drain();
        let _ = self.running.join();
    }
}

/// What the application sends to one who does not read is dropped, and counted by its reason.
#[test]
fn messages_of_the_application_that_are_dropped() {
    let server = Pushing::start();
    let dropped = |reason: &str| {
        server.metrics().get(&format!("corecast_dropped_messages_total{{reason=\"{reason}\"}}"))
    };
    let mut client = Client::open(server.addr());
    client.send(&frame(FIN | TEXT, b"2"));
    (0..2).for_each(|_| assert_eq!(client.read_frame().payload.len(), 64 << 10));
    assert_eq!(dropped("slow_client"), 0.0);
    client.send(&frame(FIN | TEXT, b"300"));
    // The only loop tells of it after the callback.
    assert!(wait_until(PATIENCE, || dropped("slow_client") > 0.0));
    let refused = server.refused.load(Ordering::Relaxed);
    for _ in 0..300 - refused {
        assert_eq!(client.read_frame().payload.len(), 64 << 10);
    }
    assert_eq!(dropped("slow_client"), refused as f64);
    assert_eq!((dropped("slow_subscriber"), dropped("core_hangs")), (0.0, 0.0));
}

#[test]
fn panics_of_the_application() {
    let server = Pushing::start();
    for panics in 1..=3 {
        let mut client = Client::open(server.addr());
        client.send(&frame(FIN | TEXT, b"no number"));
        client.expect(&wire::server_close(1011, "internal error"));
        assert_eq!(server.metrics().get("corecast_handler_panics_total"), f64::from(panics));
    }
}

#[test]
fn connections_without_the_header_of_a_proxy() {
    let server = Pushing::start();
    let without = "corecast_without_proxy_header_total";
    let open = |before: &[u8]| {
        let mut client = Client::connect(server.proxied);
        client.send(&[before, &request("")].concat());
        client
    };
    let mut right = open(b"PROXY TCP4 192.0.2.1 198.51.100.2 4711 9001\r\n");
    assert!(right.read_head().status.contains(" 101 "));
    assert_eq!(server.metrics().get(without), 0.0);
    for (number, wrong) in
        [&b""[..], b"PROXY TCP4 192.0.2.1\r\n", b"\x16\x03\x01"].iter().enumerate()
    {
        let (said, _) = open(wrong).read_to_end(PATIENCE);
        assert!(said.is_empty(), "{said:?}");
        await_value(|| server.metrics(), without, (number + 1) as f64);
    }
    // Another listener asks for none.
    Client::open(server.addr()).expect_alive();
    assert_eq!(server.metrics().get(without), 3.0);
}

/// Silent clients that hold little each, and most of the memory between them, cost nobody the
/// connection who sends a message of any size.
#[test]
fn silent_clients_with_little_each_are_closed_first() {
    const LIMIT: usize = 16 << 20;
    let codes = [1008, 1009, 1013].map(|code| {
        format!("corecast_closed_connections_total{{cause=\"memory\",code=\"{code}\"}}")
    });
    let server = Administrated::start(&["--max-memory", "16MiB"]);
    let held = || {
        let metrics = server.metrics();
        let of_loops =
            metrics.0.iter().filter(|(name, _)| name.starts_with("corecast_memory_bytes"));
        of_loops.map(|(_, bytes)| bytes).sum::<f64>()
    };
    let mut silent = Vec::new();
    let part = wire::cut_short(FIN | BINARY, 65_000, &[5; 31_000]);
    while silent.len() < 600 && held() < (LIMIT / 8 * 7 - 200_000) as f64 {
        for _ in 0..4 {
            let mut client = Client::open(server.addr());
            client.send(&part);
            silent.push(client);
        }
    }
    assert!((300..600).contains(&silent.len()), "{}", silent.len());
    std::thread::sleep(Duration::from_millis(1_200));
    let mut subscriber = Client::connect(server.addr());
    subscriber.open_at("/topics/t?role=sub", "");
    let mut publisher = Client::connect(server.addr());
    publisher.open_at("/topics/t?role=pub", "");
    for len in [2 << 20, 100_000, 2 << 20] {
        let mut client = Client::open(server.addr());
        let message = frame(FIN | BINARY, &vec![7; len]);
        let (most, last) = message.split_at(message.len() - 1);
        client.send(most);
        // So that it is held for some turns.
        std::thread::sleep(Duration::from_millis(50));
        client.send(last);
        client.expect(&wire::unmasked(FIN | BINARY, &vec![7; len]));
        publisher.send(&frame(FIN | BINARY, &[8; 20_000]));
        subscriber.expect(&wire::unmasked(FIN | BINARY, &[8; 20_000]));
        client.close();
    }
    let shed = server.metrics().get("corecast_shed_connections_total");
    assert!(shed > 10.0 && shed < silent.len() as f64, "{shed} of {}", silent.len());
    // Their ends are counted once they have left.
    drop(silent);
    let ends = || codes.each_ref().map(|name| server.metrics().get(name));
    assert!(wait_until(PATIENCE, || ends() == [shed, 0.0, 0.0]), "{:?} of {shed}", ends());
}
