//! What clients send, and the tokens of those who may ask, are in no line of the log.

use std::time::Duration;

use crate::admin::page::{Administrated, ask};
use crate::support::client::{Client, PATIENCE, request_to};
use crate::support::deflate::deflated;
use crate::support::host::wait_until;
use crate::support::wire::{self, BINARY, CLOSE, CONTINUATION, FIN, PING, RSV1, TEXT, frame};

/// The word that clients send. A line could have it as text, as numbers, or in hexadecimal.
const WORD: &str = "p4yl0ad";

/// The ways in which a line could have the word.
fn forms() -> Vec<String> {
    let numbers: Vec<String> = WORD.bytes().map(|byte| byte.to_string()).collect();
    let hex = |between: &str| {
        WORD.bytes().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(between)
    };
    vec![WORD.to_owned(), numbers.join(", "), hex(""), hex(" ")]
}

/// Sends this on a connection of its own, after which the server closes it.
fn broken(server: &Administrated, bytes: &[u8]) {
    let mut client = Client::open(server.addr());
    client.send(bytes);
    client.finish();
    client.read_to_end(PATIENCE);
}

/// Messages, control frames, and those that break a rule.
fn on_websockets(server: &Administrated) {
    let word = WORD.as_bytes();
    let offer = "Sec-WebSocket-Extensions: permessage-deflate\r\n";
    let (mut client, _) = Client::open_with(server.addr(), offer);
    client.send(&frame(FIN | TEXT, word));
    client.send(&frame(FIN | BINARY, word));
    client.send(&[frame(TEXT, word), frame(FIN | CONTINUATION, word)].concat());
    client.send(&frame(FIN | RSV1 | TEXT, &deflated(word)));
    client.send(&frame(FIN | PING, word));
    (0..5).for_each(|_| assert!(!client.read_frame().payload.is_empty()));
    client.send(&wire::close(4_000, WORD));
    client.read_to_end(PATIENCE);
    broken(server, &frame(FIN | TEXT, &[word, b"\xff", word].concat()));
    broken(server, &frame(FIN | BINARY, WORD.repeat(1_000).as_bytes()));
    broken(server, &frame(FIN | RSV1 | TEXT, word));
    broken(server, &wire::unmasked(FIN | TEXT, word));
    broken(server, &frame(FIN | CLOSE, &wire::close_payload(999, word)));
    broken(server, &[frame(TEXT, word), frame(FIN | TEXT, word)].concat());
    broken(server, &frame(FIN | CONTINUATION, word));
}

fn on_topics(server: &Administrated) {
    let mut json = Client::connect(server.addr());
    json.open_at("/pubsub", "");
    for (request, answer) in [
        (r##"{"subscribe":"#"}"##, "subscribed"),
        (r#"{"publish":"a","data":"WORD","retain":true}"#, "WORD"),
        (r#"{"publish":"b","data":{"of":"WORD"},"retain":true,"id":"WORD"}"#, "WORD"),
        (r#"{"publish":"+","data":"WORD","id":1}"#, "error"),
        (r#"{"publish":"a","data":"WORD}"#, "error"),
        (r#"{"WORD":"a"}"#, "error"),
    ] {
        let (request, answer) = (request.replace("WORD", WORD), answer.replace("WORD", WORD));
        json.send(&frame(FIN | TEXT, request.as_bytes()));
        let is_answered = (0..3).any(|_| {
            let said = String::from_utf8(json.read_frame().payload).unwrap();
            said.contains(&answer)
        });
        assert!(is_answered, "{request}");
    }
    let mut raw = Client::connect(server.addr());
    raw.open_at("/topics/a?role=both", "");
    // The retained value comes first.
    assert!(!raw.read_frame().payload.is_empty());
    raw.send(&frame(FIN | TEXT, WORD.as_bytes()));
    assert_eq!(raw.read_frame().payload, WORD.as_bytes());
    let mut only = Client::connect(server.addr());
    only.open_at("/topics/a?role=sub", "");
    only.send(&frame(FIN | TEXT, WORD.as_bytes()));
    only.finish();
    only.read_to_end(PATIENCE);
}

fn on_requests(server: &Administrated) {
    let body = WORD.repeat(3);
    for (target, to) in [
        ("/topics/a", server.addr()),
        ("/healthz", server.addr()),
        ("/publish/a", server.addr()),
        ("/drain/no", server.admin),
        ("/publish/+", server.admin),
    ] {
        let (status, _) = ask(to, "POST", target, "", body.as_bytes());
        assert_ne!(status, "101", "{target}");
    }
    assert_eq!(server.post("/publish/a?retain=1", body.as_bytes()).0, "204");
    let mut client = Client::connect(server.addr());
    let headers = format!("Cookie: a={WORD}\r\nAuthorization: Bearer {WORD}\r\n");
    client.send(&request_to(&format!("/topics/a?role=sub&access_token={WORD}"), &headers));
    client.read_head();
    // The reason that an operator gives is sent to the client.
    let mut client = Client::open(server.addr());
    let peer = client.stream().local_addr().unwrap().to_string();
    let all = server.connections();
    let id = all.iter().find(|one| one["peer"] == peer).unwrap()["id"].as_str().unwrap();
    let target = format!("/connections/{id}/close?code=4001&reason={WORD}");
    assert_eq!(server.post(&target, b"").0, "204");
    client.expect(&wire::server_close(4_001, WORD));
}

#[test]
fn payloads_do_not_come_into_the_log() {
    let flags = ["--log-level", "trace", "--access-log", "--max-message", "1KiB"];
    let mut server = Administrated::start(&flags);
    on_websockets(&server);
    on_topics(&server);
    on_requests(&server);
    std::thread::sleep(Duration::from_millis(50));
    server.server.signal(rustix::process::Signal::TERM);
    assert!(server.server.wait(PATIENCE).is_some());
    let log = || server.server.log();
    assert!(wait_until(PATIENCE, || log().iter().any(|line| line.contains("stopped"))));
    // All of that was logged: the ends, the rules that were broken, and the requests.
    for part in ["TRACE", "code=1007", "code=1009", "code=1002", "code=\"4000\"", "/publish/a"] {
        assert!(log().iter().any(|line| line.contains(part)), "{part}: {:#?}", log());
    }
    for form in forms() {
        let lines: Vec<String> =
            log().into_iter().filter(|line| line.to_lowercase().contains(&form)).collect();
        assert!(lines.is_empty(), "{lines:#?}");
    }
}
