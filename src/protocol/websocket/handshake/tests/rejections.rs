//! Goal: each fault has its own rejection, the earlier of two faults is reported, and responses are
//! complete.

use super::{LINES, fault, head, instead, with};
use crate::protocol::http::{BodyError, HARD_MAX_HEADERS, HeadError, HeadLimits};
use crate::protocol::websocket::handshake::{Rejection, parse};

/// The faults in their documented order, each as a change to the valid request.
const FAULTS: [(Rejection, Change); 12] = [
    (Rejection::Http(HeadError::HeaderName), Change::Add("Bad Name: x")),
    (Rejection::Http(HeadError::Target), Change::Target("*")),
    (Rejection::Http(HeadError::BadHost), Change::Swap("Host", "Host: a/b")),
    (Rejection::Http(HeadError::TransferEncoding), Change::Add("Transfer-Encoding: chunked")),
    (Rejection::Http(HeadError::ContentLength), Change::Add("Content-Length: 5")),
    (Rejection::BadUpgrade, Change::Swap("Upgrade", "Upgrade: websocket, @")),
    (Rejection::NoConnectionUpgrade, Change::Swap("Connection", "Connection: close")),
    (Rejection::UnsupportedVersion, Change::Swap(VERSION, "Sec-WebSocket-Version: 8")),
    (Rejection::BadKey, Change::Swap("Sec-WebSocket-Key", "Sec-WebSocket-Key: short")),
    (Rejection::BadOrigin, Change::Add("Origin:")),
    (Rejection::BadProtocol, Change::Add("Sec-WebSocket-Protocol: @")),
    (Rejection::BadExtensions, Change::Add("Sec-WebSocket-Extensions: ;")),
];

const VERSION: &str = "Sec-WebSocket-Version";

#[derive(Clone, Copy)]
enum Change {
    Target(&'static str),
    Swap(&'static str, &'static str),
    Add(&'static str),
}

fn changed(changes: &[Change]) -> Vec<u8> {
    let mut target = "/";
    let mut lines = LINES.to_vec();
    for change in changes {
        match *change {
            Change::Target(text) => target = text,
            Change::Add(line) => lines.push(line),
            Change::Swap(name, line) => {
                let at = lines.iter().position(|known| known.starts_with(&format!("{name}:")));
                lines[at.expect("a known line")] = line;
            }
        }
    }
    head(&format!("GET {target} HTTP/1.1"), &lines)
}

#[test]
fn each_fault_is_told_apart() {
    for (expected, change) in FAULTS {
        assert_eq!(fault(&changed(&[change])), Some(expected));
    }
    assert_eq!(fault(&changed(&[])), None);
}

#[test]
fn of_two_faults_the_earlier_in_the_order_is_reported() {
    for (at, (expected, earlier)) in FAULTS.iter().enumerate() {
        for (_, later) in &FAULTS[at + 1..] {
            let bytes = changed(&[*later, *earlier]);
            let text = String::from_utf8_lossy(&bytes).into_owned();
            assert_eq!(fault(&bytes), Some(*expected), "{text}");
        }
    }
}

#[test]
fn the_remaining_faults_are_told_apart() {
    let cases: [(Rejection, Vec<u8>); 22] = [
        (Rejection::Http(HeadError::Incomplete), b"GET / HTTP/1.1\r\nHost: a\r\n".to_vec()),
        (Rejection::EarlyData, [with(&[]), b"x".to_vec()].concat()),
        (Rejection::Http(HeadError::LeadingEmptyLine), [b"\n".to_vec(), with(&[])].concat()),
        (Rejection::Http(HeadError::NotHttp), b"\x16\x03\x01".to_vec()),
        (Rejection::Http(HeadError::BareLf), with(&["X: a\nY: b"])),
        (Rejection::Http(HeadError::HeaderValue), with(&["X: a\rb"])),
        (Rejection::Http(HeadError::HeaderValue), with(&["X: a\0"])),
        (Rejection::Http(HeadError::HeaderName), with(&["X: a", " b"])),
        (Rejection::Http(HeadError::RequestLine), head("G@T / HTTP/1.1", &LINES)),
        (Rejection::Http(HeadError::TargetHost), head("GET http://other/ HTTP/1.1", &LINES)),
        (Rejection::Http(HeadError::MissingHost), instead("Host", &[])),
        (Rejection::Http(HeadError::DuplicateHost), with(&["Host: b"])),
        (Rejection::BadUpgrade, with(&["Upgrade: @"])),
        (Rejection::BadConnection, with(&["Connection: @"])),
        (Rejection::MissingVersion, instead(VERSION, &[])),
        (Rejection::DuplicateVersion, with(&["Sec-WebSocket-Version: 13"])),
        (Rejection::BadVersion, instead(VERSION, &["Sec-WebSocket-Version: 13, 8"])),
        (Rejection::MissingKey, instead("Sec-WebSocket-Key", &[])),
        (Rejection::DuplicateKey, with(&["Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA=="])),
        (Rejection::DuplicateOrigin, with(&["Origin: a", "Origin: b"])),
        (Rejection::DuplicateProtocol, with(&["Sec-WebSocket-Protocol: a,b,a"])),
        (Rejection::BadProtocol, with(&["Sec-WebSocket-Protocol: ,"])),
    ];
    for (expected, bytes) in cases {
        assert_eq!(fault(&bytes), Some(expected), "{}", String::from_utf8_lossy(&bytes));
    }
}

#[test]
fn limits_hold_to_the_last_unit() {
    let bytes = with(&["X: a"]);
    let limits =
        |max_bytes, max_headers| HeadLimits { max_bytes, max_headers, ..HeadLimits::default() };
    let verdict = |limits| parse(&bytes, &limits).err();
    assert_eq!(verdict(limits(bytes.len(), LINES.len() + 1)), None);
    assert_eq!(verdict(limits(bytes.len() - 1, 64)), Some(Rejection::Http(HeadError::TooLarge)));
    assert_eq!(
        verdict(limits(8192, LINES.len())),
        Some(Rejection::Http(HeadError::TooManyHeaders))
    );
    assert_eq!(verdict(limits(8192, 0)), Some(Rejection::Http(HeadError::TooManyHeaders)));

    let fill = |lines| with(&vec!["X: a"; lines - LINES.len()]);
    let loose = limits(1 << 20, usize::MAX);
    assert_eq!(parse(&fill(HARD_MAX_HEADERS), &loose).err(), None);
    assert_eq!(
        parse(&fill(HARD_MAX_HEADERS + 1), &loose).err(),
        Some(Rejection::Http(HeadError::TooManyHeaders))
    );
}

#[test]
fn the_number_of_subprotocols_is_bounded() {
    let offer = |count: usize| {
        let names: Vec<String> = (0..count).map(|n| format!("p{n}")).collect();
        with(&[&format!("Sec-WebSocket-Protocol: {}", names.join(","))])
    };
    assert_eq!(fault(&offer(64)), None);
    assert_eq!(fault(&offer(65)), Some(Rejection::TooManyProtocols));
}

/// Extensions and parameters count, over all lines. What follows is not looked at.
#[test]
fn the_number_of_extensions_is_bounded() {
    let offer = |lines: &[&str]| {
        let lines = lines.iter().map(|line| format!("Sec-WebSocket-Extensions: {line}"));
        let lines: Vec<String> = lines.collect();
        with(&lines.iter().map(String::as_str).collect::<Vec<_>>())
    };
    let (names, params) = (vec!["x"; 64].join(","), vec!["x"; 64].join(";p=1;"));
    assert_eq!(fault(&offer(&[&names])), None);
    assert_eq!(fault(&offer(&[&names, "y"])), Some(Rejection::TooManyExtensions));
    assert_eq!(fault(&offer(&[&vec!["x;p"; 32].join(", ")])), None);
    assert_eq!(fault(&offer(&[&params])), Some(Rejection::TooManyExtensions));
    assert_eq!(fault(&offer(&[&names, ", y,,, =\""])), Some(Rejection::TooManyExtensions));
    assert_eq!(fault(&offer(&[&names, ","])), Some(Rejection::BadExtensions));
}

/// Every variant once, with its status.
const ALL: [(Rejection, u16); 56] = [
    (Rejection::Http(HeadError::NotHttp), 400),
    (Rejection::Http(HeadError::LeadingEmptyLine), 400),
    (Rejection::Http(HeadError::BareLf), 400),
    (Rejection::Http(HeadError::BareCr), 400),
    (Rejection::Http(HeadError::ControlByte), 400),
    (Rejection::Http(HeadError::FoldedLine), 400),
    (Rejection::Http(HeadError::TooLarge), 431),
    (Rejection::Http(HeadError::TooManyHeaders), 431),
    (Rejection::Http(HeadError::LineTooLong), 414),
    (Rejection::Http(HeadError::UnsupportedVersion), 505),
    (Rejection::Http(HeadError::BadLength), 400),
    (Rejection::Http(HeadError::BadEncoding), 400),
    (Rejection::Http(HeadError::UnknownEncoding), 501),
    (Rejection::Http(HeadError::Expectation), 417),
    (Rejection::Body(BodyError::TooLarge), 413),
    (Rejection::Body(BodyError::ChunkLine), 400),
    (Rejection::Body(BodyError::ChunkEnd), 400),
    (Rejection::Body(BodyError::Trailer), 400),
    (Rejection::Body(BodyError::TrailersTooLarge), 431),
    (Rejection::Http(HeadError::Incomplete), 400),
    (Rejection::EarlyData, 400),
    (Rejection::Http(HeadError::RequestLine), 400),
    (Rejection::Http(HeadError::Version), 400),
    (Rejection::Method, 405),
    (Rejection::Http(HeadError::Target), 400),
    (Rejection::Http(HeadError::TargetHost), 400),
    (Rejection::Http(HeadError::HeaderName), 400),
    (Rejection::Http(HeadError::HeaderValue), 400),
    (Rejection::Http(HeadError::MissingHost), 400),
    (Rejection::Http(HeadError::DuplicateHost), 400),
    (Rejection::Http(HeadError::BadHost), 400),
    (Rejection::Http(HeadError::TransferEncoding), 400),
    (Rejection::Http(HeadError::ContentLength), 400),
    (Rejection::NotWebSocket, 426),
    (Rejection::BadUpgrade, 400),
    (Rejection::NoConnectionUpgrade, 400),
    (Rejection::BadConnection, 400),
    (Rejection::MissingVersion, 400),
    (Rejection::DuplicateVersion, 400),
    (Rejection::BadVersion, 400),
    (Rejection::UnsupportedVersion, 426),
    (Rejection::MissingKey, 400),
    (Rejection::DuplicateKey, 400),
    (Rejection::BadKey, 400),
    (Rejection::DuplicateOrigin, 400),
    (Rejection::BadOrigin, 400),
    (Rejection::BadProtocol, 400),
    (Rejection::DuplicateProtocol, 400),
    (Rejection::TooManyProtocols, 431),
    (Rejection::TooManyExtensions, 431),
    (Rejection::BadExtensions, 400),
    (Rejection::Origin, 403),
    (Rejection::NotFound, 404),
    (Rejection::Timeout, 408),
    (Rejection::UpgradeRequired, 426),
    (Rejection::Full, 503),
];

#[test]
fn responses_are_complete_and_have_the_headers_of_their_status() {
    for (rejection, status) in ALL {
        assert_eq!(rejection.status().code(), status, "{rejection:?}");
        let mut out = b"before".to_vec();
        rejection.write_response(&mut out);
        let mut slots = [httparse::EMPTY_HEADER; 8];
        let mut answer = httparse::Response::new(&mut slots);
        let Ok(httparse::Status::Complete(len)) = answer.parse(&out[6..]) else {
            panic!("{rejection:?} is answered with a whole head");
        };
        assert_eq!((answer.version, answer.code), (Some(1), Some(status)));
        assert!(answer.reason.is_some_and(|phrase| !phrase.is_empty()));
        let find = |name: &str| {
            let all: Vec<&str> = (answer.headers.iter())
                .filter(|header| header.name == name)
                .map(|header| std::str::from_utf8(header.value).expect("ASCII"))
                .collect();
            assert!(all.len() <= 1, "{name} stands once");
            all.first().copied()
        };
        let when = |wanted: bool, value: &'static str| wanted.then_some(value);
        let body = &out[6 + len..];
        assert_eq!(body, format!("{}\n", rejection.reason()).as_bytes());
        assert_eq!(find("Content-Length"), Some(body.len().to_string().as_str()));
        assert_eq!(find("Content-Type"), Some("text/plain; charset=utf-8"));
        let connection = if status == 426 { "Upgrade, close" } else { "close" };
        assert_eq!(find("Connection"), Some(connection));
        assert_eq!(find("Allow"), when(status == 405, "GET"));
        assert_eq!(find("Upgrade"), when(status == 426, "websocket"));
        assert_eq!(find("Sec-WebSocket-Version"), when(status == 426, "13"));
        assert_eq!(find("Retry-After"), when(status == 503, "1"));
    }
}

#[test]
fn reasons_are_single_lines_of_their_own() {
    for (at, (rejection, _)) in ALL.iter().enumerate() {
        let reason = rejection.reason();
        assert!(reason.ends_with('.') && !reason.contains(['\r', '\n']), "{reason}");
        assert_eq!(rejection.to_string(), reason);
        let others = ALL.iter().skip(at + 1);
        assert!(others.clone().all(|(other, _)| other.reason() != reason), "{reason}");
        assert!(others.clone().all(|(other, _)| other != rejection), "{rejection:?} listed once");
    }
}
