//! Goal: requests that differ from a valid one in one respect get the status that they must.

use super::{LINES, fault, head, instead, serve, status, with};
use crate::protocol::http::{self, HeadError, HeadLimits};
use crate::protocol::websocket::handshake::{Parsed, Rejection, Request, parse};

type Case = (u16, Vec<u8>);

fn request_lines() -> Vec<Case> {
    let cases = [
        (101, "GET / HTTP/1.1"),
        (101, "GET /chat HTTP/1.1"),
        (101, "GET /chat?a=1&b=%20 HTTP/1.1"),
        (101, "GET /? HTTP/1.1"),
        (101, "GET //double HTTP/1.1"),
        (101, "GET /{|}^\"<>` HTTP/1.1"),
        (101, "GET http://server.example.com/ HTTP/1.1"),
        (101, "GET HTTPS://Server.Example.COM/x?y HTTP/1.1"),
        (101, "GET ws://server.example.com HTTP/1.1"),
        (101, "GET wss://server.example.com?q HTTP/1.1"),
        (400, "GET http://other.example.com/ HTTP/1.1"),
        (400, "GET http://server.example.org/ HTTP/1.1"),
        (400, "GET http://server.example.com:80/ HTTP/1.1"),
        (400, "GET http://user@server.example.com/ HTTP/1.1"),
        (400, "GET http:// HTTP/1.1"),
        (400, "GET http:/server.example.com/ HTTP/1.1"),
        (400, "GET ftp://server.example.com/ HTTP/1.1"),
        (400, "GET /a#b HTTP/1.1"),
        (400, "GET # HTTP/1.1"),
        (400, "GET * HTTP/1.1"),
        (400, "GET chat HTTP/1.1"),
        (400, "GET ?x HTTP/1.1"),
        (400, "GET server.example.com:443 HTTP/1.1"),
        (400, "GET /\u{e9} HTTP/1.1"),
        (400, "GET /a b HTTP/1.1"),
        (400, "GET /a\tb HTTP/1.1"),
        (400, "GET /a\0b HTTP/1.1"),
        (400, "GET /a\u{7f} HTTP/1.1"),
        (400, "GET  / HTTP/1.1"),
        (400, "GET /  HTTP/1.1"),
        (400, "GET\t/ HTTP/1.1"),
        (400, "GET / HTTP/1.1 "),
        (400, "GET HTTP/1.1"),
        (400, "GET /"),
        (400, "GET"),
        (400, "G@T / HTTP/1.1"),
        (400, " GET / HTTP/1.1"),
        (400, "get / HTTP/1.1"),
        (200, "GET / HTTP/1.0"),
        (505, "GET / HTTP/0.9"),
        (505, "GET / HTTP/1.2"),
        (505, "GET / HTTP/2.0"),
        (505, "GET / HTTP/2"),
        (400, "GET / http/1.1"),
        (400, "GET / HTTP/01.1"),
        (400, "GET / HTTP/1.11"),
        (505, "PRI * HTTP/2.0"),
        (405, "Get / HTTP/1.1"),
        (405, "GETX / HTTP/1.1"),
        (405, "HEAD / HTTP/1.1"),
        (405, "POST / HTTP/1.1"),
        (405, "OPTIONS * HTTP/1.1"),
        (400, "CONNECT server.example.com:443 HTTP/1.1"),
    ];
    cases.iter().map(|&(status, first)| (status, head(first, &LINES))).collect()
}

/// The line of one header of the valid request, replaced by the given ones.
fn replaced() -> Vec<Case> {
    let cases: &[(u16, &str, &[&str])] = &[
        (400, "Host", &[]),
        (400, "Host", &["Host:"]),
        (400, "Host", &["Host: a.example", "Host: a.example"]),
        (400, "Host", &["Host: a.example", "hOST: b.example"]),
        (101, "Host", &["host:a.example:8080"]),
        (101, "Host", &["Host: [::1]:80"]),
        (101, "Host", &["Host: 127.0.0.1:"]),
        (101, "Host", &["Host: \t a.example \t "]),
        (400, "Host", &["Host: a.example/"]),
        (400, "Host", &["Host: u@a.example"]),
        (400, "Host", &["Host: a.example?x"]),
        (400, "Host", &["Host: a.example#x"]),
        (400, "Host", &["Host: a.example, b.example"]),
        (400, "Host", &["Host: a.example b.example"]),
        (400, "Host", &["Host: a.example:80:80"]),
        (400, "Host", &["Host: a.example:+80"]),
        (400, "Host", &["Host: a.example:65536"]),
        (400, "Host", &["Host: :80"]),
        (400, "Host", &["Host: [::1"]),
        (400, "Host", &["Host: [::g]"]),
        (400, "Host", &["Host: \u{e9}.example"]),
        (200, "Upgrade", &[]),
        (200, "Upgrade", &["Upgrade:"]),
        (101, "Upgrade", &["Upgrade: WebSocket"]),
        (101, "Upgrade", &["UPGRADE:WEBSOCKET"]),
        (101, "Upgrade", &["Upgrade: h2c, websocket"]),
        (101, "Upgrade", &["Upgrade: HTTP/2.0,,websocket,"]),
        (101, "Upgrade", &["Upgrade: h2c", "Upgrade: websocket"]),
        (200, "Upgrade", &["Upgrade: h2c"]),
        (200, "Upgrade", &["Upgrade: websocket/13"]),
        (200, "Upgrade", &["Upgrade: websockets"]),
        (200, "Upgrade", &["Upgrade: xwebsocket"]),
        (200, "Upgrade", &["Upgrade: web socket"]),
        (200, "Upgrade", &["Upgrade: \"websocket\""]),
        (200, "Upgrade", &["Upgrade: websocket;q=1"]),
        (400, "Upgrade", &["Upgrade: websocket, a b"]),
        (400, "Upgrade", &["Upgrade: websocket, /1"]),
        (400, "Connection", &[]),
        (400, "Connection", &["Connection:"]),
        (400, "Connection", &["Connection: keep-alive"]),
        (400, "Connection", &["Connection: close"]),
        (400, "Connection", &["Connection: upgrade-insecure"]),
        (400, "Connection", &["Connection: notupgrade"]),
        (400, "Connection", &["Connection: Upgrade websocket"]),
        (400, "Connection", &["Connection: Upgrade, \u{e9}"]),
        (101, "Connection", &["Connection: keep-alive, Upgrade"]),
        (101, "Connection", &["Connection: UPGRADE ,\tkeep-alive"]),
        (101, "Connection", &["Connection: keep-alive", "Connection: upgrade"]),
        (400, "Sec-WebSocket-Version", &[]),
        (101, "Sec-WebSocket-Version", &["Sec-WebSocket-Version: \t13 \t"]),
        (101, "Sec-WebSocket-Version", &["sec-websocket-version:13"]),
        (426, "Sec-WebSocket-Version", &["Sec-WebSocket-Version: 8"]),
        (426, "Sec-WebSocket-Version", &["Sec-WebSocket-Version: 0"]),
        (426, "Sec-WebSocket-Version", &["Sec-WebSocket-Version: 14"]),
        (426, "Sec-WebSocket-Version", &["Sec-WebSocket-Version: 255"]),
        (400, "Sec-WebSocket-Version", &["Sec-WebSocket-Version: 256"]),
        (400, "Sec-WebSocket-Version", &["Sec-WebSocket-Version: 013"]),
        (400, "Sec-WebSocket-Version", &["Sec-WebSocket-Version: 00"]),
        (400, "Sec-WebSocket-Version", &["Sec-WebSocket-Version: +13"]),
        (400, "Sec-WebSocket-Version", &["Sec-WebSocket-Version: 13.0"]),
        (400, "Sec-WebSocket-Version", &["Sec-WebSocket-Version: 13, 8"]),
        (400, "Sec-WebSocket-Version", &["Sec-WebSocket-Version: thirteen"]),
        (400, "Sec-WebSocket-Version", &["Sec-WebSocket-Version:"]),
        (400, "Sec-WebSocket-Version", &["Sec-WebSocket-Version: 13", "Sec-WebSocket-Version: 13"]),
        (400, "Sec-WebSocket-Key", &[]),
        (400, "Sec-WebSocket-Key", &["Sec-WebSocket-Key:"]),
        (101, "Sec-WebSocket-Key", &["sec-websocket-key:AAAAAAAAAAAAAAAAAAAAAA=="]),
        (101, "Sec-WebSocket-Key", &["Sec-WebSocket-Key: ////++++++++++++++////=="]),
        // The unused bits of the last character are set, which `parse` documents as allowed.
        (101, "Sec-WebSocket-Key", &["Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAB=="]),
        (400, "Sec-WebSocket-Key", &["Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAA"]),
        (400, "Sec-WebSocket-Key", &["Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA="]),
        (400, "Sec-WebSocket-Key", &["Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAAA="]),
        (400, "Sec-WebSocket-Key", &["Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAAAA"]),
        (400, "Sec-WebSocket-Key", &["Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAAA=="]),
        (400, "Sec-WebSocket-Key", &["Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAA==="]),
        (400, "Sec-WebSocket-Key", &["Sec-WebSocket-Key: AAAAAAAAAAA=AAAAAAAAAA=="]),
        (400, "Sec-WebSocket-Key", &["Sec-WebSocket-Key: AAAAAAAAAAA-AAAAAAAAA_=="]),
        (400, "Sec-WebSocket-Key", &["Sec-WebSocket-Key: AAAAAAAAAAA AAAAAAAAAA=="]),
        (400, "Sec-WebSocket-Key", &["Sec-WebSocket-Key: \u{e9}AAAAAAAAAAAAAAAAAAAA=="]),
    ];
    cases.iter().map(|&(status, name, lines)| (status, instead(name, lines))).collect()
}

/// The valid request with more lines.
fn added() -> Vec<Case> {
    let cases: &[(u16, &[&str])] = &[
        (101, &["X-Any: caf\u{e9}", "X-Any: again", "X-Empty:"]),
        (101, &["X-Tab: a\tb"]),
        (101, &["Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo="]),
        (400, &["Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="]),
        (101, &["Content-Length: 0"]),
        (400, &["Content-Length: 0", "Content-Length: 0"]),
        (400, &["Content-Length: 1"]),
        (400, &["Content-Length: 00"]),
        (400, &["Content-Length: 0, 0"]),
        (400, &["Content-Length: -0"]),
        (400, &["Content-Length:"]),
        (400, &["Transfer-Encoding: chunked"]),
        (400, &["transfer-encoding: identity"]),
        (400, &["Transfer-Encoding:"]),
        (101, &["Transfer-Encodinx: chunked"]),
        (101, &["Origin: https://a.example"]),
        (101, &["Origin: null"]),
        (400, &["Origin: https://a.example", "Origin: https://a.example"]),
        (400, &["Origin:"]),
        (400, &["Origin: https://a.example https://b.example"]),
        (400, &["Origin: https://\u{e9}.example"]),
        (400, &["X-Space : a"]),
        (400, &[" X-Lead: a"]),
        (400, &["X-Fold: a", " b: c"]),
        (400, &["X-Fold: a", "\tb"]),
        (400, &[": a"]),
        (400, &["NoColon"]),
        (400, &["X Y: a"]),
        (400, &["X\"Y: a"]),
        (400, &["X-\u{e9}: a"]),
        (400, &["X-Nul: a\0b"]),
        (400, &["X-Bell: \u{7}"]),
        (400, &["X-Esc: \u{1b}[2J"]),
        (400, &["X-Del: \u{7f}"]),
        (400, &["X-Lf: a\nX-B: b"]),
        (400, &["X-Cr: a\rX-B: b"]),
        (400, &["X-CrCr: a\r"]),
        (101, &["Sec-WebSocket-Protocol: chat"]),
        (101, &["Sec-WebSocket-Protocol: chat, superchat"]),
        (101, &["Sec-WebSocket-Protocol: ,chat,,\tsuperchat ,"]),
        (101, &["Sec-WebSocket-Protocol: a, b", "sec-websocket-protocol: c"]),
        (101, &["Sec-WebSocket-Protocol: chat, Chat"]),
        (101, &["Sec-WebSocket-Protocol:", "Sec-WebSocket-Protocol: chat"]),
        (400, &["Sec-WebSocket-Protocol: chat, chat"]),
        (400, &["Sec-WebSocket-Protocol: a", "Sec-WebSocket-Protocol: b, a"]),
        (400, &["Sec-WebSocket-Protocol:"]),
        (400, &["Sec-WebSocket-Protocol: , ,"]),
        (400, &["Sec-WebSocket-Protocol: a b"]),
        (400, &["Sec-WebSocket-Protocol: a/b"]),
        (400, &["Sec-WebSocket-Protocol: \"a\""]),
        (400, &["Sec-WebSocket-Protocol: caf\u{e9}"]),
        (101, &["Sec-WebSocket-Extensions: permessage-deflate"]),
        (101, &["Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits"]),
        (101, &["Sec-WebSocket-Extensions: foo; a=\"b\", bar", "Sec-WebSocket-Extensions: x"]),
        (101, &["Sec-WebSocket-Extensions: permessage-deflate; unknown"]),
        (400, &["Sec-WebSocket-Extensions:"]),
        (400, &["Sec-WebSocket-Extensions: ,"]),
        (400, &["Sec-WebSocket-Extensions: foo;"]),
        (400, &["Sec-WebSocket-Extensions: foo; a="]),
        (400, &["Sec-WebSocket-Extensions: foo bar"]),
        (400, &["Sec-WebSocket-Extensions: foo", "Sec-WebSocket-Extensions: ;"]),
        (400, &["Sec-WebSocket-Extensions: caf\u{e9}"]),
    ];
    cases.iter().map(|&(status, lines)| (status, with(lines))).collect()
}

fn raw() -> Vec<Case> {
    let cases: [(u16, &[u8]); 13] = [
        (0, b""),
        (0, b"GET / HTTP/1.1\r\n"),
        (200, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"),
        (426, b"GET /ws HTTP/1.1\r\nHost: a\r\n\r\n"),
        (400, b"GET / HTTP/1.1\r\n\r\n"),
        (200, b"\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"),
        (400, b"\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"),
        (400, b"\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"),
        (400, b"GET / HTTP/1.1\nHost: a\n\n"),
        (400, b"GET / HTTP/1.1\r\nHost: a\r\n\n"),
        (400, b"GET / HTTP/1.1\r\nHost: a\r\n\r\r"),
        (400, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"),
        (400, b"\0"),
    ];
    cases.iter().map(|&(status, bytes)| (status, bytes.to_vec())).collect()
}

fn cases() -> Vec<Case> {
    [request_lines(), replaced(), added(), raw()].concat()
}

#[test]
fn every_case_gets_its_status() {
    let cases = cases();
    assert!(cases.len() >= 200, "{} cases", cases.len());
    for (expected, bytes) in &cases {
        assert_eq!(status(bytes), *expected, "{}", String::from_utf8_lossy(bytes));
    }
}

#[test]
fn the_parser_alone_is_as_strict() {
    for (expected, bytes) in cases() {
        let alone = fault(&bytes).map(|rejection| rejection.status().code());
        match expected {
            0 => assert_eq!(fault(&bytes), Some(Rejection::Http(HeadError::Incomplete))),
            101 | 200 | 405 | 426 if alone.is_none() => {}
            _ => assert_eq!(alone, Some(expected), "{}", String::from_utf8_lossy(&bytes)),
        }
    }
}

#[test]
fn the_response_does_not_depend_on_how_the_bytes_are_split() {
    for (_, bytes) in cases() {
        let whole = serve(std::iter::once(&bytes[..]));
        assert_eq!(serve(bytes.chunks(1)), whole, "{}", String::from_utf8_lossy(&bytes));
        for cut in 1..bytes.len() {
            let pieces = [&bytes[..cut], &bytes[cut..]];
            assert_eq!(serve(pieces.into_iter()), whole, "cut at {cut}");
        }
    }
}

#[test]
fn a_request_gives_access_to_what_it_holds() {
    let first = "GET http://a.example:81/chat?x=1?y HTTP/1.1";
    let mut lines = LINES.to_vec();
    lines[0] = "Host:  A.example:81 ";
    lines.extend(["Origin: https://b.example", "X-Two: 1", "x-two:\t caf\u{e9} \t"]);
    lines.extend(["Sec-WebSocket-Protocol: a ,b", "Sec-WebSocket-Protocol: c"]);
    lines.extend(["Sec-WebSocket-Extensions: d; e=\"f\"", "sec-websocket-extensions: g"]);
    let bytes = head(first, &lines);
    let Ok(Parsed::Upgrade(request)) = parse(&bytes, &HeadLimits::default()) else {
        panic!("the request is valid");
    };
    assert_eq!(request.target, "http://a.example:81/chat?x=1?y");
    assert_eq!((request.path, request.query), ("/chat", Some("x=1?y")));
    assert_eq!((request.host, request.origin), ("A.example:81", Some("https://b.example")));
    assert_eq!(request.key, super::KEY);
    assert_eq!(request.subprotocols().collect::<Vec<_>>(), ["a", "b", "c"]);
    assert_eq!(request.extensions().collect::<Vec<_>>(), ["d; e=\"f\"", "g"]);
    assert_eq!(request.header("X-TWO"), Some(&b"1"[..]));
    assert_eq!(request.header("X-Three"), None);
    assert_eq!(request.headers().count(), lines.len());
    assert_eq!(request.headers().nth(7), Some(("x-two", "caf\u{e9}".as_bytes())));
}

#[test]
fn a_request_without_lists_has_none() {
    let bytes = with(&[]);
    let Ok(Parsed::Upgrade(request)) = parse(&bytes, &HeadLimits::default()) else {
        panic!("the request is valid");
    };
    assert_eq!((request.path, request.query, request.origin), ("/", None, None));
    assert_eq!(request.subprotocols().next(), None);
    assert_eq!(request.extensions().next(), None);
}

#[test]
fn an_application_reads_query_cookies_and_headers() {
    let first = "GET /room/%61?token=a%2Bb&tag=x+y&tag=z&empty HTTP/1.1";
    let mut lines = LINES.to_vec();
    lines.extend(["Cookie: session=s1; theme=\"dark\"", "X-Real-IP: 10.0.0.1"]);
    lines.extend(["Cookie: session=s2; broken"]);
    let bytes = head(first, &lines);
    let Ok(Parsed::Upgrade(request)) = parse(&bytes, &HeadLimits::default()) else {
        panic!("the request is valid");
    };
    assert_eq!(request.path, "/room/%61", "the path is not decoded");
    let pairs: Vec<_> = request.query_pairs().collect();
    let pairs: Vec<_> = pairs.iter().map(|(name, value)| (&**name, &**value)).collect();
    assert_eq!(pairs, [("token", "a+b"), ("tag", "x y"), ("tag", "z"), ("empty", "")]);
    let cookies: Vec<_> = request.cookies().collect();
    assert_eq!(cookies, [("session", "s1"), ("theme", "\"dark\""), ("session", "s2")]);
    assert_eq!(request.cookie("session"), Some("s1"));
    assert_eq!(request.cookie("Session"), None);
    assert_eq!(request.header("x-real-ip"), Some(&b"10.0.0.1"[..]));

    let bytes = with(&[]);
    let Ok(Parsed::Upgrade(request)) = parse(&bytes, &HeadLimits::default()) else {
        panic!("the request is valid");
    };
    assert_eq!((request.query_pairs().count(), request.cookies().count()), (0, 0));
}

#[test]
fn a_request_that_http_parsed_is_judged_the_same_way() {
    for (_, bytes) in cases() {
        let Ok(request) = http::Request::parse(&bytes, &HeadLimits::default()) else { continue };
        let judged = Request::from_http(&request);
        match parse(&bytes, &HeadLimits::default()) {
            Ok(Parsed::Upgrade(parsed)) => {
                let judged = judged.expect("the same verdict");
                assert_eq!((judged.key, judged.path), (parsed.key, parsed.path));
            }
            Ok(Parsed::Plain(_)) => assert!(judged.is_err()),
            Err(rejection) if request.offers_upgrade("websocket") => {
                assert_eq!(judged.err(), Some(rejection));
            }
            Err(_) => assert!(judged.is_err()),
        }
    }
}
