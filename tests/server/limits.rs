//! The memory that clients can make the server hold: it grows with received bytes, never with
//! declared lengths, and ends at the limits.

use std::time::Duration;

use crate::support::client::{Client, request};
use crate::support::host::{address_space, rss, wait_until};
use crate::support::library::Embedded;
use crate::support::server::Server;
use crate::support::wire::{self, BINARY, CONTINUATION, FIN, Form, TEXT};
use corecast::config::Config;

const MIB: u64 = 1 << 20;

/// The growth of the server's memory while `work` runs.
fn growth(server: &Server, work: impl FnOnce()) -> u64 {
    let before = rss(server.pid());
    work();
    let grown = rss(server.pid()).saturating_sub(before);
    println!("memory grew by {} KiB", grown / 1024);
    grown
}

#[test]
fn two_thousand_declared_lengths_take_no_memory() {
    let server = Server::start(&[]);
    let mut clients: Vec<Client> = (0..2_000).map(|_| Client::open(server.addr())).collect();
    let space = address_space(server.pid());
    let grown = growth(&server, || {
        for (i, client) in clients.iter_mut().enumerate() {
            let first = [FIN | BINARY, FIN | TEXT, TEXT][i % 3];
            let most = [16 * MIB, 16 * MIB - 1, MIB][i % 3];
            client.send(
                &[wire::header(first, Form::SixtyFour, most), wire::xor(b"abc", wire::MASK)]
                    .concat(),
            );
        }
        std::thread::sleep(Duration::from_millis(500));
    });
    assert!(grown < 20 * MIB, "{grown} bytes for headers");
    // Reserving 2,000 times the declared length would take 22 GiB of address space, even if not
    // touched.
    let asked = address_space(server.pid()).saturating_sub(space);
    assert!(asked < 4096 * MIB, "{asked} bytes of address space for headers");
    let grown = growth(&server, || {
        for client in &mut clients {
            let (bytes, end) = client.read_to_end(Duration::from_millis(1));
            assert!(bytes.is_empty() && end == crate::support::client::End::Open, "{end:?}");
        }
    });
    assert!(grown < 20 * MIB);
}

#[test]
fn declared_lengths_above_the_limit_are_refused_at_once() {
    let server = Server::start(&[]);
    let too_big = wire::server_close(1009, "message above the size limit");
    let top_bit = wire::server_close(1002, "64-bit length with its top bit set");
    let mut clients: Vec<Client> = (0..400).map(|_| Client::open(server.addr())).collect();
    let grown = growth(&server, || {
        for (i, client) in clients.iter_mut().enumerate() {
            let lengths = [16 * MIB + 1, 1 << 32, (1 << 63) - 1, 1 << 63, u64::MAX];
            let len = lengths[i % lengths.len()];
            client.send(&wire::header(FIN | BINARY, Form::SixtyFour, len));
            client.expect_end(if len < 1 << 63 { &too_big } else { &top_bit });
        }
    });
    assert!(grown < 20 * MIB, "{grown} bytes for headers");
}

#[test]
fn endless_fragments_are_refused_at_the_limit() {
    const CAP: usize = 131_072;
    let server = Server::start(&[]);
    let bomb = wire::frame(CONTINUATION, b"").repeat(CAP);
    let grown = growth(&server, || {
        std::thread::scope(|scope| {
            for _ in 0..30 {
                scope.spawn(|| {
                    let mut client = Client::open(server.addr());
                    client.send(&wire::frame(BINARY, b""));
                    client.send_in_steps(&bomb, bomb.len());
                    let close = wire::server_close(1008, "message in too many fragments");
                    client.expect_end(&close);
                });
            }
        });
    });
    // The receive buffers of both cores, which are added as needed: 32 MiB at most. To keep
    // something for each fragment would take more than 60 MiB.
    assert!(grown < 40 * MIB, "{grown} bytes for empty fragments");
}

#[test]
fn clients_that_never_read_are_bounded_by_the_send_queue() {
    const CLIENTS: u64 = 40;
    let server = Server::start(&[]);
    let message = wire::frame(FIN | BINARY, &vec![3; 60_000]);
    let grown = growth(&server, || {
        std::thread::scope(|scope| {
            for _ in 0..CLIENTS {
                scope.spawn(|| {
                    let mut client = Client::open(server.addr());
                    client.stream().set_write_timeout(Some(Duration::from_secs(1))).unwrap();
                    // As much as the server takes: it must stop reading at some point.
                    for _ in 0..2_000 {
                        if !client.try_send(&message) {
                            return;
                        }
                    }
                    panic!("120 MB were taken from a client that reads nothing");
                });
            }
        });
    });
    // 256 KiB of queue, a message, and the input of two turns until the kernel has stopped
    // receiving: 540 KiB each, in vectors that grow by doubling. In addition what both cores keep:
    // 1,024 receive buffers of 16 KiB, and vectors for reuse of 12 MiB.
    assert!(grown < CLIENTS * 2 * MIB + 2 * (16 + 12) * MIB, "{grown} bytes for {CLIENTS} clients");
}

#[test]
fn a_decompression_bomb_takes_no_more_memory_than_a_message() {
    let server = Server::start(&["--max-message", "1MiB"]);
    let offer = "Sec-WebSocket-Extensions: permessage-deflate\r\n";
    let bomb = crate::support::deflate::deflated(&vec![0; 64 << 20]);
    assert!(bomb.len() < 100_000);
    let grown = growth(&server, || {
        for _ in 0..10 {
            let (mut client, _) = Client::open_with(server.addr(), offer);
            client.send(&wire::frame(FIN | wire::RSV1 | BINARY, &bomb));
            client.expect_end(&wire::server_close(1009, "message above the size limit"));
        }
    });
    // On each core a message of 1 MiB as it grows, and the compressed bytes; not 64 MiB.
    assert!(grown < 32 * MIB, "{grown} bytes for a bomb");
}

#[test]
fn a_full_server_answers_503_and_serves_again_later() {
    let mut config = Config::default();
    config.limits.max_connections = 3;
    config.timeouts.drain = Duration::from_millis(100);
    let server = Embedded::start(config);
    let mut clients: Vec<Client> = (0..3).map(|_| Client::open(server.addr())).collect();
    for _ in 0..5 {
        let mut late = Client::connect(server.addr());
        late.send(&request(""));
        let head = late.read_head();
        assert_eq!(head.status, "HTTP/1.1 503 Service Unavailable");
        assert_eq!(head.get("Retry-After"), Some("1"));
        assert_eq!(head.get("Connection"), Some("close"));
        late.expect_end(b"The server is full or stopping; try again later.\n");
    }
    for client in &mut clients {
        client.expect_alive();
    }
    clients.pop().unwrap().close();
    let served = wait_until(Duration::from_secs(3), || {
        let mut client = Client::connect(server.addr());
        client.send(&request(""));
        client.read_head().status == "HTTP/1.1 101 Switching Protocols"
    });
    assert!(served, "no place after one has left");
}

#[test]
fn every_client_of_a_full_server_is_answered() {
    let mut config = Config::default();
    config.limits.max_connections = 40;
    let server = Embedded::start(config);
    // At once: of those that are refused, who sends nothing may be closed without an answer.
    let ask = |_| {
        let mut client = Client::connect(server.addr());
        client.send(&request(""));
        client
    };
    let mut clients: Vec<Client> = (0..400).map(ask).collect();
    let mut accepted = 0;
    for client in &mut clients {
        match client.read_head().status.as_str() {
            "HTTP/1.1 101 Switching Protocols" => accepted += 1,
            status => assert_eq!(status, "HTTP/1.1 503 Service Unavailable"),
        }
    }
    assert!(accepted >= 40, "{accepted}");
}

#[test]
fn silent_connections_do_not_delay_a_503() {
    let mut config = Config::default();
    config.limits.max_connections = 10;
    let server = Embedded::start(config);
    let open: Vec<Client> = (0..100).map(|_| Client::connect(server.addr())).collect();
    let silent: Vec<Client> = (0..1_000).map(|_| Client::connect(server.addr())).collect();
    let began = std::time::Instant::now();
    let mut newcomer = Client::connect(server.addr());
    newcomer.send(&request(""));
    assert_eq!(newcomer.read_head().status, "HTTP/1.1 503 Service Unavailable");
    // Without an answer to silent connections it takes as long as their time to send a request.
    assert!(began.elapsed() < Duration::from_secs(4), "{:?}", began.elapsed());
    drop((open, silent));
}
