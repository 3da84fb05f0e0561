//! TLS: handshakes, and what is sent after them.

use crate::script::{Group, Over, Then, Workload};
use crate::support::wire::{self, BINARY, FIN};
use crate::tls;

/// Messages of 20 bytes, as many as one send takes.
fn messages() -> Vec<u8> {
    wire::frame(FIN | BINARY, &[7; 20]).repeat(1_000)
}

pub(super) const ALL: &[Workload] = &[
    Workload::many(
        "tls-handshakes",
        "",
        "500 connections do a full handshake of TLS, are answered, are reset, and come again",
        || vec![Group::to("/", 500).over(tls::client()).then(Then::Resets).anew()],
    ),
    Workload::many(
        "tls-hellos",
        "",
        "500 connections send the first message of a handshake, are answered, and repeat",
        || {
            vec![
                Group::bare(500)
                    .over(Over::BareTls)
                    .first(tls::hello())
                    .then(Then::Finishes)
                    .anew(),
            ]
        },
    ),
    Workload::many(
        "tls-costly-hellos",
        "",
        "the same with a key exchange on the curve P-384",
        || {
            let hello = tls::costly_hello();
            vec![Group::bare(500).over(Over::BareTls).first(hello).then(Then::Finishes).anew()]
        },
    ),
    Workload::many(
        "tls-half-hellos",
        "",
        "2,000 connections send the half of the first message of a handshake and stop",
        || {
            let hello = tls::hello();
            let half = hello[..hello.len() / 2].to_vec();
            vec![Group::bare(2_000).over(Over::BareTls).first(half).anew()]
        },
    ),
    Workload::many(
        "tls-garbage",
        "",
        "200 connections send records that are no handshake, are refused, and repeat",
        || {
            let record = [&[22, 3, 1, 64, 0][..], &[0x55; 16_384]].concat();
            vec![Group::bare(200).over(Over::BareTls).first(record.repeat(4)).anew()]
        },
    ),
    Workload::many(
        "tls-echo-unread",
        "",
        "200 connections flood messages of 20 bytes over TLS and read nothing",
        || vec![Group::to("/", 200).over(tls::client()).again(messages()).unread().anew()],
    ),
    Workload::many(
        "tls-echo-read",
        "",
        "100 connections flood messages of 20 bytes over TLS and read all",
        || vec![Group::to("/", 100).over(tls::client()).again(messages()).anew()],
    ),
    Workload::many(
        "tls-large-unread",
        "",
        "20 connections send messages of 16 MiB over TLS and read nothing",
        || {
            let message = wire::frame(FIN | BINARY, &vec![7; 16 << 20]);
            vec![Group::to("/", 20).over(tls::client()).again(message).unread().anew()]
        },
    ),
    Workload::many(
        "tls-tiny-records",
        "",
        "100 connections flood messages over TLS in records of one byte and read all",
        || vec![Group::to("/", 100).over(tls::with_tiny_records()).again(messages()).anew()],
    ),
    Workload::one(
        "one-tls-tiny-records",
        "",
        "one connection floods messages over TLS in records of one byte and reads all",
        || vec![Group::to("/", 1).over(tls::with_tiny_records()).again(messages()).anew()],
    ),
    Workload::many(
        "tls-updates",
        "",
        "100 connections update their key before each byte that they send and read all",
        || vec![Group::to("/", 100).over(tls::with_updates()).again(messages()).anew()],
    ),
];
