//! The accept value, the 101 and the page.

use super::{KEY, serve, with};
use crate::protocol::websocket::handshake::accept_key;
use crate::protocol::websocket::handshake::negotiate::{DeflatePolicy, deflate};
use crate::protocol::websocket::handshake::response::{write_accepted, write_page};

#[test]
fn accept_values_are_those_of_the_rfc_and_of_others() {
    // RFC 6455 section 1.3; the others were made with an independent SHA-1 and base64.
    let cases = [
        (KEY, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="),
        ("x3JJHMbDL1EzLkh9GBhXDw==", "HSmrc0sMlYUkAGmm5OPpG2HaGWk="),
        ("AAAAAAAAAAAAAAAAAAAAAA==", "ICX+Yqv66kxgM0FcWaLWlFLwTAI="),
    ];
    for (key, accept) in cases {
        assert_eq!(accept_key(key), accept.as_bytes());
    }
}

#[test]
fn the_plain_101_is_exactly_this() {
    let mut out = b"before".to_vec();
    write_accepted(&mut out, KEY, None, None);
    let expected = "beforeHTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\
        Connection: Upgrade\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";
    assert_eq!(String::from_utf8_lossy(&out), expected);
}

#[test]
fn the_full_101_is_exactly_this() {
    let policy = DeflatePolicy { enabled: true, ..DeflatePolicy::default() };
    let agreement = deflate(["permessage-deflate"].into_iter(), &policy);
    let mut out = Vec::new();
    write_accepted(&mut out, KEY, Some("chat"), agreement.as_ref());
    let expected = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\
        Connection: Upgrade\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\
        Sec-WebSocket-Protocol: chat\r\nSec-WebSocket-Extensions: permessage-deflate; \
        server_no_context_takeover; client_no_context_takeover\r\n\r\n";
    assert_eq!(String::from_utf8_lossy(&out), expected);
    let request = with(&[
        "Sec-WebSocket-Protocol: chat, other",
        "Sec-WebSocket-Extensions: permessage-deflate",
    ]);
    assert_eq!(serve(std::iter::once(&request[..])), Some(out), "the same over all layers");
}

#[test]
fn a_protocol_cannot_add_lines() {
    let (mut plain, mut tried) = (Vec::new(), Vec::new());
    write_accepted(&mut plain, KEY, None, None);
    for name in ["", "a b", "a\r\nX: y", "caf\u{e9}", "a,b"] {
        tried.clear();
        write_accepted(&mut tried, KEY, Some(name), None);
        assert_eq!(tried, plain, "{name:?}");
    }
}

#[test]
fn the_page_is_a_whole_answer() {
    let mut out = Vec::new();
    write_page(&mut out);
    let text = String::from_utf8(out).expect("ASCII");
    let (head, body) = text.split_once("\r\n\r\n").expect("an empty line");
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n"));
    assert!(head.contains("\r\nConnection: close\r\n"));
    assert!(head.ends_with(&format!("\r\nContent-Length: {}", body.len())));
    assert!(body.starts_with("corecast") && body.contains("ws://"));
    assert_eq!(body.lines().count(), 2);
}
