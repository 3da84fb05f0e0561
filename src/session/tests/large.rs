//! Messages to an endpoint of the server that come in pieces: the service sees each piece, is
//! charged for what it holds, and may keep the memory of a large one.

use bytes::Bytes;

use super::{Bench, answer, frame};
use crate::base::{ConnectionId, Work};
use crate::config::Config;
use crate::protocol::websocket::Opcode;
use crate::protocol::websocket::handshake::Request;
use crate::session::{Accept, EndpointId, Inbound, Message, Replies, Terms, Verdict};

const KEY: [u8; 4] = [1, 2, 3, 4];
const TEXT: u8 = 0x01;
const CONTINUATION: u8 = 0x00;
const FIN: u8 = 0x80;
/// What the service says that it holds for each byte so far.
const HELD: usize = 3;

/// Keeps large messages that begin with `k`, and answers each message with its length.
#[derive(Default)]
struct Keeping {
    so_far: Vec<Vec<u8>>,
    kept: Vec<Bytes>,
    small: usize,
}

impl Inbound for Keeping {
    fn upgrade(&mut self, _: ConnectionId, _: &Request<'_>, _: Terms<'_>) -> Verdict {
        Verdict::Accept(Accept { endpoint: EndpointId(1), ..Accept::default() })
    }

    fn message<'a, const BUILT_IN: bool>(
        &mut self,
        _: ConnectionId,
        message: Message<'a>,
        replies: &mut Replies<'a>,
    ) {
        assert!(BUILT_IN);
        self.small += 1;
        replies.send(Opcode::Text, message.payload().len().to_string().as_bytes());
    }

    fn large_message<'a>(
        &mut self,
        _: ConnectionId,
        message: Message<'a>,
        memory: &Bytes,
        replies: &mut Replies<'a>,
    ) {
        if message.payload().starts_with(b"k") {
            self.kept.push(memory.slice_ref(message.payload()));
        }
        replies.send(message.opcode(), message.payload().len().to_string().as_bytes());
    }

    fn assembling(&mut self, _: ConnectionId, opcode: Opcode, so_far: &[u8]) -> usize {
        assert_eq!(opcode, Opcode::Text);
        self.so_far.push(so_far.to_vec());
        so_far.len() * HELD
    }
}

/// Sends `text` in frames of 40,000 bytes; returns what is answered.
fn send(bench: &mut Bench<Keeping>, text: &[u8]) -> Vec<u8> {
    let pieces: Vec<&[u8]> = text.chunks(40_000).collect();
    let mut said = Vec::new();
    for (number, piece) in pieces.iter().enumerate() {
        let kind = if number == 0 { TEXT } else { CONTINUATION };
        let fin = if number + 1 == pieces.len() { FIN } else { 0 };
        said.extend(bench.receive(&frame(kind | fin, piece, KEY)));
        if fin == 0 {
            let len = bench.service.so_far.last().unwrap().len();
            assert!(bench.session.memory() >= len * (HELD + 1), "what is held is charged");
        }
    }
    assert_eq!(bench.session.memory(), 0);
    said
}

#[test]
fn pieces_are_seen_as_they_come_and_large_memory_may_be_kept() {
    let mut bench = Bench::of(Keeping::default(), Config::default()).opened();
    for (first, len) in [("k", 100_000), ("k", 300_000), ("x", 300_000), ("k", 300_001)] {
        let text = [first.as_bytes(), &vec![b'.'; len - 1]].concat();
        let said = send(&mut bench, &text);
        assert_eq!(said, answer(Opcode::Text, len.to_string().as_bytes()));
        let pieces = std::mem::take(&mut bench.service.so_far);
        assert_eq!(pieces.len(), len.div_ceil(40_000));
        for (number, so_far) in pieces.iter().enumerate() {
            assert!(so_far[..] == text[..((number + 1) * 40_000).min(len)]);
        }
        match bench.service.kept.pop() {
            Some(kept) => assert!(first == "k" && len > 200_000 && kept == text),
            None => assert!(first == "x" || len < 200_000),
        }
    }
    assert_eq!(bench.service.small, 1);
    // The memory that was not kept is used again.
    assert!(bench.pools.buffers.take_large(300_000).capacity() >= 300_000);
    assert_eq!(bench.receive(&frame(FIN | TEXT, b"alone", KEY)), answer(Opcode::Text, b"5"));
    assert!(bench.service.so_far.is_empty(), "a message in one piece is not announced");
}

/// A message that grows is copied each time its vector does: megabytes at once, if it is large.
#[test]
fn the_copies_of_a_message_that_grows_are_counted() {
    const LEN: usize = 1 << 20;
    let mut bench = Bench::open();
    let header = [&[0x82, 0xFF][..], &(LEN as u64).to_be_bytes(), &KEY].concat();
    bench.receive(&header);
    bench.pools.work.begin_turn();
    bench.pools.work.allow(u64::MAX);
    let before = LEN / 2;
    bench.receive(&vec![0; before]);
    let received = bench.pools.work.take();
    bench.receive(&vec![0; before - 1]);
    let copied = bench.pools.work.take();
    assert!(copied > received + Work::of_payload(before) / 2, "{copied}, {received}");
}
