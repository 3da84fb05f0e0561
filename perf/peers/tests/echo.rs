//! Every peer does its part of the comparison: it echoes, and those with topics fan out.
//!
//! `UWS_PEER=path/of/uws cargo test` tests the uWebSockets peer as well.

mod client;
mod server;
mod tls;

use std::io::Write;
use std::net::Shutdown;
use std::thread;
use std::time::Duration;

use client::{BINARY, Client, PING, PONG, TEXT, frame};
use server::{Server, all, with_topics};

/// Bytes that do not repeat within a frame.
fn pattern(len: usize, seed: usize) -> Vec<u8> {
    (0..len).map(|i| u8::try_from((i * 7 + i / 251 + seed) % 256).unwrap()).collect()
}

#[test]
fn messages_come_back_as_they_were() {
    for peer in all() {
        let server = Server::start(&peer);
        let mut client = Client::open(server.address(), "/any/path");
        for (opcode, payload) in [
            (TEXT, b"hello".to_vec()),
            (TEXT, "\u{d55c}\u{ad6d}\u{c5b4} ".repeat(1500).into_bytes()),
            (BINARY, pattern(125, 1)),
            (BINARY, pattern(126, 2)),
            (BINARY, pattern(16 << 10, 3)),
            (BINARY, pattern(70_000, 4)),
            (BINARY, Vec::new()),
            (BINARY, pattern(9 << 20, 5)),
        ] {
            client.send(&frame(opcode, &payload));
            let (first, came) = client.receive();
            assert_eq!(first, 0x80 | opcode, "{} at {} bytes", peer.name, payload.len());
            assert!(came == payload, "{} at {} bytes", peer.name, payload.len());
        }
    }
}

#[test]
fn a_message_in_fragments_and_byte_by_byte_comes_back_whole() {
    for peer in all() {
        let server = Server::start(&peer);
        let mut client = Client::open(server.address(), "/");
        let mut first = frame(TEXT, b"frag");
        first[0] = TEXT;
        let last = frame(0, b"ments");
        for byte in [first, last, frame(TEXT, b"next")].concat() {
            client.send(&[byte]);
        }
        assert_eq!(client.receive(), (0x80 | TEXT, b"fragments".to_vec()), "{}", peer.name);
        assert_eq!(client.receive(), (0x80 | TEXT, b"next".to_vec()), "{}", peer.name);
    }
}

#[test]
fn pipelined_messages_come_back_in_order() {
    for peer in all() {
        let server = Server::start(&peer);
        let mut client = Client::open(server.address(), "/");
        for round in 0..20 {
            let payloads: Vec<_> = (0..16).map(|i| pattern(20 + i * round, i)).collect();
            client.send(&payloads.iter().flat_map(|p| frame(BINARY, p)).collect::<Vec<u8>>());
            for payload in payloads {
                assert_eq!(client.receive(), (0x80 | BINARY, payload), "{}", peer.name);
            }
        }
    }
}

#[test]
fn a_ping_is_answered() {
    for peer in all() {
        let server = Server::start(&peer);
        let mut client = Client::open(server.address(), "/");
        client.send(&frame(PING, b"are you there"));
        assert_eq!(client.receive(), (0x80 | PONG, b"are you there".to_vec()), "{}", peer.name);
        client.send(&frame(TEXT, b"so am I"));
        assert_eq!(client.receive(), (0x80 | TEXT, b"so am I".to_vec()), "{}", peer.name);
    }
}

#[test]
fn nothing_is_lost_where_the_client_reads_late() {
    const FRAMES: usize = 150;
    for peer in all() {
        let server = Server::start(&peer);
        let mut client = Client::open(server.address(), "/");
        let mut writer = client.writer();
        let sender = thread::spawn(move || {
            for i in 0..FRAMES {
                writer.write_all(&frame(BINARY, &pattern(70_000, i))).unwrap();
            }
        });
        thread::sleep(Duration::from_millis(300));
        for i in 0..FRAMES {
            let (_, came) = client.receive();
            assert!(came == pattern(70_000, i), "{}: message {i}", peer.name);
        }
        sender.join().unwrap();
    }
}

#[test]
fn a_close_frame_is_answered_and_the_connection_ends() {
    for peer in all() {
        let server = Server::start(&peer);
        let mut client = Client::open(server.address(), "/");
        client.send(&frame(8, &1000_u16.to_be_bytes()));
        let (first, payload) = client.receive();
        assert_eq!((first, &payload[..2]), (0x88, &1000_u16.to_be_bytes()[..]), "{}", peer.name);
        client.writer().shutdown(Shutdown::Write).unwrap();
        assert_eq!(client.rest(), b"", "{}", peer.name);
    }
}

#[test]
fn a_published_message_reaches_the_other_subscribers() {
    for peer in all().into_iter().filter(with_topics) {
        let server = Server::start(&peer);
        let open = |target: &str| Client::open(server.address(), target);
        let mut subscribers: Vec<_> = (0..3).map(|_| open("/topics/news?role=sub")).collect();
        let mut elsewhere = open("/topics/other?role=sub");
        let mut publisher = open("/topics/news?role=pub");
        // A subscriber gets messages from its answer to a ping on.
        for client in subscribers.iter_mut().chain([&mut elsewhere]) {
            client.send(&frame(PING, b""));
            assert_eq!(client.receive(), (0x80 | PONG, Vec::new()), "{}", peer.name);
        }
        let burst = |seed: usize| (0..64).map(move |i| pattern(64 + i, seed));
        publisher.send(&burst(0).flat_map(|p| frame(BINARY, &p)).collect::<Vec<u8>>());
        subscribers[1].send(&frame(TEXT, b"from a subscriber"));
        for (at, subscriber) in subscribers.iter_mut().enumerate() {
            let mut came: Vec<_> = (0..64).map(|_| subscriber.receive()).collect();
            if at != 1 {
                came.push(subscriber.receive());
                let position = came.iter().position(|(first, _)| *first == 0x80 | TEXT).unwrap();
                assert_eq!(came.remove(position).1, b"from a subscriber", "{}", peer.name);
            }
            let wanted: Vec<_> = burst(0).map(|p| (0x80 | BINARY, p)).collect();
            assert!(came == wanted, "{}: subscriber {at}", peer.name);
        }
        // The publisher and other topics have received nothing: the pong comes first.
        for client in [&mut publisher, &mut elsewhere, &mut subscribers[1]] {
            client.send(&frame(PING, b"last"));
            assert_eq!(client.receive(), (0x80 | PONG, b"last".to_vec()), "{}", peer.name);
        }
        // A subscriber that has left does not matter.
        drop(subscribers.remove(0));
        publisher.send(&frame(TEXT, b"still there"));
        for subscriber in &mut subscribers {
            assert_eq!(subscriber.receive().1, b"still there", "{}", peer.name);
        }
    }
}

#[test]
fn compression_is_agreed_where_the_library_has_it() {
    // "Hello", as compressed in RFC 7692 section 7.2.3.1.
    const HELLO: [u8; 7] = [0xF2, 0x48, 0xCD, 0xC9, 0xC9, 0x07, 0x00];
    for peer in all().into_iter().filter(|peer| ["sockudo-ws", "tokio-uring"].contains(&peer.name))
    {
        let server = Server::start(&peer);
        let offer = "Sec-WebSocket-Extensions: permessage-deflate\r\n";
        let (mut client, head) = Client::open_with(server.address(), "/", offer);
        assert!(head.contains("permessage-deflate"), "{}: {head}", peer.name);
        let mut compressed = frame(TEXT, &HELLO);
        compressed[0] |= 0x40;
        client.send(&compressed);
        match client.receive() {
            (0xC1, payload) => assert_eq!(payload, HELLO, "{}", peer.name),
            reply => assert_eq!(reply, (0x81, b"Hello".to_vec()), "{}", peer.name),
        }
    }
}

#[test]
fn the_ceiling_sends_back_what_it_gets_in_order_however_late_it_is_read() {
    let server = Server::start(&server::ceiling());
    for round in 0..3 {
        let mut client = Client::connect(server.address());
        let mut writer = client.writer();
        let sent = pattern(24 << 20, round);
        let bytes = sent.clone();
        let sender = thread::spawn(move || {
            for piece in bytes.chunks(1000 + 99_999 * round) {
                writer.write_all(piece).unwrap();
            }
            writer.shutdown(Shutdown::Write).unwrap();
        });
        thread::sleep(Duration::from_millis(300));
        assert!(client.rest() == sent, "round {round}");
        sender.join().unwrap();
    }
}

#[test]
fn each_names_its_library_with_the_version_of_the_lock_file() {
    let lock = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.lock")).unwrap();
    for peer in all().into_iter().chain([server::ceiling()]).filter(|peer| peer.is_of_cargo) {
        let line = peer.version();
        let (library, version) = line.split_once(' ').unwrap();
        let name = if peer.name == "ceiling" { "io-uring" } else { peer.name };
        assert_eq!(library, name);
        let package = format!("name = \"{library}\"\nversion = \"{version}\"\n");
        assert!(lock.contains(&package), "{line}");
    }
}
