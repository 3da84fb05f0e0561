//! What the server is made to hold.

use super::parts::{LARGE, binary, bomb, filled, small_text};
use crate::script::{Group, Then, Workload};
use crate::support::deflate::deflated;
use crate::support::wire::{self, BINARY, FIN, PONG, RSV1};

pub(super) const ALL: &[Workload] = &[
    Workload::many(
        "held-inflated",
        "B6",
        "100 connections send a first fragment that inflates to 16 MiB, then nothing but pongs",
        || {
            let first = wire::frame(RSV1 | BINARY, &deflated(&vec![0; LARGE]));
            let pongs = wire::frame(FIN | PONG, b"");
            vec![Group::to("/", 100).deflate().first(first).again(pongs).every_ms(1_000)]
        },
    ),
    Workload::many(
        "held-plain",
        "B15",
        "100 connections send 14 MiB of a message and stop",
        || vec![Group::to("/", 100).first(wire::frame(BINARY, &vec![7; 14 << 20]))],
    )
    .at_least(6),
    Workload::many("declared", "", "1,000 connections declare 15 MiB and send 1,000 bytes", || {
        vec![Group::to("/", 1_000).first(wire::cut_short(FIN | BINARY, 15 << 20, &[7; 1_000]))]
    }),
    Workload::many(
        "held-json",
        "B23",
        "8 connections send deflated JSON of 16 MiB of escapes",
        || {
            let data = filled("{\"publish\":\"x\",\"data\":\"", "\\u0041", "\"}", LARGE);
            vec![Group::to("/pubsub", 8).deflate().again(small_text(data))]
        },
    ),
    Workload::many(
        "held-inflaters",
        "",
        "2,000 connections send the header of a compressed message and three bytes",
        || {
            vec![Group::to("/", 2_000).deflate().first(wire::cut_short(
                RSV1 | BINARY,
                100,
                &[7; 3],
            ))]
        },
    ),
    Workload::many(
        "everything",
        "",
        "bombs, floods, large messages, resets and heads at once",
        || {
            vec![
                Group::to("/", 10).deflate().again(bomb()).unread(),
                Group::to("/", 20).again(binary([7; 20]).repeat(500)).unread(),
                Group::to("/", 10).again(binary(vec![7; 1 << 20])).unread(),
                Group::to("/topics/all", 5).again(binary([7; 100]).repeat(100)).unread().anew(),
                Group::to("/", 20).then(Then::Resets).anew(),
                Group::bare(20).first(b"x\r\n\r\n".to_vec()).anew(),
            ]
        },
    ),
];
