//! Messages that are small on the wire and large once inflated.

use super::parts::{LARGE, bomb, small_binary, small_text, text};
use crate::script::{Group, Then, Workload};
use crate::support::deflate::deflated;
use crate::support::wire::{self, BINARY, CONTINUATION, FIN, RSV1};

/// Stored blocks without content, and the start of a last one.
fn empty_blocks(count: usize) -> Vec<u8> {
    [[0x00, 0x00, 0x00, 0xFF, 0xFF].repeat(count), vec![0x00]].concat()
}

pub(super) const ALL: &[Workload] = &[
    Workload::many(
        "bombs-unread",
        "B16",
        "100 connections send messages of 16 KB that inflate to 16 MiB and read nothing",
        || vec![Group::to("/", 100).deflate().again(bomb()).unread()],
    ),
    Workload::one(
        "one-bomb-read",
        "B16",
        "one connection sends messages of 16 KB that inflate to 16 MiB and reads all",
        || vec![Group::to("/", 1).deflate().again(bomb())],
    ),
    Workload::many(
        "bombs-once",
        "B16",
        "100 connections send one message each that inflates to 16 MiB: 1.6 MB in all",
        || vec![Group::to("/", 100).deflate().first(bomb())],
    ),
    Workload::many(
        "bombs-and-leave",
        "B21",
        "100 connections send three bombs each, leave, and come again",
        || {
            let group = Group::to("/", 100).deflate().again(bomb()).times(3);
            vec![group.unread().then(Then::Resets).anew()]
        },
    ),
    Workload::many(
        "deflated-bytes",
        "B3",
        "50 connections flood compressed messages of one byte and read all",
        || vec![Group::to("/", 50).deflate().again(small_binary([7]).repeat(1_000))],
    ),
    Workload::many(
        "small-bombs",
        "B30",
        "8 connections flood messages of 86 bytes that inflate to 65,000 and read all",
        || vec![Group::to("/", 8).deflate().again(small_binary(vec![0; 65_000]).repeat(50))],
    ),
    Workload::many(
        "empty-blocks",
        "",
        "20 connections send compressed messages of 1 MB that inflate to nothing",
        || {
            let message = wire::frame(FIN | RSV1 | BINARY, &empty_blocks(200_000));
            vec![Group::to("/", 20).deflate().again(message)]
        },
    ),
    Workload::many(
        "bombs-in-pieces",
        "",
        "20 connections send bombs in fragments of 64 bytes and read nothing",
        || {
            let payload = deflated(&vec![0; LARGE]);
            let pieces: Vec<&[u8]> = payload.chunks(64).collect();
            let last = pieces.len() - 1;
            let frame = |(at, piece): (usize, &&[u8])| {
                let opcode = if at == 0 { RSV1 | BINARY } else { CONTINUATION };
                wire::frame(if at == last { FIN | opcode } else { opcode }, piece)
            };
            let message: Vec<u8> = pieces.iter().enumerate().flat_map(frame).collect();
            vec![Group::to("/", 20).deflate().again(message).unread()]
        },
    ),
    Workload::many(
        "windows",
        "",
        "500 connections keep a full window each way and send a compressed byte each 10 ms",
        || {
            let noise: Vec<u8> = (0..40_000_u32).map(|i| (i * 7_919 / 13 % 251) as u8).collect();
            let group = Group::to("/", 500).deflate().first(small_binary(noise));
            vec![group.again(small_binary([7])).every_ms(10)]
        },
    ),
    Workload::one(
        "one-plain-reply",
        "B3",
        "one connection that agreed to deflate sends plain text of 16 MiB: the echo is deflated",
        || vec![Group::to("/", 1).deflate().again(text("a".repeat(LARGE)))],
    ),
    Workload::one(
        "one-text-bomb",
        "",
        "one connection sends text that inflates to 16 MiB of four bytes for each character",
        || vec![Group::to("/", 1).deflate().again(small_text("\u{1F600}".repeat(LARGE / 4)))],
    ),
];
