//! The opening handshake of a browser, from its bytes to the 101.

use std::hint::black_box;

use corecast::protocol::http::{HeadError, HeadLimits, HeadScanner};
use corecast::protocol::websocket::handshake::{
    DeflatePolicy, ExtraHeaders, Parsed, Rejection, accept_key, negotiate_deflate, parse,
    write_accepted,
};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};

const BROWSER: &str = "GET /chat?room=1 HTTP/1.1\r\n\
    Host: server.example.com\r\n\
    User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0\r\n\
    Accept: */*\r\n\
    Accept-Language: en-US,en;q=0.5\r\n\
    Accept-Encoding: gzip, deflate, br, zstd\r\n\
    Sec-WebSocket-Version: 13\r\n\
    Origin: https://server.example.com\r\n\
    Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
    Connection: keep-alive, Upgrade\r\n\
    Sec-Fetch-Dest: empty\r\n\
    Sec-Fetch-Mode: websocket\r\n\
    Sec-Fetch-Site: same-origin\r\n\
    Pragma: no-cache\r\n\
    Cache-Control: no-cache\r\n\
    Upgrade: websocket\r\n\r\n";

/// The whole handshake: scan, parse, negotiate, answer.
fn answer(
    head: &[u8],
    limits: &HeadLimits,
    policy: &DeflatePolicy,
    out: &mut Vec<u8>,
) -> Result<(), Rejection> {
    let len = HeadScanner::default().scan(head, limits)?.ok_or(HeadError::Incomplete)?;
    let head = head.get(..len).unwrap_or_default();
    let Parsed::Upgrade(request) = parse(head, limits)? else {
        return Err(Rejection::UpgradeRequired);
    };
    let agreement = negotiate_deflate(request.extensions(), policy);
    out.clear();
    write_accepted(out, request.key, None, agreement.as_ref(), &ExtraHeaders::new());
    Ok(())
}

fn handshake(c: &mut Criterion) {
    let head = BROWSER.as_bytes();
    let limits = HeadLimits::default();
    let policy = DeflatePolicy { enabled: true, ..DeflatePolicy::default() };
    let mut out = Vec::new();
    assert_eq!(answer(head, &limits, &policy, &mut out), Ok(()), "the request is valid");

    let mut group = c.benchmark_group("handshake");
    group.throughput(Throughput::Bytes(head.len() as u64));
    group.bench_function("browser", |b| {
        b.iter(|| answer(black_box(head), &limits, &policy, &mut out));
    });
    group.bench_function("scan", |b| {
        b.iter(|| HeadScanner::default().scan(black_box(head), &limits));
    });
    group.bench_function("scan_bytewise", |b| {
        b.iter(|| {
            let mut scanner = HeadScanner::default();
            (1..=head.len()).find_map(|len| {
                scanner.scan(black_box(head).get(..len).unwrap_or_default(), &limits).transpose()
            })
        });
    });
    group.bench_function("parse", |b| b.iter(|| parse(black_box(head), &limits).is_ok()));
    group.finish();
    c.bench_function("handshake/accept_key", |b| {
        b.iter(|| accept_key(black_box("dGhlIHNhbXBsZSBub25jZQ==")));
    });
}

/// Heads as long as the default limit allows, each with much of one kind, a part of which is
/// refused once it is parsed. By these `Work::HEAD_BYTE` is chosen.
fn long_heads(c: &mut Criterion) {
    let limits = HeadLimits::default();
    let policy = DeflatePolicy { enabled: true, ..DeflatePolicy::default() };
    let mut out = Vec::new();
    let mut group = c.benchmark_group("long_heads");
    let kinds: [(&str, String); 7] = [
        ("fields", (0..40).map(|n| format!("X-{n}: {}\r\n", "v".repeat(370))).collect()),
        ("cookies", format!("Cookie: {}\r\n", "a=b; ".repeat(3_000))),
        ("offers", format!("Sec-WebSocket-Extensions: {}x\r\n", "a;b=1,".repeat(2_500))),
        ("offer_spaces", format!("Sec-WebSocket-Extensions: x{},y\r\n", " ,".repeat(7_500))),
        ("connection", format!("Connection: {}x\r\n", "a,".repeat(7_500))),
        ("upgrade", format!("Upgrade: {}x\r\n", "a/b,".repeat(3_750))),
        ("protocols", format!("Sec-WebSocket-Protocol: {}x\r\n", ",".repeat(15_000))),
    ];
    for (kind, lines) in kinds {
        let head = BROWSER.replace("Pragma: no-cache\r\n", &lines);
        assert!((15_000..limits.max_bytes).contains(&head.len()), "{kind}: {}", head.len());
        group.throughput(Throughput::Bytes(head.len() as u64));
        group.bench_function(kind, |b| {
            b.iter(|| answer(black_box(head.as_bytes()), &limits, &policy, &mut out).is_ok());
        });
    }
    group.finish();
}

criterion_group!(benches, handshake, long_heads);
criterion_main!(benches);
