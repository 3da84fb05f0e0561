//! Request heads.

use crate::script::{Group, Then, Workload};
use crate::support::client::request_to;

const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n";

/// `count` header lines of `bytes` bytes each.
fn lines(count: usize, bytes: usize) -> String {
    (0..count).map(|n| format!("X-{n:02}: {}\r\n", "v".repeat(bytes - 8))).collect()
}

pub(super) const ALL: &[Workload] = &[
    Workload::many(
        "trickling-heads",
        "",
        "1,000 connections send a head one byte each 100 ms",
        || {
            let first = b"GET / HTTP/1.1\r\nHost: a\r\nX: ".to_vec();
            vec![Group::bare(1_000).first(first).again(b"v".to_vec()).every_ms(100).anew()]
        },
    ),
    Workload::many(
        "full-heads",
        "",
        "100 connections send valid heads of nearly 8 KiB and 60 lines, are answered, and repeat",
        || {
            let head = request_to("/", &lines(56, 136));
            assert!(head.len() < 8_192 && head.len() > 7_000);
            vec![Group::bare(100).first(head).then(Then::Finishes).anew()]
        },
    ),
    Workload::many(
        "head-too-large",
        "",
        "100 connections send heads of 64 KiB, are refused, and repeat",
        || {
            let start = b"GET / HTTP/1.1\r\nHost: a\r\n".to_vec();
            let head = [start, lines(500, 130).into_bytes()].concat();
            vec![Group::bare(100).first(head).anew()]
        },
    ),
    Workload::many(
        "wrong-heads",
        "",
        "100 connections send heads that are no HTTP, are refused, and repeat",
        || vec![Group::bare(100).first(b"\x16\x03\x01 / HTTP/9\r\n\r\n".to_vec()).anew()],
    ),
    Workload::many(
        "plain-requests",
        "",
        "100 connections send 20 requests for `/` at once, and come again when ended",
        || {
            let last = b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n";
            vec![Group::bare(100).first([&GET.repeat(19)[..], last].concat()).anew()]
        },
    ),
    Workload::many(
        "pipelined-requests",
        "",
        "100 connections send requests for `/` as fast as they can, and read the answers",
        || vec![Group::bare(100).again(GET.repeat(400)).anew()],
    ),
    Workload::many(
        "unread-requests",
        "",
        "100 connections send requests for `/` as fast as they can, and read nothing",
        || vec![Group::bare(100).again(GET.repeat(400)).unread().anew()],
    ),
    Workload::many(
        "tiny-chunks",
        "",
        "100 connections send requests with 2,000 chunks of one byte as fast as they can",
        || {
            let head = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
            let chunks = b"1\r\nx\r\n".repeat(2_000);
            let request = [&head[..], &chunks, b"0\r\n\r\n"].concat();
            vec![Group::bare(100).again(request).anew()]
        },
    ),
    Workload::many(
        "many-offers",
        "",
        "100 connections send heads that offer 150 extensions, are refused, and repeat",
        || {
            let offers = vec!["permessage-deflate; server_max_window_bits=8"; 150].join(",");
            let head = request_to("/", &format!("Sec-WebSocket-Extensions: {offers}\r\n"));
            assert!(head.len() < 8_192);
            vec![Group::bare(100).first(head).then(Then::Finishes).anew()]
        },
    ),
    Workload::many(
        "bytewise-lines",
        "",
        "200 connections send empty lines before the request line as fast as they can",
        || vec![Group::bare(200).again(b"\r\n".repeat(500)).anew()],
    ),
    Workload::many(
        "heads-complete-together",
        "",
        "three times 800 connections send heads of 14 KB but for the last byte, then these at once",
        || {
            let options = format!("Connection: {}x\r\n", "Upgrade,".repeat(1_700));
            let mut head = request_to("/pubsub", &options);
            assert!(head.len() < 16_384 && head.len() > 13_000);
            let last = head.split_off(head.len() - 1);
            let all = Group::bare(800).first(head).again(last).times(1).then(Then::Finishes);
            let group = |n| all.clone().after_ms(n).hold_ms(700);
            [0, 800, 1_600].map(group).into()
        },
    ),
];
