//! Peers that are slow, silent or disconnected, and the timeouts of the server.

use std::io::Write;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crate::support::client::{Client, End, request};
use crate::support::host::{sockets_on, wait_until};
use crate::support::library::Embedded;
use crate::support::server::Server;
use crate::support::wire::{self, BINARY, CLOSE, FIN, PING, PONG, TEXT};
use corecast::config::Config;

const HANDSHAKE: Duration = Duration::from_secs(5);
/// The tolerance for deadlines on a busy machine. The server promises 0.1 s.
const SLACK: Duration = Duration::from_millis(500);
const PING_AFTER: Duration = Duration::from_secs(1);

const REQUEST_TIMEOUT: &str = "HTTP/1.1 408 Request Timeout\r\nConnection: close\r\n\
    Content-Type: text/plain; charset=utf-8\r\nContent-Length: 37\r\n\r\n\
    The request took too long to arrive.\n";

fn assert_near(took: Duration, due: Duration) {
    let early = due.saturating_sub(Duration::from_millis(150));
    assert!(took >= early && took <= due + SLACK, "after {took:?} instead of {due:?}");
}

/// Sends `head` one byte at a time with `pause` between, from another thread, until a send fails.
fn trickle(client: &Client, head: Vec<u8>, pause: Duration) {
    let mut stream = client.stream().try_clone().unwrap();
    std::thread::spawn(move || {
        for byte in head {
            if stream.write_all(&[byte]).is_err() {
                return;
            }
            std::thread::sleep(pause);
        }
    });
}

#[test]
fn a_handshake_has_5_seconds_at_any_rate() {
    let server = Server::start(&[]);
    let start = Instant::now();
    let mut nothing = Client::connect(server.addr());
    let mut half = Client::connect(server.addr());
    half.send(&request("")[..60]);
    let mut steady = Client::connect(server.addr());
    let endless = [&request("")[..40], &[b'x'; 4_000]].concat();
    trickle(&steady, endless, Duration::from_millis(20));
    let mut many: Vec<Client> = (0..300).map(|_| Client::connect(server.addr())).collect();
    for client in &mut many {
        client.send(b"GET / HTTP/1.1\r\n");
    }
    // Well-behaved clients are served during that time.
    for _ in 0..20 {
        Client::open(server.addr()).close();
        std::thread::sleep(Duration::from_millis(100));
    }
    nothing.expect_end(b"");
    assert_near(start.elapsed(), HANDSHAKE);
    for client in [&mut half, &mut steady].into_iter().chain(&mut many) {
        client.expect_end(REQUEST_TIMEOUT.as_bytes());
    }
    assert_near(start.elapsed(), HANDSHAKE);
    drop((nothing, half, steady, many));
    server.await_no_connections(Duration::from_secs(4));
}

#[test]
fn a_slow_handshake_within_5_seconds_is_served() {
    let server = Server::start(&[]);
    let mut client = Client::connect(server.addr());
    trickle(&client, request(""), Duration::from_millis(15));
    assert_eq!(client.read_head().status, "HTTP/1.1 101 Switching Protocols");
    client.expect_alive();
    client.close();
}

fn keepalive(addr: SocketAddr) {
    let mut client = Client::open(addr);
    for _ in 0..3 {
        let start = Instant::now();
        client.expect(&wire::unmasked(FIN | PING, b""));
        assert_near(start.elapsed(), PING_AFTER);
        client.send(&wire::frame(FIN | PONG, b""));
    }
    client.close();
}

#[test]
fn a_silent_peer_is_pinged_repeatedly() {
    let server = Server::start(&["--ping-after", "1"]);
    keepalive(server.addr());
}

#[test]
fn a_peer_that_sends_is_not_pinged() {
    let server = Server::start(&["--ping-after", "1"]);
    let mut client = Client::open(server.addr());
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(3) {
        client.send(&wire::frame(FIN | TEXT, b"talk"));
        client.expect(&wire::unmasked(FIN | TEXT, b"talk"));
        std::thread::sleep(Duration::from_millis(200));
    }
    client.close();
}

/// A server with short timeouts.
fn short(change: impl FnOnce(&mut Config)) -> Embedded {
    let mut config = Config::default();
    config.timeouts.drain = Duration::from_millis(100);
    change(&mut config);
    Embedded::start(config)
}

#[test]
fn without_a_pong_the_connection_is_closed_with_1001() {
    let server = short(|config| {
        config.timeouts.ping_after = Duration::from_secs(1);
        config.timeouts.pong = Duration::from_secs(1);
        config.timeouts.close = Duration::from_secs(1);
    });
    let mut silent = Client::open(server.addr());
    let start = Instant::now();
    silent.expect(&wire::unmasked(FIN | PING, b""));
    assert_near(start.elapsed(), Duration::from_secs(1));
    silent.expect(&wire::server_close(1001, "no pong in time"));
    assert_near(start.elapsed(), Duration::from_secs(2));
    // The peer does not answer the close frame either: the server ends the connection by itself.
    silent.expect_end(b"");
    assert_near(start.elapsed(), Duration::from_secs(3));
}

#[test]
fn any_input_counts_as_a_pong() {
    let server = short(|config| {
        config.timeouts.ping_after = Duration::from_secs(1);
        config.timeouts.pong = Duration::from_secs(1);
    });
    let mut client = Client::open(server.addr());
    client.expect(&wire::unmasked(FIN | PING, b""));
    // Half a frame header counts as input.
    client.send(&[0x81]);
    client.expect(&wire::unmasked(FIN | PING, b""));
    client.send(&wire::frame(FIN | TEXT, b"x")[1..]);
    client.expect(&wire::unmasked(FIN | TEXT, b"x"));
    client.close();
}

#[test]
fn without_messages_the_connection_is_closed_with_1001() {
    let server = Server::start(&["--idle-timeout", "2"]);
    let start = Instant::now();
    let mut idle = Client::open(server.addr());
    let mut pinging = Client::open(server.addr());
    let mut talking = Client::open(server.addr());
    for _ in 0..4 {
        std::thread::sleep(Duration::from_millis(300));
        pinging.expect_alive();
        talking.send(&wire::frame(FIN | TEXT, b"talk"));
        talking.expect(&wire::unmasked(FIN | TEXT, b"talk"));
    }
    let close = wire::server_close(1001, "idle for too long");
    // Pings are not messages.
    pinging.expect(&close);
    idle.expect(&close);
    assert_near(start.elapsed(), Duration::from_secs(2));
    idle.send(&wire::frame(FIN | CLOSE, &[0x03, 0xe9]));
    idle.expect_end(b"");
    talking.expect(&close);
    assert_near(start.elapsed(), Duration::from_millis(3_200));
}

#[test]
fn pings_do_not_restart_the_idle_timeout() {
    let server = Server::start(&["--ping-after", "1", "--idle-timeout", "2"]);
    let start = Instant::now();
    let mut client = Client::open(server.addr());
    loop {
        let frame = client.read_frame();
        if frame.first == FIN | CLOSE {
            assert_eq!(frame.payload, wire::close_payload(1001, b"idle for too long"));
            break;
        }
        assert_eq!(frame.first, FIN | PING);
        client.send(&wire::frame(FIN | PONG, &frame.payload));
    }
    assert_near(start.elapsed(), Duration::from_secs(2));
}

#[test]
fn after_a_violation_the_server_reads_for_at_most_2_seconds() {
    let server = Server::start(&[]);
    let mut client = Client::open(server.addr());
    client.send(&wire::unmasked(FIN | TEXT, b"bare"));
    client.expect_end(&wire::server_close(1002, "client frame without a mask"));
    let start = Instant::now();
    // The server has sent FIN. It reads further input, but not for ever.
    let mut sent = 0;
    while client.try_send(&[0; 1_000]) {
        sent += 1;
        std::thread::sleep(Duration::from_millis(10));
        assert!(start.elapsed() < Duration::from_secs(5), "it reads on and on");
    }
    assert!(sent > 50, "only {sent} writes before a reset");
    assert_near(start.elapsed(), Duration::from_secs(2));
    assert!(wait_until(SLACK, || sockets_on(server.addr().port()) == 0));
}

#[test]
fn a_peer_that_sends_fin_without_a_close_frame_is_released() {
    let server = Server::start(&[]);
    let mut clean = Client::open(server.addr());
    clean.finish();
    clean.expect_end(b"");
    let mut inside = Client::open(server.addr());
    inside.send(&wire::cut_short(FIN | BINARY, 100, b"half"));
    inside.finish();
    inside.expect_end(b"");
    let mut early = Client::connect(server.addr());
    early.send(b"GET / HTT");
    early.finish();
    let (_, end) = early.read_to_end(Duration::from_secs(1));
    assert_eq!(end, End::Fin);
    drop((clean, inside, early));
    server.await_no_connections(Duration::from_secs(3));
}

#[test]
fn replies_are_sent_after_the_client_s_fin() {
    let server = Server::start(&[]);
    let mut client = Client::open(server.addr());
    let message = vec![9; 300_000];
    client.send(&wire::frame(FIN | BINARY, &message));
    client.finish();
    client.expect_end(&wire::unmasked(FIN | BINARY, &message));
}

#[test]
fn a_peer_that_never_reads_is_cut() {
    let server = short(|config| config.timeouts.stall = Duration::from_secs(1));
    let mut client = Client::open(server.addr());
    client.stream().set_write_timeout(Some(Duration::from_millis(500))).unwrap();
    client.send_in_steps(&wire::frame(FIN | BINARY, &vec![1; 60_000]).repeat(400), 60_000);
    let port = server.addr().port();
    assert!(wait_until(Duration::from_secs(4), || sockets_on(port) == 0), "still connected");
}
