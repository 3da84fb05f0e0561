//! Goal: messages of megabytes are parsed and encoded in pieces without being changed, and do not
//! hold up other topics. Method: requests and payloads near the limit of a message, plain, deflated
//! and fragmented, with subscribers of both endpoints; a publisher of short messages beside them.

use base64::prelude::{BASE64_STANDARD, Engine};
use serde_json::Value;

use crate::pubsub::common::{Json, delivery, raw, text};
use crate::support::client::Client;
use crate::support::deflate::deflated;
use crate::support::server::Server;
use crate::support::wire::{self, BINARY, CONTINUATION, FIN, RSV1, TEXT};

const MANY: [&str; 2] = ["--subscriber-queue", "64MiB"];

/// Valid JSON of about `len` bytes that no serializer would write.
fn list(len: usize) -> String {
    let part = "[ 1.50e+3,{\"a\":\"\\u00e9\u{e9}\"}],";
    format!("[{}0]", part.repeat(len / part.len()))
}

#[test]
fn requests_of_megabytes_are_carried_out_however_they_come() {
    let server = Server::start(&MANY);
    let mut json = Json::subscribed(server.addr(), &["large"]);
    let mut plain = raw(server.addr(), "large?role=sub");
    let mut publisher = Client::connect(server.addr());
    publisher.open_at("/pubsub", "Sec-WebSocket-Extensions: permessage-deflate\r\n");
    for len in [20_000, 300_000, 5_000_000] {
        let data = list(len);
        let request = format!("{{\"id\":1,\"publish\":\"large\" , \"data\":{data}}}");
        let in_frames: Vec<u8> = request.as_bytes().chunks(7_777).enumerate().fold(
            Vec::new(),
            |mut frames, (number, piece)| {
                let opcode = if number == 0 { TEXT } else { CONTINUATION };
                let last = (number + 1) * 7_777 >= request.len();
                frames.extend(wire::frame(if last { FIN | opcode } else { opcode }, piece));
                frames
            },
        );
        let whole = text(&request);
        let small = wire::frame(FIN | RSV1 | TEXT, &deflated(request.as_bytes()));
        for sent in [whole, in_frames, small] {
            publisher.send(&sent);
            let answer = publisher.read_frame();
            assert_eq!(answer.payload, br#"{"published":"large","id":1}"#);
            assert!(json.read() == delivery("large", &data), "{len}");
            assert!(plain.read_frame().payload == data.as_bytes(), "{len}");
        }
    }
}

#[test]
fn large_wrong_requests_are_refused_with_their_first_fault() {
    let server = Server::start(&[]);
    let mut json = Json::open(server.addr());
    let padding = " ".repeat(300_000);
    let names = |name: &str, count: usize| vec![format!("\"{name}\""); count].join(",");
    let many = format!("{{\"subscribe\":[{}]}}", names("a", 400_000));
    let long = format!("{{\"subscribe\":[{}]}}", names(&"\\u0061".repeat(1_000), 500));
    let cases = [
        (format!("{{\"a\":1,{padding}\"id\":5}}"), "key \\\"a\\\" is not known", true),
        (format!("{{\"id\":5,{}\"a\":1}}", "\"a\":1,".repeat(700_000)), "not known", true),
        (format!("{{\"a\":{},\"id\":5}}", list(2_000_000)), "not known", false),
        (format!("{{\"id\":5,\"data\":{},}}", list(2_000_000)), "trailing comma", true),
        (format!("{{\"id\":5,\n{padding}x}}"), "at line 2 column 300001", true),
        (many, "more than 1,024 filters", false),
        (long, "more than 1 MiB", false),
        (
            format!("{{\"publish\":\"a\",\"data\":1,\"id\":\"{}\"}}", "i".repeat(1 << 20)),
            { "id is longer than 1 MiB" },
            false,
        ),
        (format!("{{\"publish\":\"{}\",\"data\":1,\"id\":5}}", "a".repeat(2 << 20)), "1 MiB", true),
    ];
    for (request, why, has_id) in cases {
        let answer = json.ask(&request);
        assert!(answer.contains(why), "{request:.60}: {answer}");
        assert_eq!(answer.ends_with(",\"id\":5}"), has_id, "{request:.60}: {answer}");
    }
    assert!(json.ask(r#"{"subscribe":"a"}"#).starts_with(r#"{"subscribed""#));
}

#[test]
fn large_payloads_of_all_kinds_reach_json_subscribers() {
    let server = Server::start(&MANY);
    let mut json = Json::subscribed(server.addr(), &["large"]);
    let mut publisher = raw(server.addr(), "large?role=pub");
    let controls = "\u{1}".repeat(2_000_000);
    let long = "text, \"quoted\"\n\u{e9}".repeat(100_000);
    let bytes: Vec<u8> = (0..3_000_000_u32).map(|at| (at % 251) as u8).collect();
    publisher.send(&text(&long));
    let told: Value = serde_json::from_str(&json.read()).unwrap();
    assert!(told["data"].as_str().unwrap() == long);
    for (opcode, payload) in [(TEXT, controls.as_bytes()), (BINARY, &bytes)] {
        publisher.send(&wire::frame(FIN | opcode, payload));
        let told = json.read();
        assert!(told.len() < payload.len() * 3 / 2);
        let told: Value = serde_json::from_str(&told).unwrap();
        assert!(BASE64_STANDARD.decode(told["data64"].as_str().unwrap()).unwrap() == payload);
    }
}

/// A connection that sends large messages to one topic cannot keep other topics from working.
#[test]
fn other_topics_go_on_beside_a_stream_of_large_messages() {
    let server = Server::start(&["--cores", "0", "--subscriber-queue", "256MiB"]);
    let mut reader = Json::subscribed(server.addr(), &["large"]);
    let mut publisher = raw(server.addr(), "large?role=pub");
    let mut short = Json::subscribed(server.addr(), &["short"]);
    let payload = list(2_000_000);
    let count = 10;
    let sender = std::thread::spawn({
        let payload = payload.clone();
        move || {
            for _ in 0..count {
                publisher.send(&text(&payload));
            }
            publisher
        }
    });
    for number in 0..100 {
        short.send(&format!("{{\"publish\":\"short\",\"data\":{number}}}"));
        assert_eq!(short.read(), delivery("short", &number.to_string()));
    }
    for _ in 0..count {
        assert!(reader.read() == delivery("large", &payload));
    }
    drop(sender.join().unwrap());
}
