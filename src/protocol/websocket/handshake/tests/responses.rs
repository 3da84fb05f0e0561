//! Goal: the 101 and the refusals of an application are exactly what they should be.

use super::{KEY, serve, with};
use crate::protocol::http::{HeaderError, Response, Status};
use crate::protocol::websocket::handshake::{
    DeflatePolicy, ExtraHeaders, Refusal, Rejection, accept_key, negotiate_deflate, write_accepted,
};

const NONE: &ExtraHeaders = &ExtraHeaders::new();

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
    write_accepted(&mut out, KEY, None, None, NONE);
    let expected = "beforeHTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\
        Connection: Upgrade\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";
    assert_eq!(String::from_utf8_lossy(&out), expected);
}

#[test]
fn the_full_101_is_exactly_this() {
    let policy = DeflatePolicy { enabled: true, ..DeflatePolicy::default() };
    let agreement = negotiate_deflate(["permessage-deflate"].into_iter(), &policy);
    let mut out = Vec::new();
    write_accepted(&mut out, KEY, Some("chat"), agreement.as_ref(), NONE);
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
    write_accepted(&mut plain, KEY, None, None, NONE);
    for name in ["", "a b", "a\r\nX: y", "caf\u{e9}", "a,b"] {
        tried.clear();
        write_accepted(&mut tried, KEY, Some(name), None, NONE);
        assert_eq!(tried, plain, "{name:?}");
    }
}

#[test]
fn an_application_adds_headers_to_the_101() {
    let mut headers = ExtraHeaders::new();
    headers.push("Set-Cookie", "session=1; HttpOnly").expect("a valid header");
    headers.push("Set-Cookie", " a=b ").expect("a valid header");
    headers.push("X-Trace", "caf\u{e9}").expect("a valid header");
    let mut out = Vec::new();
    write_accepted(&mut out, KEY, Some("chat"), None, &headers);
    let expected = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\
        Connection: Upgrade\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\
        Sec-WebSocket-Protocol: chat\r\nSet-Cookie: session=1; HttpOnly\r\nSet-Cookie: a=b\r\n\
        X-Trace: caf\u{e9}\r\n\r\n";
    assert_eq!(String::from_utf8_lossy(&out), expected);
}

#[test]
fn headers_of_the_handshake_are_reserved_and_others_checked() {
    let mut headers = ExtraHeaders::new();
    let reserved = [
        "Connection",
        "upgrade",
        "CONTENT-LENGTH",
        "Transfer-Encoding",
        "Host",
        "Origin",
        "Sec-WebSocket-Accept",
        "sec-websocket-protocol",
        "SEC-WEBSOCKET-EXTENSIONS",
        "Sec-WebSocket-Anything",
        "Sec-WebSocket-",
    ];
    for name in reserved {
        assert_eq!(headers.push(name, "x"), Err(HeaderError::Reserved), "{name}");
    }
    for name in ["", "a b", "a\r\nb", "\u{20ac}\u{20ac}\u{20ac}\u{20ac}\u{20ac}"] {
        assert_eq!(headers.push(name, "x"), Err(HeaderError::Name), "{name:?}");
    }
    for value in ["a\r\nSet-Cookie: b", "a\nb", "a\rb", "\0", "\u{7f}"] {
        assert_eq!(headers.push("X", value), Err(HeaderError::Value), "{value:?}");
    }
    assert!(headers.list().is_empty());
    assert_eq!(headers.push("Sec-WebSocke", "x"), Ok(()));
}

#[test]
fn an_application_refuses_with_a_line_or_with_any_response() {
    let written = |refusal: &Refusal| {
        let mut out = Vec::new();
        refusal.write_response(&mut out);
        String::from_utf8(out).expect("ASCII")
    };
    let line = Refusal::saying(Rejection::Forbidden, "Log in first.");
    let expected = "HTTP/1.1 403 Forbidden\r\nConnection: close\r\n\
        Content-Type: text/plain; charset=utf-8\r\nContent-Length: 14\r\n\r\nLog in first.\n";
    assert_eq!(written(&line), expected);
    assert_eq!(Refusal::bad_request("x").rejection, Rejection::BadRequest);

    let response = Response::text(Status::UNAUTHORIZED, "Who are you?")
        .with_header("WWW-Authenticate", "Bearer realm=\"chat\"")
        .expect("a valid header");
    let mut expected = Vec::new();
    response.write(&mut expected);
    let refusal = Refusal::from(response);
    assert_eq!(written(&refusal).into_bytes(), expected);
    assert_eq!(refusal.rejection, Rejection::Application(Status::UNAUTHORIZED));
    assert_eq!(refusal.rejection.status(), Status::UNAUTHORIZED);
    assert_eq!(written(&Rejection::Full.into()), {
        let mut out = Vec::new();
        Rejection::Full.write_response(&mut out);
        String::from_utf8(out).expect("ASCII")
    });
}
