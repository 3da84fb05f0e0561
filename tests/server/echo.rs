//! Echo integrity: every message comes back unchanged, for all sizes, opcodes and fragmentations,
//! with many connections at a time.

use std::io::{BufReader, Read, Write};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use crate::support::client::Client;
use crate::support::deflate::{Inflater, deflated};
use crate::support::server::Server;
use crate::support::wire::{self, BINARY, CONTINUATION, FIN, RSV1, TEXT};
use fastrand::Rng;
use sha1::{Digest, Sha1};

/// The default limit of `corecast serve`.
const MAX_MESSAGE: usize = 16 << 20;
const CONNECTIONS: u64 = 64;
/// The least number of bytes that all connections send together; fewer without optimisation.
const TOTAL: usize = if cfg!(debug_assertions) { 128 << 20 } else { 1536 << 20 };
/// A connection that gets no byte for this long counts as hung.
const STUCK: Duration = Duration::from_secs(90);
/// The number of messages in flight on one connection.
const PIPELINED: usize = 32;
/// Lengths at the boundaries of headers, vector registers and receive buffers.
const EDGES: [usize; 16] = [
    0,
    1,
    2,
    15,
    16,
    64,
    125,
    126,
    127,
    16_434,
    16_435,
    16_442,
    16_448,
    65_535,
    65_536,
    MAX_MESSAGE,
];

/// The bytes of which messages are slices: random ones, and text of characters of one to four
/// bytes.
struct Material {
    binary: Vec<u8>,
    text: String,
}

impl Material {
    fn new(seed: u64) -> Self {
        const LEN: usize = 4 << 20;
        let mut random = Rng::with_seed(seed);
        let binary: Vec<u8> = std::iter::repeat_with(|| random.u8(..)).take(LEN).collect();
        let mut text = String::with_capacity(LEN + 4);
        while text.len() < LEN {
            let range = [0..=0x7f, 0x80..=0x7ff, 0x800..=0xffff, 0x1_0000..=0x10_ffff];
            let range = random.choice(range).unwrap();
            let code = random.u32(range);
            // Surrogates are not characters.
            text.extend(char::from_u32(code));
        }
        Self { binary, text }
    }

    /// A message of `len` bytes, or up to 3 less for text to end with a character.
    fn message(&self, opcode: u8, len: usize, random: &mut Rng) -> Vec<u8> {
        let mut message = Vec::with_capacity(len);
        while message.len() < len {
            let left = len - message.len();
            if opcode == BINARY {
                let from = random.usize(..self.binary.len());
                let piece = &self.binary[from..];
                message.extend_from_slice(&piece[..left.min(piece.len())]);
                continue;
            }
            let mut from = random.usize(..self.text.len());
            while !self.text.is_char_boundary(from) {
                from -= 1;
            }
            let piece = &self.text[from..];
            let piece = &piece[..piece.floor_char_boundary(left)];
            if piece.is_empty() {
                // The next character does not fit.
                if left < 4 {
                    break;
                }
                continue;
            }
            message.extend_from_slice(piece.as_bytes());
        }
        message
    }
}

/// XORs `payload` with `mask`, several bytes at a time.
fn mask_in_place(payload: &mut [u8], mask: [u8; 4]) {
    let key = u128::from_ne_bytes([mask; 4].concat().try_into().unwrap());
    let (blocks, rest) = payload.as_chunks_mut::<16>();
    for block in blocks {
        *block = (u128::from_ne_bytes(*block) ^ key).to_ne_bytes();
    }
    for (byte, key) in rest.iter_mut().zip(mask.iter().cycle()) {
        *byte ^= key;
    }
}

/// Appends a client's frame with a random mask.
fn append(out: &mut Vec<u8>, first: u8, payload: &[u8], random: &mut Rng) {
    let mask = random.u32(..).to_ne_bytes();
    let mut header = wire::header(first, wire::form_of(payload.len()), payload.len() as u64);
    let at = header.len() - 4;
    header[at..].copy_from_slice(&mask);
    out.extend_from_slice(&header);
    let from = out.len();
    out.extend_from_slice(payload);
    mask_in_place(&mut out[from..], mask);
}

/// Appends a message in a random number of fragments.
fn append_message(out: &mut Vec<u8>, opcode: u8, message: &[u8], random: &mut Rng) {
    let count = if random.u8(..3) == 0 { random.usize(1..=8) } else { 1 };
    let mut cuts: Vec<usize> = (1..count).map(|_| random.usize(..=message.len())).collect();
    cuts.sort_unstable();
    cuts.push(message.len());
    let mut from = 0;
    for (i, &to) in cuts.iter().enumerate() {
        let fin = if i + 1 == cuts.len() { FIN } else { 0 };
        let first = fin | if i == 0 { opcode } else { CONTINUATION };
        append(out, first, &message[from..to], random);
        from = to;
    }
}

/// A message that must come back.
#[derive(Debug, PartialEq, Eq)]
struct Expected {
    opcode: u8,
    len: usize,
    digest: Vec<u8>,
}

/// A length, log-uniform from 0 to the limit or to 64 KiB, sometimes at a boundary.
fn random_len(random: &mut Rng) -> usize {
    if random.u8(..8) == 0 {
        return random.choice(EDGES).unwrap();
    }
    let most = random.choice([1 << 16, 1 << 16, 1 << 16, MAX_MESSAGE]).unwrap();
    let most = (most as f64 + 1.0).ln();
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "within 24 bits")]
    let len = (random.f64() * most).exp() as usize - 1;
    len.min(MAX_MESSAGE)
}

/// Sends messages until `total` bytes are sent, and passes each to the reader.
fn send_messages(
    mut stream: impl Write,
    material: &Material,
    seed: u64,
    total: usize,
    expected: &SyncSender<Expected>,
) {
    let mut random = Rng::with_seed(seed);
    let (mut sent, mut out) = (0, Vec::new());
    while sent < total {
        out.clear();
        // Several small messages share a write.
        while out.len() < 4_096 {
            let opcode = random.choice([TEXT, BINARY]).unwrap();
            let message = material.message(opcode, random_len(&mut random), &mut random);
            append_message(&mut out, opcode, &message, &mut random);
            sent += message.len();
            let digest = Sha1::digest(&message).to_vec();
            expected.send(Expected { opcode, len: message.len(), digest }).unwrap();
            if random.bool() {
                break;
            }
        }
        stream.write_all(&out).unwrap();
    }
}

/// Reads replies until no more are expected; returns their number and bytes.
fn check_replies(stream: impl Read, seed: u64, expected: &Receiver<Expected>) -> (u64, u64) {
    let mut stream = BufReader::with_capacity(1 << 16, stream);
    let mut buffer = vec![0; 1 << 16];
    let (mut messages, mut bytes) = (0, 0);
    for expected in expected {
        let mut header = vec![0; 2];
        stream.read_exact(&mut header).unwrap();
        let more = [0, 2, 8][usize::from(header[1] > 125) + usize::from(header[1] == 127)];
        header.resize(2 + more, 0);
        stream.read_exact(&mut header[2..]).unwrap();
        let (_, len) = wire::server_header(&header).unwrap();
        let mut hash = Sha1::new();
        let mut left = len;
        while left > 0 {
            let piece = left.min(buffer.len());
            stream.read_exact(&mut buffer[..piece]).unwrap();
            hash.update(&buffer[..piece]);
            left -= piece;
        }
        let got = Expected { opcode: header[0], len, digest: hash.finalize().to_vec() };
        let expected = Expected { opcode: FIN | expected.opcode, ..expected };
        assert_eq!(got, expected, "message {messages} of seed {seed}");
        messages += 1;
        bytes += len as u64;
    }
    (messages, bytes)
}

/// One connection: one thread sends, this one checks.
fn run_connection(addr: SocketAddr, material: &Material, seed: u64, total: usize) -> (u64, u64) {
    let client = Client::open(addr);
    // On a busy machine 128 threads are slow; a hung server never finishes.
    client.stream().set_read_timeout(Some(STUCK)).unwrap();
    client.stream().set_write_timeout(Some(STUCK)).unwrap();
    let (sender, expected) = sync_channel(PIPELINED);
    let stream = client.stream().try_clone().unwrap();
    let counts = std::thread::scope(|scope| {
        scope.spawn(move || send_messages(stream, material, seed, total, &sender));
        check_replies(client.stream(), seed, &expected)
    });
    client.close();
    counts
}

#[test]
fn random_messages_over_64_connections_come_back_unchanged() {
    let server = Server::start(&[]);
    let (addr, start) = (server.addr(), Instant::now());
    let material = Arc::new(Material::new(1));
    let threads: Vec<_> = (0..CONNECTIONS)
        .map(|seed| {
            let material = Arc::clone(&material);
            let total = TOTAL / usize::try_from(CONNECTIONS).unwrap();
            std::thread::spawn(move || run_connection(addr, &material, seed, total))
        })
        .collect();
    let (mut messages, mut bytes) = (0, 0);
    for thread in threads {
        let counts = thread.join().unwrap();
        (messages, bytes) = (messages + counts.0, bytes + counts.1);
    }
    assert!(bytes >= TOTAL as u64, "{bytes} bytes are not enough");
    println!("{messages} messages, {} MiB, in {:?}", bytes >> 20, start.elapsed());
}

#[test]
fn the_limit_is_exact() {
    let server = Server::start(&[]);
    let mut random = Rng::with_seed(2);
    let material = Material::new(2);
    let mut client = Client::open(server.addr());
    for (opcode, pieces) in [(BINARY, 1), (TEXT, 1), (BINARY, 7)] {
        let mut message = material.message(opcode, MAX_MESSAGE, &mut random);
        message.resize(MAX_MESSAGE, b'.');
        let mut out = Vec::new();
        let step = MAX_MESSAGE / pieces + 1;
        for (i, piece) in message.chunks(step).enumerate() {
            let fin = if (i + 1) * step >= MAX_MESSAGE { FIN } else { 0 };
            append(&mut out, fin | if i == 0 { opcode } else { 0 }, piece, &mut random);
        }
        client.send(&out);
        let reply = client.read_frame();
        assert_eq!(reply.first, FIN | opcode);
        assert!(reply.payload == message, "16 MiB changed on the way");
    }
    client.send(&wire::header(FIN | BINARY, wire::Form::SixtyFour, MAX_MESSAGE as u64 + 1));
    client.expect_end(&wire::server_close(1009, "message above the size limit"));
}

#[test]
fn every_length_up_to_2000_pipelined() {
    let server = Server::start(&[]);
    let mut random = Rng::with_seed(3);
    let material = Material::new(3);
    for opcode in [TEXT, BINARY] {
        let (mut sends, mut expects) = (Vec::new(), Vec::new());
        for len in 0..2_000 {
            let message = material.message(opcode, len, &mut random);
            append(&mut sends, FIN | opcode, &message, &mut random);
            expects.extend(wire::unmasked(FIN | opcode, &message));
        }
        let mut client = Client::open(server.addr());
        let mut writer = Client::from_stream(client.stream().try_clone().unwrap());
        std::thread::scope(|scope| {
            scope.spawn(|| writer.send(&sends));
            client.expect(&expects);
        });
        client.close();
    }
}

#[test]
fn compressed_messages_come_back_unchanged() {
    let server = Server::start(&[]);
    let material = Material::new(4);
    let rounds = if cfg!(debug_assertions) { 40 } else { 200 };
    std::thread::scope(|scope| {
        for seed in 0..8 {
            let (material, addr) = (&material, server.addr());
            scope.spawn(move || run_compressed(addr, material, seed, rounds));
        }
    });
}

fn run_compressed(addr: SocketAddr, material: &Material, seed: u64, rounds: usize) {
    let mut random = Rng::with_seed(seed);
    let offer = "Sec-WebSocket-Extensions: permessage-deflate; client_no_context_takeover\r\n";
    let (mut client, head) = Client::open_with(addr, offer);
    let agreed = head.get("Sec-WebSocket-Extensions").unwrap().to_owned();
    assert!(agreed.starts_with("permessage-deflate;"), "{agreed}");
    let forgets = agreed.contains("server_no_context_takeover");
    let mut inflater = Inflater::new();
    for round in 0..rounds {
        let opcode = random.choice([TEXT, BINARY]).unwrap();
        let len = random_len(&mut random).min(300_000);
        let mut message = material.message(opcode, len, &mut random);
        if random.bool() {
            message = message.repeat(3);
        }
        let mut out = Vec::new();
        append_compressed(&mut out, opcode, &deflated(&message), &mut random);
        client.send(&out);
        let reply = client.read_frame();
        assert_eq!(reply.first & !RSV1, FIN | opcode, "round {round} of seed {seed}");
        if forgets {
            inflater = Inflater::new();
        }
        let payload = match reply.first & RSV1 {
            0 => reply.payload,
            _ => inflater.message(&reply.payload).unwrap(),
        };
        assert!(payload == message, "round {round} of seed {seed} changed on the way");
    }
    client.close();
}

/// Appends a compressed payload, half of the time in two fragments.
fn append_compressed(out: &mut Vec<u8>, opcode: u8, payload: &[u8], random: &mut Rng) {
    if random.bool() {
        return append(out, FIN | RSV1 | opcode, payload, random);
    }
    let (head, tail) = payload.split_at(random.usize(..=payload.len()));
    append(out, RSV1 | opcode, head, random);
    append(out, FIN, tail, random);
}
