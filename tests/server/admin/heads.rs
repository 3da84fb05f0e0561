//! Limits of requests, messages and names: one less than the limit, the limit itself and one more,
//! with the answer and the counter that grows.

use std::collections::BTreeMap;

use crate::admin::page::{Administrated, Metrics};
use crate::support::client::{Client, PATIENCE, request, request_to};
use crate::support::host::wait_until;
use crate::support::wire::{CLOSE, CONTINUATION, FIN, TEXT, close_payload, frame};

/// One limit, and how it is reached.
struct Case {
    flags: &'static [&'static str],
    limit: usize,
    /// What a client sends that has so many units.
    sent: fn(usize) -> Vec<u8>,
    /// The answers to what is within the limit, and to what is not: a status, or to frames behind a
    /// handshake `message` or `close` and a code.
    answers: [&'static str; 2],
    /// The counters that grow by one for what is not.
    series: &'static [&'static str],
}

const REFUSED: &str = "corecast_closed_connections_total{cause=\"refused\",code=\"\"}";
const TOO_LARGE: &str = "corecast_refused_requests_total{code=\"431\"}";

/// A request for plain HTTP with these header lines.
fn plain(target: &str, further: &str) -> Vec<u8> {
    format!("GET {target} HTTP/1.1\r\nHost: a\r\n{further}\r\n").into_bytes()
}

/// The same request with a header line that fills it up to `len` bytes.
fn filled(make: impl Fn(&str) -> Vec<u8>, len: usize) -> Vec<u8> {
    let without = make("X: \r\n").len();
    let bytes = make(&format!("X: {}\r\n", "x".repeat(len - without)));
    assert_eq!(bytes.len(), len);
    bytes
}

/// Header lines, so that there are `count` with the `others`.
fn lines(count: usize, others: usize) -> String {
    (others..count).fold(String::new(), |lines, number| lines + &format!("X-{number}: 1\r\n"))
}

/// A request with a path or query that fills its first line up to `len` bytes.
fn long_line(target: &str, len: usize) -> Vec<u8> {
    let without = format!("GET {target} HTTP/1.1").len();
    plain(&format!("{target}{}", "x".repeat(len - without)), "")
}

fn with_length(len: usize) -> Vec<u8> {
    [plain("/healthz", &format!("Content-Length: {len}\r\n")), vec![b'b'; len]].concat()
}

/// In chunks of 400 bytes and one of what is left.
fn chunked(len: usize) -> Vec<u8> {
    let mut bytes = plain("/healthz", "Transfer-Encoding: chunked\r\n");
    for chunk in vec![b'b'; len].chunks(400) {
        bytes.extend(format!("{:x}\r\n", chunk.len()).bytes());
        bytes.extend(chunk);
        bytes.extend(b"\r\n");
    }
    bytes.extend(b"0\r\n\r\n");
    bytes
}

/// A message in so many frames.
fn in_frames(count: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    for number in 1..=count {
        let first = if number == 1 { TEXT } else { CONTINUATION };
        bytes.extend(frame(first | if number == count { FIN } else { 0 }, b"f"));
    }
    bytes
}

fn cases() -> Vec<Case> {
    let head: &[&str] = &["--max-head", "2KiB", "--max-request-line", "1KiB"];
    let (within, upgraded) = ("200", "101");
    vec![
        Case {
            flags: head,
            limit: 2_048,
            sent: |len| filled(|line| plain("/healthz", line), len),
            answers: [within, "431"],
            series: &[TOO_LARGE, REFUSED],
        },
        Case {
            flags: head,
            limit: 2_048,
            sent: |len| filled(request, len),
            answers: [upgraded, "431"],
            series: &[TOO_LARGE, REFUSED],
        },
        Case {
            flags: &["--max-headers", "10"],
            limit: 10,
            sent: |count| plain("/healthz", &lines(count, 1)),
            answers: [within, "431"],
            series: &[TOO_LARGE, REFUSED],
        },
        Case {
            flags: &["--max-headers", "10"],
            limit: 10,
            sent: |count| request(&lines(count, 5)),
            answers: [upgraded, "431"],
            series: &[TOO_LARGE, REFUSED],
        },
        Case {
            flags: &["--max-request-line", "300"],
            limit: 300,
            sent: |len| long_line("/healthz?", len),
            answers: [within, "414"],
            series: &["corecast_refused_requests_total{code=\"414\"}", REFUSED],
        },
        Case {
            flags: &["--max-body", "1000"],
            limit: 1_000,
            sent: with_length,
            answers: [within, "413"],
            series: &["corecast_refused_requests_total{code=\"413\"}", REFUSED],
        },
        Case {
            flags: &["--max-body", "1000"],
            limit: 1_000,
            sent: chunked,
            answers: [within, "413"],
            series: &["corecast_refused_requests_total{code=\"413\"}", REFUSED],
        },
        Case {
            flags: &["--max-fragments", "5"],
            limit: 5,
            sent: in_frames,
            answers: ["message", "close 1008"],
            series: &["corecast_closed_connections_total{cause=\"violation\",code=\"1008\"}"],
        },
        Case {
            flags: &["--max-topic", "20"],
            limit: 20,
            sent: |len| request_to(&format!("/topics/{}", "t".repeat(len)), ""),
            answers: [upgraded, "400"],
            series: &["corecast_refused_requests_total{code=\"400\"}", REFUSED],
        },
    ]
}

/// What a client that sends this is answered, behind a handshake if they are frames.
fn answer(server: &Administrated, bytes: &[u8], are_frames: bool) -> String {
    if !are_frames {
        let mut client = Client::connect(server.addr());
        client.send(bytes);
        return client.read_head().status.split(' ').nth(1).unwrap().to_owned();
    }
    let mut client = Client::open(server.addr());
    client.send(bytes);
    let frame = client.read_frame();
    match frame.first == FIN | CLOSE {
        true => format!("close {}", u16::from_be_bytes([frame.payload[0], frame.payload[1]])),
        false => "message".to_owned(),
    }
}

/// The counters of what was refused, dropped or denied, or broke a rule, that have grown.
fn refusals(now: &Metrics, before: &Metrics) -> BTreeMap<String, i64> {
    let mut grown = now.since(before);
    grown.retain(|name, _| {
        let is_end = ["cause=\"refused\"", "cause=\"violation\"", "cause=\"policy\""];
        ["corecast_refused", "corecast_denied", "corecast_dropped", "corecast_rate_limits"]
            .iter()
            .any(|begin| name.starts_with(begin))
            || is_end.iter().any(|cause| name.contains(cause))
    });
    grown
}

/// These counters grow by this, and no other of those of [`refusals`] grows.
fn expect(server: &Administrated, before: &Metrics, series: &[&str], by: i64, what: &str) {
    let expected: BTreeMap<String, i64> =
        series.iter().filter(|_| by != 0).map(|name| ((*name).to_owned(), by)).collect();
    let mut found = BTreeMap::new();
    let is_met = wait_until(PATIENCE, || {
        found = refusals(&server.metrics(), before);
        found == expected
    });
    assert!(is_met, "{what}: found {found:#?}\nexpected {expected:#?}");
}

#[test]
fn one_unit_more_than_each_limit() {
    for Case { flags, limit, sent, answers, series } in cases() {
        let server = Administrated::start(flags);
        let are_frames = answers[0] == "message";
        for (number, expected, by) in
            [(limit - 1, answers[0], 0), (limit, answers[0], 0), (limit + 1, answers[1], 1)]
        {
            let before = server.metrics();
            let found = answer(&server, &sent(number), are_frames);
            assert_eq!(found, expected, "{flags:?}, {number}");
            expect(&server, &before, series, by, &format!("{flags:?}, {number}"));
        }
    }
}

/// On `/pubsub` a name that is too long is answered with an error, and the connection stays. As for
/// any other fault of a request in JSON no counter grows: nothing was refused for want of room.
#[test]
fn one_byte_more_of_a_topic_on_pubsub() {
    let server = Administrated::start(&["--max-topic", "20"]);
    let mut client = Client::connect(server.addr());
    client.open_at("/pubsub", "");
    for (len, is_within) in [(19, true), (20, true), (21, false)] {
        let name = "t".repeat(len);
        for (request, done) in [
            (format!(r#"{{"subscribe":"{name}"}}"#), r#"{"subscribed":"#),
            (format!(r#"{{"unsubscribe":"{name}"}}"#), r#"{"unsubscribed":"#),
            (format!(r#"{{"publish":"{name}","data":1,"id":1}}"#), r#"{"published":"#),
        ] {
            let before = server.metrics();
            client.send(&frame(FIN | TEXT, request.as_bytes()));
            let said = String::from_utf8(client.read_frame().payload).unwrap();
            assert_eq!(said.starts_with(done), is_within, "{said}");
            assert_eq!(said.contains(r#""error":"#), !is_within, "{said}");
            expect(&server, &before, &[], 0, &request);
        }
    }
    client.expect_alive();
    client.send(&frame(FIN | CLOSE, &close_payload(1000, b"")));
    assert_eq!(client.read_frame().first, FIN | CLOSE);
}
