//! Goal: a message of a client may have as many bytes as its route says, however it comes.

use super::*;
use crate::support::wire::{CONTINUATION, RSV1, close_payload};

const TOO_BIG: u16 = 1009;

/// The ways in which a message may come.
#[derive(Clone, Copy, Debug)]
enum Way {
    Whole,
    /// Cut into two writes.
    Cut,
    /// In two frames.
    Fragments,
    Compressed,
    /// Behind a short one, in the same write.
    Second,
}

const WAYS: [Way; 5] = [Way::Whole, Way::Cut, Way::Fragments, Way::Compressed, Way::Second];

fn say(client: &mut Client, text: &str, way: Way) {
    let bytes = text.as_bytes();
    match way {
        Way::Whole => send(client, text),
        Way::Cut => {
            let whole = frame(FIN | TEXT, bytes);
            let (one, other) = whole.split_at(whole.len() / 2);
            client.send(one);
            std::thread::sleep(std::time::Duration::from_millis(20));
            client.try_send(other);
        }
        Way::Fragments => {
            let (one, other) = bytes.split_at(bytes.len() / 2);
            client.send(&[frame(TEXT, one), frame(FIN | CONTINUATION, other)].concat());
        }
        Way::Compressed => {
            client.send(&frame(FIN | TEXT | RSV1, &crate::support::deflate::deflated(bytes)));
        }
        Way::Second => {
            client.send(&[frame(FIN | TEXT, b"1"), frame(FIN | TEXT, bytes)].concat());
            assert_eq!(client.read_frame().payload, b"1");
        }
    }
}

/// Whether a message of so many bytes comes back.
fn comes_back(addr: SocketAddr, target: &str, len: usize, way: Way) -> bool {
    let mut client = Client::connect(addr);
    let offer = match way {
        Way::Compressed => "Sec-WebSocket-Extensions: permessage-deflate\r\n",
        _ => "",
    };
    client.open_at(target, offer);
    let text = "x".repeat(len);
    say(&mut client, &text, way);
    let frame = client.read_frame();
    if frame.first == FIN | crate::support::wire::CLOSE {
        assert_eq!(frame.payload[..2], close_payload(TOO_BIG, b"")[..], "{frame:?}");
        return false;
    }
    // What comes back compressed is not looked into.
    assert!(frame.first & RSV1 != 0 || frame.payload == text.as_bytes(), "{target} {way:?}");
    true
}

#[test]
fn messages_have_the_limit_of_their_route() {
    let limits = [("tiny", 7), ("short", 125), ("middle", 3000), ("large", 200_000)];
    let server_s = 10_000;
    let limit = |bytes: usize| format!("max-message = {bytes}");
    let mut text = format!("max-message = {server_s}\n");
    for (name, bytes) in limits {
        text += &route(&format!("/{name}"), "echo", &limit(bytes));
        text += &route(&format!("/{name}/{{topic}}"), "topics", &limit(bytes));
    }
    text += &route("/server", "echo", "");
    let server = serve(&text);
    for (name, bytes) in limits.into_iter().chain([("server", server_s)]) {
        for target in [format!("/{name}"), format!("/{name}/topic")] {
            if target == "/server/topic" {
                continue;
            }
            for way in WAYS {
                // A connection that is closed in the same turn is sent no messages of topics.
                if matches!(way, Way::Second) && target.ends_with("topic") {
                    continue;
                }
                let found = [bytes - 1, bytes, bytes + 1]
                    .map(|len| comes_back(server.addr(), &target, len, way));
                assert_eq!(found, [true, true, false], "{target} {way:?}");
            }
        }
    }
}

#[test]
fn requests_in_json_have_the_limit_of_their_route() {
    let server = serve(&route("/api", "pubsub", "max-message = 200"));
    for (len, is_answered) in [(199, true), (200, true), (201, false)] {
        let mut client = open(server.addr(), "/api");
        let request = r#"{"subscribe":"a"}"#;
        send(&mut client, &format!("{request}{}", " ".repeat(len - request.len())));
        let frame = client.read_frame();
        let expected = if is_answered { FIN | TEXT } else { FIN | crate::support::wire::CLOSE };
        assert_eq!(frame.first, expected, "{len}: {frame:?}");
    }
}

#[test]
fn a_subscriber_is_sent_what_another_route_allows() {
    let routes = [
        route("/small/{topic}", "topics", "max-message = 10"),
        route("/big/{topic}", "topics", "max-message = 1000"),
    ];
    let server = serve(&routes.concat());
    let (mut small, mut big) = (open(server.addr(), "/small/a"), open(server.addr(), "/big/a"));
    let text = "y".repeat(1000);
    send(&mut big, &text);
    assert_eq!(read(&mut small), text);
    send(&mut small, "0123456789");
    assert_eq!(read(&mut small), "0123456789");
    send(&mut small, "0123456789a");
    assert_eq!(small.read_frame().payload[..2], TOO_BIG.to_be_bytes());
}
