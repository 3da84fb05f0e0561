//! Goal: subscribers that negotiated compression get deliveries compressed within their window,
//! next to others that get them uncompressed. Method: subscribers with each window, on all cores;
//! their messages are inflated in pieces smaller than the window, so that a reference beyond the
//! window is an error.

use corecast::config::Config;
use flate2::{Decompress, FlushDecompress};

use crate::pubsub::common::{Json, delivery, raw, text};
use crate::support::client::Client;
use crate::support::deflate::{self, Inflater};
use crate::support::library::Embedded;
use crate::support::server::Server;
use crate::support::wire::{self, FIN, RSV1, TEXT};

const TAIL: [u8; 4] = [0, 0, 0xFF, 0xFF];

/// A connection to a path, with the extension offer `offer`.
fn offering(server: &Server, path: &str, offer: &str) -> Client {
    let mut client = Client::connect(server.addr());
    let head = client.open_at(path, &format!("Sec-WebSocket-Extensions: {offer}\r\n"));
    let answer = head.get("Sec-WebSocket-Extensions").expect("an agreement");
    assert!(answer.contains("server_no_context_takeover"), "{answer}");
    client
}

/// Inflates a message with a window of `bits`, a few bytes at a time.
fn inflate(payload: &[u8], bits: u8) -> Vec<u8> {
    let input = [payload, &TAIL].concat();
    let mut inflater = Decompress::new_with_window_bits(false, bits.max(9));
    let (mut out, mut piece) = (Vec::new(), [0; 16]);
    loop {
        let (before_in, before_out) = (inflater.total_in(), inflater.total_out());
        let rest = &input[usize::try_from(before_in).unwrap()..];
        inflater.decompress(rest, &mut piece, FlushDecompress::Sync).expect("within the window");
        let made = usize::try_from(inflater.total_out() - before_out).unwrap();
        out.extend_from_slice(&piece[..made]);
        if made < piece.len() && usize::try_from(inflater.total_in()).unwrap() == input.len() {
            return out;
        }
    }
}

/// Text that repeats itself at distances from one byte to 30,000, with the distance.
fn messages() -> Vec<(usize, String)> {
    let mut random = fastrand::Rng::with_seed(7);
    let mut noise = |len: usize| (0..len).map(|_| random.alphanumeric()).collect::<String>();
    let mut messages = vec![(1, "x".repeat(200)), (1, "y".repeat(100_000))];
    for distance in [100, 300, 700, 1_500, 3_000, 6_000, 12_000, 30_000] {
        messages.push((distance, noise(distance).repeat(3)));
    }
    messages
}

#[test]
fn every_subscriber_can_inflate_with_its_window() {
    let server = Server::start(&["--subscriber-queue", "64MiB"]);
    let mut compressed = Vec::new();
    for bits in 8..=15 {
        let offer = format!("permessage-deflate; server_max_window_bits={bits}");
        for _ in 0..3 {
            compressed.push((bits, offering(&server, "/topics/z?role=sub", &offer)));
        }
    }
    compressed.push((15, offering(&server, "/topics/z", "permessage-deflate")));
    let mut plain: Vec<Client> = (0..6).map(|_| raw(server.addr(), "z")).collect();
    let mut publishers: Vec<Client> = (0..6).map(|_| raw(server.addr(), "z?role=pub")).collect();
    publishers.push(offering(&server, "/topics/z?role=pub", "permessage-deflate"));
    for (number, (distance, message)) in messages().iter().enumerate() {
        let publisher = publishers.len() - 1 - number % publishers.len();
        let frame = match publisher {
            6 => wire::frame(FIN | RSV1 | TEXT, &deflate::deflated(message.as_bytes())),
            _ => text(message),
        };
        publishers[publisher].send(&frame);
        for client in &mut plain {
            client.expect(&wire::unmasked(FIN | TEXT, message.as_bytes()));
        }
        let mut shorter = 0;
        for (bits, client) in &mut compressed {
            let frame = client.read_frame();
            // The server may use a smaller window than was negotiated, and zlib leaves 262 bytes of
            // each window unused.
            let used = [9, 12, 15].into_iter().rfind(|used| used <= bits).unwrap_or(9);
            if distance + 262 < 1 << used {
                assert_eq!(frame.first, FIN | RSV1 | TEXT, "{bits} bits, distance {distance}");
                assert!(frame.payload.len() < message.len() / 2, "{bits} bits, {distance}");
                shorter += 1;
            }
            let got = match frame.first & RSV1 {
                0 => frame.payload,
                _ => inflate(&frame.payload, *bits),
            };
            assert!(got == message.as_bytes(), "{bits} bits, message {number}");
        }
        assert!(shorter > 0, "no reference goes back {distance} bytes");
    }
    for message in ["", "short"] {
        publishers[0].send(&text(message));
        for client in compressed.iter_mut().map(|(_, client)| client).chain(&mut plain) {
            // Too short for compression.
            client.expect(&wire::unmasked(FIN | TEXT, message.as_bytes()));
        }
    }
}

#[test]
fn many_messages_at_once_stay_in_order_in_every_form() {
    let server = Server::start(&["--subscriber-queue", "64MiB"]);
    let mut clients: Vec<Client> = (0..24)
        .map(|n| match n % 4 {
            0 => offering(&server, "/pubsub", "permessage-deflate; server_max_window_bits=10"),
            1 => offering(&server, "/pubsub", "permessage-deflate"),
            _ => {
                let mut client = Client::connect(server.addr());
                client.open_at("/pubsub", "");
                client
            }
        })
        .collect();
    for client in &mut clients {
        client.send(&text(r#"{"subscribe":["d","+"]}"#));
        client.expect(&wire::unmasked(FIN | TEXT, br#"{"subscribed":["d","+"]}"#));
    }
    let mut publisher = raw(server.addr(), "d?role=pub");
    let data = |n: usize| format!("[{n},\"{}\"]", "again and ".repeat(n % 40));
    publisher.send(&(0..400).flat_map(|n| text(data(n))).collect::<Vec<_>>());
    for (number, client) in clients.iter_mut().enumerate() {
        let mut compressed = 0;
        for n in 0..400 {
            let mut frame = client.read_frame();
            if frame.first & RSV1 != 0 {
                frame.payload = inflate(&frame.payload, if number % 4 == 0 { 10 } else { 15 });
                compressed += 1;
            }
            assert_eq!(frame.payload, delivery("d", &data(n)).as_bytes());
        }
        assert_eq!(compressed > 200, number % 4 < 2, "{compressed} were compressed");
        client.expect_alive();
    }
}

#[test]
fn a_kept_window_is_used_for_answers_only() {
    let mut config = Config::default();
    config.deflate.enabled = true;
    config.deflate.server_context_takeover = true;
    config.deflate.client_context_takeover = true;
    let server = Embedded::start_on(config, 2);
    let mut client = Client::connect(server.addr());
    let extension = "Sec-WebSocket-Extensions: permessage-deflate\r\n";
    let head = client.open_at("/pubsub", extension);
    let agreed = head.get("Sec-WebSocket-Extensions").unwrap();
    assert!(!agreed.contains("server_no_context_takeover"), "{agreed}");
    let mut publisher = Json::open(server.addr());
    let (mut inflater, data) = (Inflater::new(), format!("\"{}\"", "d".repeat(500)));
    for round in 0..20 {
        // Long answers, which refer to earlier ones.
        let name = format!("k/{}/{round}", "n".repeat(200));
        client.send(&text(format!(r#"{{"subscribe":["k","{name}"]}}"#)));
        let answer = client.read_frame();
        let said = match answer.first {
            first if first == FIN | RSV1 | TEXT => inflater.message(&answer.payload).unwrap(),
            _ => answer.payload,
        };
        assert_eq!(said, format!(r#"{{"subscribed":["k","{name}"]}}"#).as_bytes());
        publisher.publish("k", &data, "");
        client.expect(&wire::unmasked(FIN | TEXT, delivery("k", &data).as_bytes()));
    }
}
