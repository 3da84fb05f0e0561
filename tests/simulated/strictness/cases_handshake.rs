//! Opening handshakes: valid ones, and the values of the WebSocket headers (RFC 6455 sections 4.1
//! and 4.2).

use super::request::*;
use crate::support::client::ACCEPT;

pub(crate) fn cases() -> Vec<RequestCase> {
    let mut table = RequestTable::new("RFC 6455 section 4.2.1");
    accepted(&mut table);
    keys(&mut table);
    subprotocols(&mut table);
    upgrade(&mut table);
    connection(&mut table);
    version(&mut table);
    origin(&mut table);
    extensions(&mut table);
    plain_visits(&mut table);
    table.into_cases()
}

fn accepted(t: &mut RequestTable) {
    let draft = Draft::new;
    t.opens("the plainest handshake", &draft());
    for (name, header, line) in [
        ("Upgrade in mixed case", "Upgrade", "Upgrade: WebSocket"),
        ("Upgrade in upper case", "Upgrade", "UPGRADE: WEBSOCKET"),
        ("Upgrade with other protocols", "Upgrade", "Upgrade: h2c, foo/1.1 , websocket"),
        ("Upgrade with empty elements", "Upgrade", "Upgrade: , websocket,,"),
        ("Connection in lower case", "Connection", "connection: upgrade"),
        ("Connection as browsers send it", "Connection", "Connection: keep-alive, Upgrade"),
        ("Connection with empty elements", "Connection", "Connection: ,,Upgrade ,"),
        ("no space after a colon", "Upgrade", "Upgrade:websocket"),
        ("spaces and tabs around a value", "Upgrade", "Upgrade: \t websocket \t "),
        ("Host with a port", "Host", "Host: example.com:8080"),
        ("Host with an empty port", "Host", "Host: example.com:"),
        ("Host with an IPv6 address", "Host", "Host: [2001:db8::1]:443"),
        ("Host in upper case", "Host", "HOST: EXAMPLE.COM"),
        ("names in lower case", "Sec-WebSocket-Version", "sec-websocket-version: 13"),
    ] {
        t.opens(name, &draft().swap(header, &[line]));
    }
    t.opens(
        "Upgrade on two lines",
        &draft().swap("Upgrade", &["Upgrade: h2c", "Upgrade: websocket"]),
    );
    t.opens(
        "Connection on two lines",
        &draft().swap("Connection", &["Connection: keep-alive", "Connection: Upgrade"]),
    );
    for (name, line) in [
        ("a header that is not known", "X-Anything: goes"),
        ("an empty header value", "X-Empty:"),
        ("a tab inside a value", "X-Tab: a\tb"),
        ("Content-Length of zero", "Content-Length: 0"),
        ("a name of every kind of character", "!#$%&'*+-.^_`|~aZ9: x"),
        ("a value of every kind of character", "X-Value: \"(),/:;<=>?@[\\]{}~"),
        ("a value in UTF-8", "X-Value: \u{e9}\u{20ac}"),
        ("an Accept of the client's own", "Sec-WebSocket-Accept: nonsense"),
    ] {
        t.opens(name, &draft().plus(&[line]));
    }
    for (name, line) in [
        ("a path", "GET /chat/room HTTP/1.1"),
        ("a query", "GET /?a=b&c=%20?d HTTP/1.1"),
        ("a query after a path", "GET /chat?x=1 HTTP/1.1"),
        ("an absolute target", "GET http://127.0.0.1/chat HTTP/1.1"),
        ("an absolute target with ws", "GET ws://127.0.0.1 HTTP/1.1"),
        ("a path of slashes", "GET ///../ HTTP/1.1"),
    ] {
        t.opens(name, &draft().line(line));
    }
}

fn keys(t: &mut RequestTable) {
    t.section("RFC 6455 section 4.2.2");
    for (key, accept) in [
        ("x3JJHMbDL1EzLkh9GBhXDw==", "HSmrc0sMlYUkAGmm5OPpG2HaGWk="),
        ("AAAAAAAAAAAAAAAAAAAAAA==", "ICX+Yqv66kxgM0FcWaLWlFLwTAI="),
        ("/////////////////////w==", "XXpj4jYzLM2yUE0C7TIgMwTQh2g="),
    ] {
        let line = format!("Sec-WebSocket-Key: {key}");
        let draft = Draft::new().swap("Sec-WebSocket-Key", &[&line]);
        t.opens_with(&format!("key {key}"), &draft, switching(accept, ""));
    }
    t.section("RFC 6455 section 4.2.1");
    t.refuses("no key", &Draft::new().swap("Sec-WebSocket-Key", &[]), MISSING_KEY);
    for (name, value) in [
        ("key empty", ""),
        ("key of 15 bytes", "AQIDBAUGBwgJCgsMDQ4P"),
        ("key of 17 bytes", "AQIDBAUGBwgJCgsMDQ4PEBE="),
        ("key of 18 bytes", "AQIDBAUGBwgJCgsMDQ4PEBES"),
        ("key without padding", "dGhlIHNhbXBsZSBub25jZQ"),
        ("key with half its padding", "dGhlIHNhbXBsZSBub25jZQ="),
        ("key with padding too long", "dGhlIHNhbXBsZSBub25jZQ==="),
        ("key with padding in the middle", "dGhlIHNhbXBs==ZSBub25jZQ"),
        ("key with a space inside", "dGhlIHNhbXBs SBub25jZQ=="),
        ("key in the alphabet of URLs", "dGhlIHNhbXBsZSBub2-_ZQ=="),
        ("key with a comma", "dGhlIHNhbXBs,SBub25jZQ=="),
        ("key in quotes", "\"dGhlIHNhbXBsZSBub25jZQ==\""),
        ("key that is not ASCII", "dGhlIHNhbXBsZSBub25j\u{e9}=="),
    ] {
        let line = format!("Sec-WebSocket-Key: {value}");
        t.refuses(name, &Draft::new().swap("Sec-WebSocket-Key", &[&line]), BAD_KEY);
    }
    for (name, second) in [
        ("the same key twice", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="),
        ("two keys", "Sec-WebSocket-Key: x3JJHMbDL1EzLkh9GBhXDw=="),
        ("two keys, one in lower case", "sec-websocket-key: x3JJHMbDL1EzLkh9GBhXDw=="),
        ("a key and an empty one", "Sec-WebSocket-Key:"),
    ] {
        t.refuses(name, &Draft::new().plus(&[second]), DUPLICATE_KEY);
    }
}

fn subprotocols(t: &mut RequestTable) {
    t.section("RFC 6455 section 4.2.2");
    let chosen = |name: &str| switching(ACCEPT, &format!("Sec-WebSocket-Protocol: {name}\r\n"));
    for (name, lines, first) in [
        ("one subprotocol", &["Sec-WebSocket-Protocol: chat"][..], "chat"),
        ("two subprotocols", &["Sec-WebSocket-Protocol: chat, superchat"], "chat"),
        ("subprotocols without spaces", &["Sec-WebSocket-Protocol: b,a"], "b"),
        (
            "subprotocols on two lines",
            &["Sec-WebSocket-Protocol: v2.example", "sec-websocket-protocol: v1"],
            "v2.example",
        ),
        ("subprotocols that differ in case", &["Sec-WebSocket-Protocol: a, A"], "a"),
    ] {
        t.opens_with(name, &Draft::new().plus(lines), chosen(first));
    }
    t.section("RFC 6455 section 4.1");
    for (name, value, fault) in [
        ("the same subprotocol twice", "chat, chat", DUPLICATE_PROTOCOL),
        ("no subprotocol", "", BAD_PROTOCOL),
        ("no subprotocol but commas", ", ,", BAD_PROTOCOL),
        ("a subprotocol with a space", "super chat", BAD_PROTOCOL),
        ("a subprotocol with a slash", "chat/1", BAD_PROTOCOL),
        ("a subprotocol in quotes", "\"chat\"", BAD_PROTOCOL),
        ("a subprotocol that is not ASCII", "ch\u{e4}t", BAD_PROTOCOL),
    ] {
        let line = format!("Sec-WebSocket-Protocol: {value}");
        t.refuses(name, &Draft::new().plus(&[&line]), fault);
    }
    let names: Vec<String> = (0..65).map(|i| format!("p{i}")).collect();
    let line = format!("Sec-WebSocket-Protocol: {}", names.join(","));
    t.refuses("65 subprotocols", &Draft::new().plus(&[&line]), TOO_MANY_PROTOCOLS);
    let line = format!("Sec-WebSocket-Protocol: {}", names[..64].join(","));
    t.opens_with("64 subprotocols", &Draft::new().plus(&[&line]), chosen("p0"));
}

fn upgrade(t: &mut RequestTable) {
    t.section("RFC 6455 section 4.2.1");
    for (name, value, fault) in [
        ("Upgrade to websocket and nonsense", "websocket, a b", BAD_UPGRADE),
        ("Upgrade to websocket and a lone slash", "websocket, /", BAD_UPGRADE),
    ] {
        let line = format!("Upgrade: {value}");
        t.refuses(name, &Draft::new().swap("Upgrade", &[&line]), fault);
    }
    t.section("RFC 9110 section 7.8");
    for (name, value) in [
        ("Upgrade to something else", "h2c"),
        ("Upgrade empty", ""),
        ("Upgrade of commas", ",,"),
        ("Upgrade to websocket with a version", "websocket/13"),
        ("Upgrade to a longer word", "websockets"),
        ("Upgrade to a shorter word", "websocke"),
        ("Upgrade in quotes", "\"websocket\""),
        ("Upgrade of two words", "web socket"),
        ("Upgrade with a parameter", "websocket;q=1"),
    ] {
        let (upgrade, connection) = (format!("Upgrade: {value}"), "Connection: Upgrade, close");
        let draft = Draft::new().line("GET /healthz HTTP/1.1").swap("Upgrade", &[&upgrade]);
        t.answers(name, &draft.swap("Connection", &[connection]));
    }
    let old = Draft::new().line("GET /healthz HTTP/1.0");
    t.answers("a handshake in HTTP/1.0", &old);
}

fn connection(t: &mut RequestTable) {
    t.section("RFC 6455 section 4.2.1");
    t.refuses("no Connection", &Draft::new().swap("Connection", &[]), NO_CONNECTION_UPGRADE);
    for (name, value, fault) in [
        ("Connection empty", "", NO_CONNECTION_UPGRADE),
        ("Connection keep-alive", "keep-alive", NO_CONNECTION_UPGRADE),
        ("Connection close", "close", NO_CONNECTION_UPGRADE),
        ("Connection with a longer word", "upgraded", NO_CONNECTION_UPGRADE),
        ("Connection with a word inside another", "no-upgrade-here", NO_CONNECTION_UPGRADE),
        ("Connection of two words", "keep-alive Upgrade", BAD_CONNECTION),
        ("Connection with a semicolon", "Upgrade; x", BAD_CONNECTION),
        ("Connection in quotes", "\"Upgrade\"", BAD_CONNECTION),
    ] {
        let line = format!("Connection: {value}");
        t.refuses(name, &Draft::new().swap("Connection", &[&line]), fault);
    }
}

fn version(t: &mut RequestTable) {
    t.section("RFC 6455 section 4.2.1");
    let swapped = |lines: &[&str]| Draft::new().swap("Sec-WebSocket-Version", lines);
    t.refuses("no Sec-WebSocket-Version", &swapped(&[]), MISSING_VERSION);
    for value in ["0", "1", "7", "8", "9", "12", "14", "25", "130", "255"] {
        let line = format!("Sec-WebSocket-Version: {value}");
        t.refuses(&format!("version {value}"), &swapped(&[&line]), UNSUPPORTED_VERSION);
    }
    for value in ["", "13.0", "013", "+13", "-13", "0x0d", "13 13", "13, 8", "256", "thirteen"] {
        let line = format!("Sec-WebSocket-Version: {value}");
        t.refuses(&format!("version {value:?}"), &swapped(&[&line]), BAD_VERSION);
    }
    for (name, second) in [
        ("version 13 twice", "Sec-WebSocket-Version: 13"),
        ("versions 13 and 8", "Sec-WebSocket-Version: 8"),
    ] {
        t.refuses(name, &Draft::new().plus(&[second]), DUPLICATE_VERSION);
    }
}

fn origin(t: &mut RequestTable) {
    t.section("RFC 6455 section 4.2.1");
    for (name, lines, fault) in [
        ("Origin empty", &["Origin:"][..], BAD_ORIGIN),
        ("Origin with a space", &["Origin: http://a b"], BAD_ORIGIN),
        ("Origin that is not ASCII", &["Origin: http://\u{e9}"], BAD_ORIGIN),
        ("two Origins", &["Origin: http://a", "Origin: http://b"], DUPLICATE_ORIGIN),
        ("the same Origin twice", &["Origin: http://a", "origin: http://a"], DUPLICATE_ORIGIN),
    ] {
        t.refuses(name, &Draft::new().plus(lines), fault);
    }
}

fn extensions(t: &mut RequestTable) {
    t.section("RFC 6455 section 9.1");
    for (name, value) in [
        ("an extension that is not known", "x-webkit-deflate-frame"),
        ("an extension with parameters", "foo; bar; baz=1"),
        ("an extension with a quoted parameter", "foo; bar=\"baz\""),
        ("an extension with an escaped parameter", "foo; bar=\"b\\az\""),
        ("two extensions", "foo, bar; x"),
        ("an extension among commas", ", foo,,"),
    ] {
        let line = format!("Sec-WebSocket-Extensions: {value}");
        t.opens(name, &Draft::new().plus(&[&line]));
    }
    for (name, value) in [
        ("extensions empty", ""),
        ("extensions of commas", ", ,"),
        ("an extension that ends in a semicolon", "foo;"),
        ("a parameter without an extension", "; foo"),
        ("a parameter without a name", "foo; =1"),
        ("a parameter without a value", "foo; bar="),
        ("a parameter with an empty quoted value", "foo; bar=\"\""),
        ("a parameter with an open quote", "foo; bar=\"baz"),
        ("a parameter with a space in quotes", "foo; bar=\"b z\""),
        ("an extension of two words", "foo bar"),
        ("an extension in quotes", "\"foo\""),
        ("an extension that is not ASCII", "f\u{f6}\u{f6}"),
    ] {
        let line = format!("Sec-WebSocket-Extensions: {value}");
        t.refuses(name, &Draft::new().plus(&[&line]), BAD_EXTENSIONS);
    }
}

fn plain_visits(t: &mut RequestTable) {
    t.section("RFC 9110 section 15.5.22");
    t.answers("a plain visit of /healthz", &Draft::plain());
    t.answers("a plain visit with a query", &Draft::plain().line("GET /healthz?a HTTP/1.1"));
    t.answers("a plain visit in HTTP/1.0", &Draft::plain().line("GET /healthz HTTP/1.0"));
    let old = Draft::plain().line("GET /healthz HTTP/1.0").swap("Host", &[]);
    t.answers("a plain visit in HTTP/1.0 without Host", &old.swap("Connection", &[]));
    for path in ["/echo", "/echo?full"] {
        let draft = Draft::plain().line(&format!("GET {path} HTTP/1.1"));
        t.refuses(&format!("a plain visit of {path}"), &draft, UPGRADE_REQUIRED);
    }
}
