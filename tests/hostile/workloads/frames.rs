//! Small frames, control frames and plain messages in floods.

use super::parts::{LARGE, binary, text};
use crate::script::{Group, Workload};
use crate::support::wire::{self, BINARY, CONTINUATION, FIN, PING, PONG, TEXT};

pub(super) const ALL: &[Workload] = &[
    Workload::many(
        "empty-fragments",
        "B14",
        "200 connections send empty fragments as fast as they can",
        || {
            let fragments = wire::frame(CONTINUATION, b"").repeat(2_000);
            vec![Group::to("/", 200).first(wire::frame(BINARY, b"")).again(fragments).anew()]
        },
    ),
    Workload::many(
        "byte-fragments",
        "B14",
        "200 connections send messages in fragments of one byte and read nothing",
        || {
            let middle = wire::frame(CONTINUATION, b"b").repeat(2_000);
            let message =
                [wire::frame(BINARY, b"a"), middle, wire::frame(FIN | CONTINUATION, b"c")];
            vec![Group::to("/", 200).again(message.concat()).unread()]
        },
    ),
    Workload::one(
        "one-byte-fragments",
        "B14",
        "one connection sends text in fragments that cut each character, and reads all",
        || {
            let middle = [&[0x9F][..], &[0x98], &[0x80], &[0xF0]];
            let middle = middle.map(|byte| wire::frame(CONTINUATION, byte)).concat().repeat(500);
            let end = wire::frame(FIN | CONTINUATION, &[0x9F, 0x98, 0x80]);
            let message = [wire::frame(TEXT, &[0xF0]), middle, end].concat();
            vec![Group::to("/", 1).again(message)]
        },
    ),
    Workload::many("ping-flood", "B18", "100 connections flood pings and read nothing", || {
        let pings = wire::frame(FIN | PING, b"still there?").repeat(500);
        vec![Group::to("/", 100).again(pings).unread()]
    }),
    Workload::many("pong-flood", "", "100 connections flood pongs that nobody asked for", || {
        vec![Group::to("/", 100).again(wire::frame(FIN | PONG, b"").repeat(1_000))]
    }),
    Workload::many(
        "echo-flood-unread",
        "B18",
        "200 connections flood messages of 20 bytes and read nothing",
        || vec![Group::to("/", 200).again(binary([7; 20]).repeat(500)).unread()],
    ),
    Workload::many(
        "echo-flood-read",
        "",
        "100 connections flood messages of 20 bytes and read all",
        || vec![Group::to("/", 100).again(binary([7; 20]).repeat(500))],
    ),
    Workload::many(
        "uploads-at-once",
        "",
        "1,500 clients send 64 KB each at the same moment, and after 2 s the last byte",
        || {
            let message = binary(vec![7; 64_000]);
            let (most, last) = message.split_at(message.len() - 1);
            let clients = Group::to("/", 1_500).first(most.to_vec()).hold_ms(2_000);
            vec![clients.again(last.to_vec()).times(1)]
        },
    ),
    Workload::one(
        "one-echo-flood",
        "",
        "one connection floods messages of one byte and reads all",
        || vec![Group::to("/", 1).again(binary([7]).repeat(5_000))],
    ),
    Workload::many(
        "large-echo-unread",
        "",
        "20 connections send messages of 16 MiB and read nothing",
        || vec![Group::to("/", 20).again(binary(vec![7; LARGE])).unread()],
    ),
    Workload::one(
        "one-large-text",
        "",
        "one connection sends text of 16 MiB, of four bytes for each character, and reads all",
        || vec![Group::to("/", 1).again(text("\u{1F600}".repeat(LARGE / 4)))],
    ),
];
