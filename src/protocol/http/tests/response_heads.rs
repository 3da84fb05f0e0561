//! Goal: heads of responses are parsed as strictly as those of requests.

use super::head;
use crate::protocol::http::{HeadError, HeadLimits, HeadScanner, ResponseHead, Version};

fn parse(head: &[u8]) -> Result<ResponseHead<'_>, HeadError> {
    ResponseHead::parse(head, &HeadLimits::default())
}

#[test]
fn a_head_gives_status_and_headers() {
    let lines = ["Upgrade: websocket", "X:\t a \t"];
    for (line, version, status) in [
        ("HTTP/1.1 101 Switching Protocols", Version::Http11, 101),
        ("HTTP/1.1 200", Version::Http11, 200),
        ("HTTP/1.0 999 ", Version::Http10, 999),
    ] {
        let mut bytes = head(line, &lines);
        let len = HeadScanner::default().scan(&bytes, &HeadLimits::default());
        assert_eq!(len, Ok(Some(bytes.len())));
        let response = parse(&bytes).expect("a valid head");
        assert_eq!((response.version, response.status), (version, status));
        assert_eq!(response.header("x"), Some(&b"a"[..]));
        assert_eq!(response.headers().count(), 2);
        bytes.push(b'x');
        assert_eq!(parse(&bytes).err(), Some(HeadError::TrailingBytes));
    }
}

#[test]
fn faults_are_told_apart() {
    let cases: [(&[u8], HeadError); 9] = [
        (b"", HeadError::Incomplete),
        (b"HTTP/1.1 101 OK\r\n", HeadError::Incomplete),
        (b"\r\nHTTP/1.1 101 OK\r\n\r\n", HeadError::LeadingEmptyLine),
        (b"HTTP/1.1 101 OK\n\r\n", HeadError::BareLf),
        (b"HTTP/1.1 1x1 OK\r\n\r\n", HeadError::StatusLine),
        (b"HTTP/1.1 OK\r\n\r\n", HeadError::StatusLine),
        (b"HTTP/2 101 OK\r\n\r\n", HeadError::Version),
        (b"HTTP/1.1 101 OK\r\nX Y: a\r\n\r\n", HeadError::HeaderName),
        (b"HTTP/1.1 101 OK\r\nX: a\0\r\n\r\n", HeadError::HeaderValue),
    ];
    for (bytes, expected) in cases {
        assert_eq!(parse(bytes).err(), Some(expected), "{}", bytes.escape_ascii());
    }
    let bytes = head("HTTP/1.1 101 OK", &["X: a"]);
    let limits =
        |max_bytes, max_headers| HeadLimits { max_bytes, max_headers, ..HeadLimits::default() };
    let verdict = |limits| ResponseHead::parse(&bytes, &limits).err();
    assert_eq!(verdict(limits(bytes.len(), 1)), None);
    assert_eq!(verdict(limits(bytes.len() - 1, 1)), Some(HeadError::TooLarge));
    assert_eq!(verdict(limits(bytes.len(), 0)), Some(HeadError::TooManyHeaders));
}
