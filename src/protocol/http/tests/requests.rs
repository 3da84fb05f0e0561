//! Goal: a request head of any method is parsed, with the targets and the Host that it may have.

use super::head;
use crate::protocol::http::{HeadError, HeadLimits, Request, RequestHead, Version};

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
        ("GET / HTTP/2.0", Err(HeadError::Version)),
        ("GET / HTTP/1.2", Err(HeadError::Version)),
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
