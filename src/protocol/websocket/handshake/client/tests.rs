//! Goal: a client's handshake works with the server's, and no wrong 101 opens a connection.
//! Method: round trips through the server's parser and writer over all combinations of compression
//! parameters; then one change at a time to a valid response, and random damage.

use super::{ClientKey, ClientRequest, RequestError, ResponseError};
use crate::protocol::http::{HeadError, HeadLimits};
use crate::protocol::websocket::handshake::{
    Agreement, DeflateOffer, DeflatePolicy, ExtraHeaders, Parsed, negotiate_deflate, parse,
    write_accepted,
};

const NO_HEADERS: &ExtraHeaders = &ExtraHeaders::new();

/// The nonce of the example in RFC 6455 section 1.3.
const NONCE: [u8; 16] = *b"the sample nonce";

fn request() -> ClientRequest<'static> {
    ClientRequest {
        target: "/chat?room=1",
        host: "server.example.com",
        key: ClientKey::new(NONCE),
        origin: None,
        subprotocols: &["chat", "superchat"],
        deflate: Some(DeflateOffer::default()),
        headers: NO_HEADERS,
    }
}

fn check(request: &ClientRequest<'_>, head: &[u8]) -> Result<(), ResponseError> {
    request.check_response(head, &HeadLimits::default()).map(drop)
}

#[test]
fn the_request_is_exactly_this() {
    let mut headers = ExtraHeaders::new();
    headers.push("Authorization", "Bearer x").expect("a valid header");
    let full = ClientRequest { origin: Some("https://a.example"), headers: &headers, ..request() };
    let mut out = b"before".to_vec();
    assert_eq!(full.write(&mut out), Ok(()));
    let expected = "beforeGET /chat?room=1 HTTP/1.1\r\nHost: server.example.com\r\n\
        Upgrade: websocket\r\nConnection: Upgrade\r\n\
        Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\
        Origin: https://a.example\r\nSec-WebSocket-Protocol: chat, superchat\r\n\
        Sec-WebSocket-Extensions: permessage-deflate\r\nAuthorization: Bearer x\r\n\r\n";
    assert_eq!(String::from_utf8_lossy(&out), expected);

    let plain = ClientRequest { subprotocols: &[], deflate: None, ..request() };
    let mut out = Vec::new();
    assert_eq!(plain.write(&mut out), Ok(()));
    let expected = "GET /chat?room=1 HTTP/1.1\r\nHost: server.example.com\r\n\
        Upgrade: websocket\r\nConnection: Upgrade\r\n\
        Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";
    assert_eq!(String::from_utf8_lossy(&out), expected);
}

#[test]
fn a_malformed_request_is_not_written() {
    let targets = ["", "x", "*", "http://a/", "/a b", "/a#b", "/caf\u{e9}", "/\r\nX: y", "/\t"];
    for target in targets {
        let request = ClientRequest { target, ..request() };
        refuses(&request, RequestError::Target);
    }
    for host in ["", "a b", "a/b", "u@a", "a:x", "[::1", "a\r\nX: y", ":80", "caf\u{e9}"] {
        refuses(&ClientRequest { host, ..request() }, RequestError::Host);
    }
    for origin in ["", "a b", "a\r\nX: y", "caf\u{e9}"] {
        refuses(&ClientRequest { origin: Some(origin), ..request() }, RequestError::Origin);
    }
    let lists: [&[&str]; 6] = [&[""], &["a b"], &["a,b"], &["a\r\n"], &["a", "b", "a"], &["a", ""]];
    for subprotocols in lists {
        refuses(&ClientRequest { subprotocols, ..request() }, RequestError::Subprotocol);
    }
}

fn refuses(request: &ClientRequest<'_>, error: RequestError) {
    let mut out = b"kept".to_vec();
    assert_eq!(request.write(&mut out), Err(error), "{request:?}");
    assert_eq!(out, b"kept");
}

const BITS: [Option<u8>; 4] = [None, Some(8), Some(11), Some(15)];

fn offers() -> Vec<DeflateOffer> {
    let client_bits: Vec<Option<Option<u8>>> =
        std::iter::once(None).chain(BITS.iter().map(|bits| Some(*bits))).collect();
    let mut offers = Vec::new();
    for server_max_window_bits in BITS {
        for client_max_window_bits in &client_bits {
            for flags in 0..4 {
                offers.push(DeflateOffer {
                    server_no_context_takeover: flags & 1 != 0,
                    client_no_context_takeover: flags & 2 != 0,
                    server_max_window_bits,
                    client_max_window_bits: *client_max_window_bits,
                });
            }
        }
    }
    offers
}

#[test]
fn every_answer_of_the_server_to_every_offer_is_accepted_as_meant() {
    let limits = HeadLimits::default();
    let mut agreed = Vec::<Agreement>::new();
    for offer in offers() {
        let request = ClientRequest { deflate: Some(offer), ..request() };
        let mut sent = Vec::new();
        assert_eq!(request.write(&mut sent), Ok(()));
        let Ok(Parsed::Upgrade(parsed)) = parse(&sent, &limits) else { panic!("{offer:?}") };
        assert_eq!((parsed.path, parsed.query), ("/chat", Some("room=1")));
        assert!(parsed.subprotocols().eq(["chat", "superchat"]));
        for flags in 0..4 {
            for (server, client) in [(15, 15), (8, 15), (15, 8), (12, 10)] {
                let policy = DeflatePolicy {
                    enabled: true,
                    server_max_window_bits: server,
                    client_max_window_bits: client,
                    server_context_takeover: flags & 1 != 0,
                    client_context_takeover: flags & 2 != 0,
                };
                let agreement = negotiate_deflate(parsed.extensions(), &policy);
                let subprotocol = parsed.subprotocols().nth(1);
                let mut answer = Vec::new();
                let agreement_sent = agreement.as_ref();
                write_accepted(&mut answer, parsed.key, subprotocol, agreement_sent, NO_HEADERS);
                let accepted = request.check_response(&answer, &limits).expect("a valid 101");
                assert_eq!(accepted.deflate, agreement, "{offer:?} {policy:?}");
                assert_eq!(accepted.subprotocol, Some("superchat"));
                assert_eq!(accepted.headers().count(), 5);
                agreed.extend(agreement.filter(|it| !agreed.contains(it)));
            }
        }
    }
    assert!(agreed.len() > 30, "{} different agreements", agreed.len());
}

const LINES: [&str; 4] = [
    "HTTP/1.1 101 Switching Protocols",
    "Upgrade: websocket",
    "Connection: Upgrade",
    "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=",
];

/// The valid 101 with the line at `at` replaced by others; more are added at the end.
fn response(at: usize, lines: &[&str]) -> Vec<u8> {
    let kept = LINES.iter().enumerate().filter(|(index, _)| *index != at);
    let mut all: Vec<&str> = kept.map(|(_, line)| *line).collect();
    let at = at.min(all.len());
    all.splice(at..at, lines.iter().copied());
    format!("{}\r\n\r\n", all.join("\r\n")).into_bytes()
}

#[test]
fn every_wrong_101_is_refused() {
    use ResponseError::{Accept, Connection, Extensions, Head, Status, Subprotocol, Upgrade};
    const END: usize = 9;
    let cases: [(Result<(), ResponseError>, usize, &[&str]); 45] = [
        (Ok(()), END, &[]),
        (Ok(()), END, &["Content-Length: 0", "Set-Cookie: a=b", "X:"]),
        (Ok(()), 0, &["HTTP/1.1 101"]),
        (Err(Status(200)), 0, &["HTTP/1.1 200 OK"]),
        (Err(Status(302)), 0, &["HTTP/1.1 302 Found"]),
        (Err(Status(426)), 0, &["HTTP/1.1 426 Upgrade Required"]),
        (Err(Status(100)), 0, &["HTTP/1.1 100 Continue"]),
        (Err(Head(HeadError::Version)), 0, &["HTTP/1.0 101 Switching Protocols"]),
        (Err(Head(HeadError::Version)), 0, &["HTTP/2 101 Switching Protocols"]),
        (Err(Head(HeadError::StatusLine)), 0, &["HTTP/1.1 10x Switching Protocols"]),
        (Err(Head(HeadError::HeaderName)), END, &["X Y: a"]),
        (Ok(()), 1, &["upgrade:WebSocket"]),
        (Err(Upgrade), 1, &[]),
        (Err(Upgrade), 1, &["Upgrade:"]),
        (Err(Upgrade), 1, &["Upgrade: websockets"]),
        (Err(Upgrade), 1, &["Upgrade: h2c, websocket"]),
        (Err(Upgrade), END, &["Upgrade: websocket"]),
        (Ok(()), 2, &["Connection: keep-alive, UPGRADE"]),
        (Ok(()), 2, &["Connection: keep-alive", "Connection: upgrade"]),
        (Err(Connection), 2, &[]),
        (Err(Connection), 2, &["Connection: close"]),
        (Err(Connection), 2, &["Connection: upgrade-insecure"]),
        (Ok(()), 3, &["Sec-WebSocket-Accept: \ts3pPLMBiTxaQ9kYGzzhZRbK+xOo= \t"]),
        (Err(Accept), 3, &[]),
        (Err(Accept), 3, &["Sec-WebSocket-Accept:"]),
        (Err(Accept), 3, &["Sec-WebSocket-Accept: S3pPLMBiTxaQ9kYGzzhZRbK+xOo="]),
        (Err(Accept), 3, &["Sec-WebSocket-Accept: dGhlIHNhbXBsZSBub25jZQ=="]),
        (Err(Accept), END, &["Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo="]),
        (Ok(()), END, &["Sec-WebSocket-Protocol: superchat"]),
        (Err(Subprotocol), END, &["Sec-WebSocket-Protocol: other"]),
        (Err(Subprotocol), END, &["Sec-WebSocket-Protocol: Chat"]),
        (Err(Subprotocol), END, &["Sec-WebSocket-Protocol:"]),
        (Err(Subprotocol), END, &["Sec-WebSocket-Protocol: chat, superchat"]),
        (Err(Subprotocol), END, &["Sec-WebSocket-Protocol: chat", "Sec-WebSocket-Protocol: chat"]),
        (Ok(()), END, &["Sec-WebSocket-Extensions: permessage-deflate"]),
        (Ok(()), END, &["Sec-WebSocket-Extensions: permessage-deflate; server_max_window_bits=9"]),
        (Err(Extensions), END, &["Sec-WebSocket-Extensions:"]),
        (Err(Extensions), END, &["Sec-WebSocket-Extensions: x-webkit-deflate-frame"]),
        (Err(Extensions), END, &["Sec-WebSocket-Extensions: permessage-deflate, foo"]),
        (Err(Extensions), END, &["Sec-WebSocket-Extensions: permessage-deflate; foo"]),
        (Err(Extensions), END, &["Sec-WebSocket-Extensions: permessage-deflate;"]),
        (
            Err(Extensions),
            END,
            &[
                "Sec-WebSocket-Extensions: permessage-deflate",
                "Sec-WebSocket-Extensions: permessage-deflate",
            ],
        ),
        (
            Err(Extensions),
            END,
            &["Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits=9"],
        ),
        (
            Err(Extensions),
            END,
            &["Sec-WebSocket-Extensions: permessage-deflate; server_max_window_bits"],
        ),
        (
            Err(Extensions),
            END,
            &["Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover=1"],
        ),
    ];
    for (expected, at, lines) in cases {
        assert_eq!(check(&request(), &response(at, lines)), expected, "{at} {lines:?}");
    }
    let nothing_offered = ClientRequest { subprotocols: &[], deflate: None, ..request() };
    let cases = [
        ("Sec-WebSocket-Protocol: chat", Subprotocol),
        ("Sec-WebSocket-Extensions: permessage-deflate", Extensions),
    ];
    for (line, error) in cases {
        assert_eq!(check(&nothing_offered, &response(END, &[line])), Err(error), "{line}");
    }
}

#[test]
fn parameters_beyond_the_offer_are_refused() {
    let offer = DeflateOffer {
        server_no_context_takeover: true,
        client_no_context_takeover: false,
        server_max_window_bits: Some(10),
        client_max_window_bits: Some(Some(12)),
    };
    let request = ClientRequest { deflate: Some(offer), ..request() };
    let cases = [
        (true, "server_no_context_takeover; server_max_window_bits=10"),
        (true, "server_no_context_takeover; server_max_window_bits=\"8\""),
        (true, "server_max_window_bits=9; server_no_context_takeover; client_max_window_bits=12"),
        (true, "server_max_window_bits=9;server_no_context_takeover;client_no_context_takeover"),
        (false, "server_max_window_bits=10"),
        (false, "server_no_context_takeover"),
        (false, "server_no_context_takeover; server_max_window_bits=11"),
        (false, "server_no_context_takeover; server_max_window_bits=7"),
        (false, "server_no_context_takeover; server_max_window_bits=010"),
        (false, "server_no_context_takeover; server_max_window_bits=10; server_max_window_bits=10"),
        (false, "server_no_context_takeover; server_max_window_bits=10; client_max_window_bits"),
        (false, "server_no_context_takeover; server_max_window_bits=10; client_max_window_bits=13"),
    ];
    for (allowed, parameters) in cases {
        let line = format!("Sec-WebSocket-Extensions: permessage-deflate; {parameters}");
        let expected = if allowed { Ok(()) } else { Err(ResponseError::Extensions) };
        assert_eq!(check(&request, &response(9, &[&line])), expected, "{parameters}");
    }
}

#[test]
fn window_sizes_out_of_range_are_clamped() {
    let offer = DeflateOffer {
        server_max_window_bits: Some(0),
        client_max_window_bits: Some(Some(200)),
        ..DeflateOffer::default()
    };
    let mut out = Vec::new();
    offer.write(&mut out);
    let expected = "permessage-deflate; server_max_window_bits=8; client_max_window_bits=15";
    assert_eq!(String::from_utf8_lossy(&out), expected);
}

#[test]
fn damaged_responses_do_no_harm() {
    let lines = ["Sec-WebSocket-Protocol: chat", "Sec-WebSocket-Extensions: permessage-deflate"];
    let valid = response(9, &lines);
    let mut rng = fastrand::Rng::with_seed(101);
    let (mut opened, mut refused) = (0, 0);
    for _ in 0..20_000 {
        let mut bytes = valid.clone();
        for _ in 0..rng.usize(1..3) {
            let at = rng.usize(..bytes.len());
            match rng.u8(..3) {
                0 => bytes[at] = rng.u8(..),
                1 => drop(bytes.remove(at)),
                _ => bytes.insert(at, *rng.choice(b"\r\n:;, =\0\xff").expect("not empty")),
            }
        }
        match check(&request(), &bytes) {
            Ok(()) => opened += 1,
            Err(_) => refused += 1,
        }
    }
    assert!(opened > 500 && refused > 5_000, "{opened} opened, {refused} refused");
    for len in 0..valid.len() {
        assert!(check(&request(), &valid[..len]).is_err());
    }
}
