//! HTTP errors in the opening handshake: malformed heads, bodies, and input in which two parties
//! could find different ends of the request (RFC 9110, RFC 9112).

use super::request::*;
use crate::support::client::ACCEPT;
use crate::support::wire;

pub(crate) fn cases() -> Vec<RequestCase> {
    let mut table = RequestTable::new("RFC 9112 section 3");
    request_lines(&mut table);
    targets(&mut table);
    other_protocols(&mut table);
    hosts(&mut table);
    line_ends(&mut table);
    header_lines(&mut table);
    bodies(&mut table);
    plain_bodies(&mut table);
    early_bytes(&mut table);
    sizes(&mut table);
    table.into_cases()
}

fn request_lines(t: &mut RequestTable) {
    t.section("RFC 9110 section 9.1");
    for method in ["POST", "PUT", "DELETE", "PATCH", "TRACE"] {
        let draft = Draft::plain().line(&format!("{method} /healthz HTTP/1.1"));
        t.refuses(&format!("method {method}"), &draft, METHOD);
    }
    for method in ["GETX", "GeT", "GET-", "CoNNECT"] {
        let draft = Draft::plain().line(&format!("{method} /healthz HTTP/1.1"));
        t.refuses(&format!("method {method}"), &draft, UNKNOWN_METHOD);
    }
    let connect = Draft::plain().line("CONNECT 127.0.0.1:80 HTTP/1.1");
    t.refuses("method CONNECT", &connect.swap("Host", &["Host: 127.0.0.1:80"]), METHOD);
    t.refuses("method get", &Draft::new().line("get / HTTP/1.1"), NOT_HTTP);
    t.section("RFC 6455 section 4.2.1");
    for version in [
        "HTTP/11",
        "http/1.1",
        "HTTP/ 1.1",
        "HTTPS/1.1",
        "XTTP/1.1",
        "1.1",
        "HTTP/01.1",
        "HTTP/1.x",
    ] {
        let draft = Draft::new().line(&format!("GET / {version}"));
        t.refuses(&format!("version {version}"), &draft, HTTP_VERSION);
    }
    t.section("RFC 9110 section 15.6.6");
    for version in ["HTTP/0.9", "HTTP/1.2", "HTTP/2.0", "HTTP/2", "HTTP/3", "HTTP/1", "HTTP/9.9"] {
        let draft = Draft::new().line(&format!("GET / {version}"));
        t.refuses(&format!("version {version}"), &draft, UNSUPPORTED_HTTP);
    }
    t.section("RFC 9112 section 3");
    for (name, line) in [
        ("no version", "GET /"),
        ("no target", "GET HTTP/1.1"),
        ("a method alone", "GET"),
        ("a colon in the method", "GE:T / HTTP/1.1"),
    ] {
        t.refuses(name, &Draft::new().line(line), REQUEST_LINE);
    }
    t.refuses("a tab in the request line", &Draft::new().line("GET\t/ HTTP/1.1"), CONTROL_BYTE);
    t.refuses("a space before the method", &Draft::new().line(" GET / HTTP/1.1"), NOT_HTTP);
}

fn targets(t: &mut RequestTable) {
    t.section("RFC 9112 section 3.2");
    for (name, target) in [
        ("asterisk", "*"),
        ("no slash", "chat"),
        ("authority form", "127.0.0.1:80"),
        ("fragment", "/chat#top"),
        ("scheme of files", "file:///etc/passwd"),
        ("scheme without slashes", "http:/chat"),
    ] {
        let draft = Draft::new().line(&format!("GET {target} HTTP/1.1"));
        t.refuses(&format!("target with {name}"), &draft, TARGET);
    }
    for target in
        ["http://example.com/", "ws://127.0.0.1:81/", "http:///chat", "http://u@127.0.0.1/"]
    {
        let draft = Draft::new().line(&format!("GET {target} HTTP/1.1"));
        t.refuses(&format!("target {target} is not Host"), &draft, TARGET_HOST);
    }
}

fn other_protocols(t: &mut RequestTable) {
    t.section("RFC 9112 section 3");
    let hello = [0x16, 0x03, 0x01, 0x02, 0x00, 0x01, 0x00, 0x01, 0xfc, 0x03, 0x03];
    t.refuses_tls("TLS ClientHello", [&hello[..], &[7; 200]].concat());
    t.refuses_bytes("SOCKS 5", vec![0x05, 0x01, 0x00], NOT_HTTP);
    t.refuses_bytes("a masked frame", wire::frame(0x81, b"hello"), NOT_HTTP);
    t.refuses_bytes("NUL", vec![0], NOT_HTTP);
    t.refuses_bytes("JSON", b"{\"op\":\"hello\"}".to_vec(), NOT_HTTP);
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00";
    t.refuses_bytes("the preface of HTTP/2", preface.to_vec(), UNSUPPORTED_HTTP);
    let proxy = b"\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x0c";
    t.refuses_bytes("PROXY version 2", proxy.to_vec(), LEADING_EMPTY_LINE);
    let draft = Draft::new().bytes();
    let lines = [&b"PROXY TCP4 192.0.2.1 192.0.2.2 5 80\r\n"[..], &draft].concat();
    t.refuses_bytes("PROXY version 1", lines, PROXY_HEADER);
    let smtp = b"EHLO client.example\r\n\r\n".to_vec();
    t.refuses_bytes("SMTP", smtp, REQUEST_LINE);
}

fn hosts(t: &mut RequestTable) {
    t.section("RFC 9112 section 3.2");
    t.refuses("no Host", &Draft::new().swap("Host", &[]), MISSING_HOST);
    for (name, value) in [
        ("empty", ""),
        ("two names", "a, b"),
        ("two names without a space", "a,b"),
        ("two words", "a b"),
        ("user information", "user@example.com"),
        ("a path", "example.com/chat"),
        ("a scheme", "http://example.com"),
        ("a port that is a word", "example.com:http"),
        ("a port out of range", "example.com:65536"),
        ("a port without a name", ":80"),
        ("two ports", "example.com:80:81"),
        ("an open bracket", "[::1"),
        ("a bare IPv6 address", "::1"),
        ("no IPv6 address in brackets", "[::g]"),
        ("a name that is not ASCII", "ex\u{e4}mple.com"),
    ] {
        let line = format!("Host: {value}");
        t.refuses(&format!("Host: {name}"), &Draft::new().swap("Host", &[&line]), BAD_HOST);
    }
    for (name, second) in [
        ("the same Host twice", "Host: 127.0.0.1"),
        ("two Hosts", "Host: example.com"),
        ("two Hosts, one in upper case", "HOST: example.com"),
        ("a Host and an empty one", "Host:"),
    ] {
        t.refuses(name, &Draft::new().plus(&[second]), DUPLICATE_HOST);
    }
}

/// The bytes of a valid handshake with `from` replaced by `to`, once.
fn altered(from: &str, to: &str) -> Vec<u8> {
    let text = String::from_utf8(Draft::new().bytes()).unwrap();
    assert!(text.contains(from));
    text.replacen(from, to, 1).into_bytes()
}

fn line_ends(t: &mut RequestTable) {
    t.section("RFC 9112 section 2.2");
    let all = String::from_utf8(Draft::new().bytes()).unwrap();
    for (name, sends, fault) in [
        ("LF after the request line", altered("HTTP/1.1\r\n", "HTTP/1.1\n"), BARE_LF),
        ("LF after a header", altered("websocket\r\n", "websocket\n"), BARE_LF),
        ("LF for the empty line", altered("13\r\n\r\n", "13\r\n\n"), BARE_LF),
        ("LF LF at the end", altered("13\r\n\r\n", "13\n\n"), BARE_LF),
        ("LF everywhere", all.replace("\r\n", "\n").into_bytes(), BARE_LF),
        ("CR after the request line", altered("HTTP/1.1\r\n", "HTTP/1.1\r"), BARE_CR),
        ("CR everywhere", all.replace("\r\n", "\r").into_bytes(), BARE_CR),
        ("CR CR LF", altered("websocket\r\n", "websocket\r\r\n"), BARE_CR),
        ("CR inside a value", altered("websocket", "web\rsocket"), BARE_CR),
        ("CR before a header", altered("Upgrade:", "\rUpgrade:"), BARE_CR),
        ("LF inside a value", altered("websocket", "web\nsocket"), BARE_LF),
        ("two empty lines first", [b"\r\n\r\n", all.as_bytes()].concat(), LEADING_EMPTY_LINE),
        ("LF first", [b"\n", all.as_bytes()].concat(), LEADING_EMPTY_LINE),
        ("CR first", [b"\r", all.as_bytes()].concat(), BARE_CR),
    ] {
        t.refuses_bytes(name, sends, fault);
    }
    let empty_line = [b"\r\n", all.as_bytes()].concat();
    t.opens_bytes("an empty line before a handshake", empty_line);
    let empty_line = [b"\r\n", &Draft::plain().bytes()[..]].concat();
    t.answers_bytes("an empty line before a plain request", empty_line);
    t.section("RFC 9112 section 5.2");
    for (name, from, to) in [
        ("a folded Upgrade", "Upgrade: websocket", "Upgrade:\r\n websocket"),
        ("a fold by a tab", "Upgrade: websocket", "Upgrade:\r\n\twebsocket"),
        ("a folded Connection", "Connection: Upgrade", "Connection: keep-alive,\r\n Upgrade"),
        ("a space before the first header", "Host:", " Host:"),
        ("an empty line of spaces", "13\r\n\r\n", "13\r\n  \r\n\r\n"),
    ] {
        t.refuses_bytes(name, altered(from, to), FOLDED_LINE);
    }
}

fn header_lines(t: &mut RequestTable) {
    t.section("RFC 9112 section 5.1");
    for (name, line) in [
        ("a space before the colon", "X-Name : value"),
        ("a tab before the colon", "X-Name\t: value"),
        ("a space in a name", "X Name: value"),
        ("no colon", "X-Name"),
        ("no name", ": value"),
        ("a parenthesis in a name", "X(Name: value"),
        ("a slash in a name", "X/Name: value"),
        ("a quote in a name", "X\"Name: value"),
        ("a name that is not ASCII", "X-N\u{e4}me: value"),
        ("Content-Length with a space before the colon", "Content-Length : 5"),
        ("Transfer-Encoding with a space before the colon", "Transfer-Encoding : chunked"),
    ] {
        t.refuses(name, &Draft::new().plus(&[line]), HEADER_NAME);
    }
    t.section("RFC 9110 section 5.5");
    for byte in [0x00, 0x01, 0x08, 0x0b, 0x0c, 0x0e, 0x1b, 0x1f, 0x7f_u8] {
        let line = format!("X-Value: a{}b", char::from(byte));
        let name = format!("byte {byte:02x} in a value");
        t.refuses(&name, &Draft::new().plus(&[&line]), CONTROL_BYTE);
    }
    let line = "GET /\0 HTTP/1.1";
    t.refuses("NUL in the target", &Draft::new().line(line), CONTROL_BYTE);
    t.refuses("NUL in a name", &Draft::new().plus(&["X\0Name: value"]), CONTROL_BYTE);
}

fn bodies(t: &mut RequestTable) {
    t.section("RFC 9112 section 6.1");
    for (name, lines) in [
        ("chunked", &["Transfer-Encoding: chunked"][..]),
        ("identity", &["Transfer-Encoding: identity"]),
        ("gzip, chunked", &["Transfer-Encoding: gzip, chunked"]),
        ("nonsense", &["Transfer-Encoding: xchunked"]),
        ("empty", &["Transfer-Encoding:"]),
        ("twice", &["Transfer-Encoding: chunked", "Transfer-Encoding: identity"]),
        ("a tab before the value", &["Transfer-Encoding:\tchunked"]),
        ("upper case", &["TRANSFER-ENCODING: CHUNKED"]),
        ("after Content-Length", &["Content-Length: 5", "Transfer-Encoding: chunked"]),
        ("before Content-Length", &["Transfer-Encoding: chunked", "Content-Length: 5"]),
        ("with Content-Length of zero", &["Content-Length: 0", "Transfer-Encoding: chunked"]),
    ] {
        let name = format!("Transfer-Encoding: {name}");
        t.refuses(&name, &Draft::new().plus(lines), TRANSFER_ENCODING);
    }
    t.section("RFC 9112 section 6.3");
    for (name, lines) in [
        ("5", &["Content-Length: 5"][..]),
        ("empty", &["Content-Length:"]),
        ("+0", &["Content-Length: +0"]),
        ("-0", &["Content-Length: -0"]),
        ("00", &["Content-Length: 00"]),
        ("0x0", &["Content-Length: 0x0"]),
        ("0, 0", &["Content-Length: 0, 0"]),
        ("0 twice", &["Content-Length: 0", "Content-Length: 0"]),
        ("0 and 5", &["Content-Length: 0", "content-length: 5"]),
        ("above 64 bits", &["Content-Length: 18446744073709551616"]),
    ] {
        let name = format!("Content-Length: {name}");
        t.refuses(&name, &Draft::new().plus(lines), CONTENT_LENGTH);
    }
    let with_body = |lines: &[&str], body: &str| {
        [Draft::new().plus(lines).bytes(), body.as_bytes().to_vec()].concat()
    };
    let second = "GET /admin HTTP/1.1\r\nHost: a\r\n\r\n";
    let chunked = format!("0\r\n\r\n{second}");
    let (length, encoding) = ("Content-Length: 5", "Transfer-Encoding: chunked");
    t.refuses_bytes("a body of 5 bytes", with_body(&[length], "hello"), CONTENT_LENGTH);
    t.refuses_bytes("a body cut short", with_body(&[length], "hel"), CONTENT_LENGTH);
    let both = with_body(&[length, encoding], &chunked);
    t.refuses_bytes("a request after an empty chunk, both headers", both, TRANSFER_ENCODING);
    let only = with_body(&[encoding], &chunked);
    t.refuses_bytes("a request after an empty chunk", only, TRANSFER_ENCODING);
}

/// Bodies of requests that are no handshakes.
fn plain_bodies(t: &mut RequestTable) {
    t.section("RFC 9112 section 6.3");
    for (name, lines, fault) in [
        ("length of +5", &["Content-Length: +5"][..], BAD_LENGTH),
        ("length of 05", &["Content-Length: 05"], BAD_LENGTH),
        ("length of 5, 5", &["Content-Length: 5, 5"], BAD_LENGTH),
        ("length twice", &["Content-Length: 5", "Content-Length: 5"], BAD_LENGTH),
        ("two lengths", &["Content-Length: 5", "Content-Length: 6"], BAD_LENGTH),
        ("length and chunks", &["Content-Length: 5", "Transfer-Encoding: chunked"], BAD_LENGTH),
        ("chunks and length", &["Transfer-Encoding: chunked", "Content-Length: 5"], BAD_LENGTH),
        ("chunks twice", &["Transfer-Encoding: chunked, chunked"], BAD_ENCODING),
        ("xchunked", &["Transfer-Encoding: xchunked"], BAD_ENCODING),
        ("identity", &["Transfer-Encoding: identity"], BAD_ENCODING),
        ("chunked, gzip", &["Transfer-Encoding: chunked, gzip"], BAD_ENCODING),
        ("gzip, chunked", &["Transfer-Encoding: gzip, chunked"], UNKNOWN_ENCODING),
        ("length above the limit", &["Content-Length: 1048577"], BODY_TOO_LARGE),
        ("length above 64 bits", &["Content-Length: 18446744073709551616"], BODY_TOO_LARGE),
    ] {
        t.refuses(&format!("a plain body: {name}"), &Draft::plain().plus(lines), fault);
    }
    let old = Draft::plain().line("GET /healthz HTTP/1.0").plus(&["Transfer-Encoding: chunked"]);
    t.refuses("a plain body: chunks in HTTP/1.0", &old, BAD_ENCODING);
    let with = |line: &str, body: &str| {
        [Draft::plain().plus(&[line]).bytes(), body.as_bytes().to_vec()].concat()
    };
    t.answers_bytes("a body of 5 bytes is discarded", with("Content-Length: 5", "hello"));
    let chunks = "5\r\nhello\r\n0\r\nTrailer: x\r\n\r\n";
    t.answers_bytes("a body of chunks is discarded", with("Transfer-Encoding: chunked", chunks));
    for (name, body, fault) in [
        ("no length", "\r\n", CHUNK_LINE),
        ("a length of 0x5", "0x5\r\nhello\r\n", CHUNK_LINE),
        ("a length with a space", "5 \r\nhello\r\n", CHUNK_LINE),
        ("a lone LF behind the length", "5\nhello\r\n", CHUNK_LINE),
        ("a lone CR behind the length", "5\rhello\r\n", CHUNK_LINE),
        ("an empty extension", "5;\r\nhello\r\n", CHUNK_LINE),
        ("more than its length", "5\r\nhello!\r\n", CHUNK_END),
        ("a lone LF behind the chunk", "5\r\nhello\n0\r\n\r\n", CHUNK_END),
        ("more than allowed", "100001\r\n", BODY_TOO_LARGE),
        ("a length above 64 bits", "ffffffffffffffffff\r\n", BODY_TOO_LARGE),
    ] {
        let sends = with("Transfer-Encoding: chunked", body);
        t.refuses_bytes(&format!("a chunk with {name}"), sends, fault);
    }
}

fn early_bytes(t: &mut RequestTable) {
    t.section("RFC 6455 section 4.1");
    for (name, early) in [
        ("a frame", wire::frame(0x81, b"hello")),
        ("a close frame", wire::close(1000, "")),
        ("one byte", vec![0x81]),
        ("an empty line", b"\r\n".to_vec()),
        ("a second request", Draft::new().bytes()),
        ("20,000 bytes", vec![b'x'; 20_000]),
    ] {
        t.refuses_early(&format!("{name} behind the head"), &Draft::new(), &early);
    }
    let zero = Draft::new().plus(&["Content-Length: 0"]);
    let second = b"GET /admin HTTP/1.1\r\nHost: a\r\n\r\n";
    t.refuses_early("a request behind Content-Length of zero", &zero, second);
}

fn sizes(t: &mut RequestTable) {
    t.section("RFC 6585 section 5");
    let fill = |count: usize| {
        let lines: Vec<String> = (5..count).map(|i| format!("X-{i}: {i}")).collect();
        Draft::new().plus(&lines.iter().map(String::as_str).collect::<Vec<_>>())
    };
    t.opens_with("64 headers", &fill(64), switching(ACCEPT, ""));
    t.refuses("65 headers", &fill(65), TOO_MANY_HEADERS);
    t.refuses("500 headers", &fill(500), TOO_MANY_HEADERS);
    let sized = |len: usize| {
        let spare = len - Draft::new().plus(&["X-Fill: "]).bytes().len();
        Draft::new().plus(&[&format!("X-Fill: {}", "x".repeat(spare))])
    };
    assert_eq!(sized(16_384).bytes().len(), 16_384);
    t.opens_with("a head of 16,384 bytes", &sized(16_384), switching(ACCEPT, ""));
    t.refuses("a head of 16,385 bytes", &sized(16_385), HEAD_TOO_LARGE);
    t.refuses("a head of 70,000 bytes", &sized(70_000), HEAD_TOO_LARGE);
    let cookie = format!("Cookie: {}", "c".repeat(9_000));
    t.opens_with("a cookie of 9,000 bytes", &Draft::new().plus(&[&cookie]), switching(ACCEPT, ""));
    t.section("RFC 9112 section 3");
    let path = |len: usize| Draft::new().line(&format!("GET /{} HTTP/1.1", "p".repeat(len - 1)));
    t.opens_with("a path of 8,000 bytes", &path(8_000), switching(ACCEPT, ""));
    t.refuses("a path of 9,000 bytes", &path(9_000), LINE_TOO_LONG);
    t.refuses_bytes("a method without an end", vec![b'A'; 8_193], LINE_TOO_LONG);
    let name = [&b"GET / HTTP/1.1\r\n"[..], &[b'n'; 16_400]].concat();
    t.refuses_bytes("a header name without an end", name, HEAD_TOO_LARGE);
}
