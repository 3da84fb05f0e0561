//! Goal: a response is written whole, and no text of an application can add a line to it.

use crate::protocol::http::{HeaderError, HeaderList, Response, Status};

fn written(response: &Response) -> String {
    let mut out = b"before".to_vec();
    response.write(&mut out);
    let text = String::from_utf8(out).expect("ASCII");
    text.strip_prefix("before").expect("the bytes before are kept").to_owned()
}

#[test]
fn responses_are_exactly_these() {
    let text = Response::text(Status::NOT_FOUND, "No such room.\n");
    let expected = "HTTP/1.1 404 Not Found\r\nConnection: close\r\n\
        Content-Type: text/plain; charset=utf-8\r\nContent-Length: 14\r\n\r\nNo such room.\n";
    assert_eq!(written(&text), expected);

    let empty = Response::new(Status::new(418).expect("a status"));
    let expected = "HTTP/1.1 418 \r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
    assert_eq!(written(&empty), expected);

    let redirect = Response::new(Status::FOUND).with_header("Location", " https://a.example/ ");
    let expected = "HTTP/1.1 302 Found\r\nLocation: https://a.example/\r\nConnection: close\r\n\
        Content-Length: 0\r\n\r\n";
    assert_eq!(written(&redirect.expect("a valid header")), expected);

    let json = Response::text(Status::UNAUTHORIZED, "{}")
        .with_header("content-type", "application/json")
        .and_then(|response| response.with_header("WWW-Authenticate", "Bearer"))
        .and_then(|response| response.with_header("Set-Cookie", "a=b"))
        .and_then(|response| response.with_header("Set-Cookie", "c=d"));
    let expected = "HTTP/1.1 401 Unauthorized\r\ncontent-type: application/json\r\n\
        WWW-Authenticate: Bearer\r\nSet-Cookie: a=b\r\nSet-Cookie: c=d\r\n\
        Connection: close\r\nContent-Length: 2\r\n\r\n{}";
    assert_eq!(written(&json.expect("valid headers")), expected);

    let upgrade = Response::new(Status::UPGRADE_REQUIRED).with_header("Upgrade", "websocket");
    let expected = "HTTP/1.1 426 Upgrade Required\r\nUpgrade: websocket\r\n\
        Connection: Upgrade, close\r\nContent-Length: 0\r\n\r\n";
    assert_eq!(written(&upgrade.expect("a valid header")), expected);
}

#[test]
fn a_status_without_a_body_has_none() {
    for (code, expected) in [
        (204, "HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n"),
        (205, "HTTP/1.1 205 Reset Content\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"),
        (304, "HTTP/1.1 304 Not Modified\r\nConnection: close\r\n\r\n"),
    ] {
        let status = Status::new(code).expect("a status");
        assert_eq!(written(&Response::text(status, "body")), expected);
        assert_eq!(written(&Response::new(status).with_body(b"body".to_vec())), expected);
    }
}

#[test]
fn no_text_can_add_a_line() {
    let names = ["", "a b", "a:", "a\r\nb", "caf\u{e9}", "a\0", " a", "a ", "\"a\""];
    for name in names {
        let response = Response::new(Status::OK).with_header(name, "value");
        assert_eq!(response, Err(HeaderError::Name), "{name:?}");
    }
    for byte in 0..=u8::MAX {
        let mut list = HeaderList::new();
        let allowed = byte == b'\t' || (byte >= b' ' && byte != 0x7f);
        let expected = if allowed { Ok(()) } else { Err(HeaderError::Value) };
        assert_eq!(list.push("X", [b'a', byte, b'b']), expected, "{byte}");
        assert_eq!(list.is_empty(), !allowed);
    }
    for name in ["Connection", "CONTENT-LENGTH", "keep-alive", "Trailer", "transfer-encoding"] {
        let response = Response::new(Status::OK).with_header(name, "0");
        assert_eq!(response, Err(HeaderError::Reserved), "{name}");
    }
}

#[test]
fn a_list_keeps_order_and_repeated_names() {
    let mut list = HeaderList::new();
    for (name, value) in [("a", "1"), ("B", ""), ("a", "caf\u{e9}")] {
        list.push(name, value).expect("a valid header");
    }
    assert_eq!(list.push("c", "\r\n"), Err(HeaderError::Value));
    let lines: Vec<_> = list.iter().collect();
    assert_eq!(lines, [("a", &b"1"[..]), ("B", b""), ("a", "caf\u{e9}".as_bytes())]);
    assert_eq!(list.as_bytes(), "a: 1\r\nB: \r\na: caf\u{e9}\r\n".as_bytes());
}
