//! Goal: a request head of any method is parsed, with the targets and the Host that it may have.

use super::head;
use crate::protocol::http::{
    Framing, HeadError, HeadLimits, Persistence, Request, RequestHead, Version,
};

fn parse(head: &[u8]) -> Result<Request<'_>, HeadError> {
    Request::parse(head, &HeadLimits::default())
}

#[test]
fn every_method_has_its_targets() {
    let cases = [
        ("GET /a?b HTTP/1.1", Ok("/a")),
        ("HEAD http://a/b HTTP/1.1", Ok("/b")),
        ("POST / HTTP/1.1", Ok("/")),
        ("PATCH /x HTTP/1.0", Ok("/x")),
        ("OPTIONS * HTTP/1.1", Ok("*")),
        ("OPTIONS /x HTTP/1.1", Ok("/x")),
        ("CONNECT a:443 HTTP/1.1", Err(HeadError::TargetHost)),
        ("CONNECT a HTTP/1.1", Err(HeadError::Target)),
        ("CONNECT / HTTP/1.1", Err(HeadError::Target)),
        ("GET * HTTP/1.1", Err(HeadError::Target)),
        ("POST a:443 HTTP/1.1", Err(HeadError::Target)),
        ("GET / HTTP/2.0", Err(HeadError::UnsupportedVersion)),
        ("GET / HTTP/1.2", Err(HeadError::UnsupportedVersion)),
        ("GET / HTTP/3", Err(HeadError::UnsupportedVersion)),
        ("GET / HTTP/x", Err(HeadError::Version)),
        ("GET / HTTP/1.x", Err(HeadError::Version)),
        ("GET / HTTP/1x1", Err(HeadError::Version)),
        ("GET / HTTP/11", Err(HeadError::Version)),
        ("GET / HTTP/01.1", Err(HeadError::Version)),
        ("GET / http/1.1", Err(HeadError::Version)),
        ("GET / HTTP/", Err(HeadError::Version)),
    ];
    for (line, expected) in cases {
        let bytes = head(line, &["Host: a"]);
        assert_eq!(parse(&bytes).map(|request| request.path), expected, "{line}");
    }
    let bytes = head("CONNECT a:443 HTTP/1.1", &["Host: A:443"]);
    let request = parse(&bytes).expect("a valid request");
    assert_eq!((request.method, request.path, request.host), ("CONNECT", "", Some("A:443")));
}

#[test]
fn only_http_1_0_may_omit_host() {
    let old = head("GET / HTTP/1.0", &[]);
    let request = parse(&old).expect("a valid request");
    assert_eq!((request.version, request.host), (Version::Http10, None));
    let cases: [(&str, &[&str], HeadError); 5] = [
        ("GET / HTTP/1.1", &[], HeadError::MissingHost),
        ("GET / HTTP/1.0", &["Host: a", "Host: a"], HeadError::DuplicateHost),
        ("GET / HTTP/1.0", &["Host: a b"], HeadError::BadHost),
        ("GET http://b/ HTTP/1.0", &["Host: a"], HeadError::TargetHost),
        ("GET / HTTP/1.1", &["Host:"], HeadError::BadHost),
    ];
    for (line, lines, expected) in cases {
        assert_eq!(parse(&head(line, lines)).err(), Some(expected), "{line} {lines:?}");
    }
}

#[test]
fn a_head_shows_method_and_version_before_the_target_is_judged() {
    let bytes = head("BREW pot HTTP/1.0", &["Host: @"]);
    let raw = RequestHead::parse(&bytes, &HeadLimits::default()).expect("the syntax is right");
    assert_eq!((raw.method, raw.target, raw.version), ("BREW", "pot", Version::Http10));
    assert_eq!(raw.into_request().err(), Some(HeadError::Target));
}

#[test]
fn a_body_is_noticed() {
    let cases: [(&[&str], Option<HeadError>); 6] = [
        (&[], None),
        (&["Content-Length: 0"], None),
        (&["Content-Length: 5"], Some(HeadError::ContentLength)),
        (&["Content-Length: 0", "Content-Length: 0"], Some(HeadError::ContentLength)),
        (&["Transfer-Encoding: chunked"], Some(HeadError::TransferEncoding)),
        (&["Transfer-Encoding:", "Content-Length: 5"], Some(HeadError::TransferEncoding)),
    ];
    for (lines, expected) in cases {
        let bytes = head("POST / HTTP/1.1", &[&["Host: a"], lines].concat());
        let request = parse(&bytes).expect("a request may announce a body");
        assert_eq!(request.expect_no_body().err(), expected, "{lines:?}");
    }
}

#[test]
fn lists_run_over_all_lines() {
    let lines = ["Host: a", "Connection: a ,,b", "X: y", "connection:\t", "CONNECTION: c,"];
    let bytes = head("GET / HTTP/1.1", &lines);
    let request = parse(&bytes).expect("a valid request");
    assert_eq!(request.connection().collect::<Vec<_>>(), ["a", "b", "c"]);
    assert!(!request.has_upgrade());
    assert_eq!(request.upgrade().next(), None);
    assert_eq!(request.header("x"), Some(&b"y"[..]));
    assert_eq!(request.headers().count(), 5);
}

#[test]
fn a_list_skips_elements_that_are_not_utf8() {
    let mut bytes = head("GET / HTTP/1.1", &["Host: a", "Upgrade: a, @, b"]);
    bytes.iter_mut().filter(|byte| **byte == b'@').for_each(|byte| *byte = 0xff);
    let request = parse(&bytes).expect("a valid request");
    assert!(request.has_upgrade());
    assert_eq!(request.upgrade().collect::<Vec<_>>(), ["a", "b"]);
}

#[test]
fn one_empty_line_comes_first_at_most() {
    let request = head("GET / HTTP/1.1", &["Host: a"]);
    for (before, expected) in [
        ("", None),
        ("\r\n", None),
        ("\r\n\r\n", Some(HeadError::LeadingEmptyLine)),
        ("\n", Some(HeadError::LeadingEmptyLine)),
        ("\r\n\n", Some(HeadError::LeadingEmptyLine)),
    ] {
        let bytes = [before.as_bytes(), &request].concat();
        assert_eq!(parse(&bytes).err(), expected, "{before:?}");
    }
}

#[test]
fn the_length_of_the_request_line_is_limited() {
    let of = |len: usize| {
        let line = format!("GET /{} HTTP/1.1", "p".repeat(len - "GET / HTTP/1.1".len()));
        head(&line, &["Host: a"])
    };
    assert_eq!(parse(&of(8_192)).err(), None);
    assert_eq!(parse(&of(8_193)).err(), Some(HeadError::LineTooLong));
    assert_eq!(parse(&[b"\r\n", &of(8_192)[..]].concat()).err(), None);
}

#[test]
fn the_framing_of_a_body_is_beyond_doubt() {
    use HeadError::{BadEncoding, BadLength, UnknownEncoding};
    let cases: [(&[&str], Result<Framing, HeadError>); 26] = [
        (&[], Ok(Framing::None)),
        (&["Content-Length: 0"], Ok(Framing::None)),
        (&["Content-Length: 7"], Ok(Framing::Length(7))),
        (&["Content-Length: 18446744073709551615"], Ok(Framing::Length(u64::MAX))),
        (&["Content-Length: 18446744073709551616"], Ok(Framing::Length(u64::MAX))),
        (&["Content-Length: 7", "Content-Length: 7"], Err(BadLength)),
        (&["Content-Length: 7, 7"], Err(BadLength)),
        (&["Content-Length: +7"], Err(BadLength)),
        (&["Content-Length: -7"], Err(BadLength)),
        (&["Content-Length: 07"], Err(BadLength)),
        (&["Content-Length: 0x7"], Err(BadLength)),
        (&["Content-Length: 7 7"], Err(BadLength)),
        (&["Content-Length:"], Err(BadLength)),
        (&["Content-Length: 7", "Transfer-Encoding: chunked"], Err(BadLength)),
        (&["Transfer-Encoding: chunked", "content-length: 0"], Err(BadLength)),
        (&["Transfer-Encoding: chunked"], Ok(Framing::Chunked)),
        (&["transfer-encoding:\tCHUNKED "], Ok(Framing::Chunked)),
        (&["Transfer-Encoding: chunked", "Transfer-Encoding: chunked"], Err(BadEncoding)),
        (&["Transfer-Encoding:", "Transfer-Encoding: chunked"], Err(BadEncoding)),
        (&["Transfer-Encoding: chunked, chunked"], Err(BadEncoding)),
        (&["Transfer-Encoding: identity"], Err(BadEncoding)),
        (&["Transfer-Encoding: xchunked"], Err(BadEncoding)),
        (&["Transfer-Encoding: chunked;q=1"], Err(BadEncoding)),
        (&["Transfer-Encoding:"], Err(BadEncoding)),
        (&["Transfer-Encoding: chunked, gzip"], Err(BadEncoding)),
        (&["Transfer-Encoding: gzip, chunked"], Err(UnknownEncoding)),
    ];
    for (lines, expected) in cases {
        let bytes = head("POST / HTTP/1.1", &[&["Host: a"], lines].concat());
        let request = parse(&bytes).expect("a request may announce a body");
        assert_eq!(request.framing(), expected, "{lines:?}");
        let old = head("POST / HTTP/1.0", &[&["Host: a"], lines].concat());
        let framing = parse(&old).expect("the same in HTTP/1.0").framing();
        let is_chunked = expected == Ok(Framing::Chunked) || expected == Err(UnknownEncoding);
        assert_eq!(framing, if is_chunked { Err(BadEncoding) } else { expected }, "{lines:?}");
    }
}

#[test]
fn a_connection_goes_on_if_both_sides_know_that() {
    use Persistence::{Close, KeepAlive, KeepAliveNamed};
    let cases: [(&[&str], Persistence, Persistence); 6] = [
        (&[], KeepAlive, Close),
        (&["Connection: close"], Close, Close),
        (&["Connection: Keep-Alive"], KeepAlive, KeepAliveNamed),
        (&["Connection: keep-alive", "Connection: x, CLOSE"], Close, Close),
        (&["Connection: closed, keep-alives"], KeepAlive, Close),
        (&["Connection: Upgrade, HTTP2-Settings"], KeepAlive, Close),
    ];
    for (lines, in_1_1, in_1_0) in cases {
        for (version, expected) in [("1.1", in_1_1), ("1.0", in_1_0)] {
            let first = format!("GET / HTTP/{version}");
            let bytes = head(&first, &[&["Host: a"], lines].concat());
            let request = parse(&bytes).expect("a valid request");
            assert_eq!(request.persistence(), expected, "{first} {lines:?}");
        }
    }
}

#[test]
fn one_expectation_is_known() {
    let cases: [(&[&str], Result<bool, HeadError>); 6] = [
        (&[], Ok(false)),
        (&["Expect: 100-continue"], Ok(true)),
        (&["EXPECT: 100-Continue"], Ok(true)),
        (&["Expect: 200-ok"], Err(HeadError::Expectation)),
        (&["Expect:"], Err(HeadError::Expectation)),
        (&["Expect: 100-continue", "Expect: 100-continue"], Err(HeadError::Expectation)),
    ];
    for (lines, expected) in cases {
        let bytes = head("POST / HTTP/1.1", &[&["Host: a"], lines].concat());
        assert_eq!(parse(&bytes).expect("valid").expects_continue(), expected, "{lines:?}");
        let old = head("POST / HTTP/1.0", &[&["Host: a"], lines].concat());
        assert_eq!(parse(&old).expect("valid").expects_continue(), Ok(false), "{lines:?}");
    }
}

#[test]
fn an_upgrade_is_offered_in_http_1_1_only() {
    for (line, expected) in [
        ("Upgrade: websocket", true),
        ("Upgrade: h2c, WebSocket", true),
        ("Upgrade: h2c", false),
        ("Upgrade: websocket/13", false),
        ("X: websocket", false),
    ] {
        let bytes = head("GET / HTTP/1.1", &["Host: a", line]);
        assert_eq!(parse(&bytes).expect("valid").offers_upgrade("websocket"), expected, "{line}");
        let old = head("GET / HTTP/1.0", &["Host: a", line]);
        assert!(!parse(&old).expect("valid").offers_upgrade("websocket"), "{line}");
    }
}
