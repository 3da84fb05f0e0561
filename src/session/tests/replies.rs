//! What a service can do in a session, and that it leaves in the order of the calls.

use super::{Bench, REQUEST, answer, close_frame, frame};
use crate::base::ConnectionId;
use crate::config::Config;
use crate::protocol::websocket::handshake::{Rejection, Request};
use crate::protocol::websocket::{CloseCode, Opcode};
use crate::session::{
    Accept, CloseReason, EndpointId, Inbound, Message, Phase, Replies, Terms, Verdict,
};

/// Does with each message what its letters say, in their order.
#[derive(Default)]
struct Script {
    ended: Vec<CloseReason>,
}

impl Inbound for Script {
    fn upgrade(&mut self, _: ConnectionId, request: &Request<'_>, _: Terms<'_>) -> Verdict {
        let protocol = match request.path {
            "/chat" => request.subprotocols().next(),
            "/second" => request.subprotocols().nth(1),
            "/invented" => Some("invented"),
            _ => return Verdict::Refuse(Rejection::NotFound.into()),
        };
        let protocol = protocol.map(Into::into);
        Verdict::Accept(Accept { protocol, ..Accept::default() })
    }

    fn message<'a, const BUILT_IN: bool>(
        &mut self,
        _: ConnectionId,
        message: Message<'a>,
        replies: &mut Replies<'a>,
    ) {
        for letter in message.payload() {
            match letter {
                b'e' => replies.echo(message),
                b't' => replies.send(Opcode::Text, message.text().unwrap_or("?").as_bytes()),
                b'b' => replies.send(Opcode::Binary, b"binary"),
                b'p' => replies.send(Opcode::Ping, b"not for a service to send"),
                b'c' => replies.close(CloseCode::UNSUPPORTED_DATA, "text only"),
                _ => {}
            }
        }
    }

    fn closed(&mut self, _: ConnectionId, _: EndpointId, reason: CloseReason, _: &str) {
        self.ended.push(reason);
    }
}

fn bench() -> Bench<Script> {
    Bench::of(Script::default(), Config::default())
}

fn open() -> Bench<Script> {
    bench().opened()
}

/// What `script` must bring, written out naively.
fn expected(script: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    for letter in script.chars() {
        bytes.extend(match letter {
            'e' | 't' => answer(Opcode::Text, script.as_bytes()),
            'b' => answer(Opcode::Binary, b"binary"),
            'p' => answer(Opcode::Binary, b"not for a service to send"),
            _ => Vec::new(),
        });
    }
    bytes
}

#[test]
fn replies_leave_in_the_order_of_the_calls() {
    let scripts = ["e", "", "b", "eb", "be", "ee", "ebe", "tp", "eeb", "bte", "..e..b"];
    for first in scripts {
        for second in scripts {
            let both = [expected(first), expected(second), expected("e")].concat();
            let input: Vec<u8> = [first, second, "e"]
                .iter()
                .flat_map(|script| frame(0x81, script.as_bytes(), [7, 6, 5, 4]))
                .collect();
            assert_eq!(open().receive(&input), both, "{first:?} and {second:?}");
            for cut in 1..input.len() {
                let mut bench = open();
                let got = [bench.receive(&input[..cut]), bench.receive(&input[cut..])].concat();
                assert_eq!(got, both, "{first:?} and {second:?}, cut at {cut}");
            }
        }
    }
}

#[test]
fn a_service_closes_after_its_replies() {
    for cut in [0, 3, 9] {
        let mut bench = open();
        let input = [frame(0x81, b"ebc", [1; 4]), frame(0x81, b"e", [1; 4])].concat();
        let got = [bench.receive(&input[..cut]), bench.receive(&input[cut..])].concat();
        assert_eq!(got, [expected("ebc"), close_frame(1003, "text only")].concat());
        assert_eq!(bench.session.phase(), Phase::Closing);
        bench.receive(&frame(0x88, &1003_u16.to_be_bytes(), [1; 4]));
        assert_eq!(bench.session.phase(), Phase::Finished);
        bench.finish();
        bench.finish();
        let reason = CloseReason::Local(CloseCode::UNSUPPORTED_DATA);
        assert_eq!(bench.service.ended, [reason], "told once");
    }
}

#[test]
fn a_service_chooses_path_and_subprotocol() {
    let request = |path: &str| {
        let text = std::str::from_utf8(REQUEST).unwrap().replace("/chat", path);
        text.replace("Host: h\r\n", "Host: h\r\nSec-WebSocket-Protocol: one, two\r\n").into_bytes()
    };
    for (path, status, protocol) in [
        ("/chat", "101", Some("one")),
        ("/second", "101", Some("two")),
        ("/invented", "101", None),
        ("/elsewhere", "404", None),
    ] {
        let mut bench = bench();
        let got = String::from_utf8(bench.receive(&request(path))).unwrap();
        assert!(got.starts_with(&format!("HTTP/1.1 {status} ")), "{path}: {got}");
        let line = got.lines().find_map(|line| line.strip_prefix("Sec-WebSocket-Protocol: "));
        assert_eq!(line, protocol, "{path}");
        bench.finish();
        assert_eq!(bench.service.ended.len(), usize::from(status == "101"), "{path}");
    }
}

/// Codes that stand for a close frame without a code, and for none, are never sent.
#[test]
fn a_code_that_is_never_on_the_wire_is_left_out() {
    for code in [CloseCode::NO_STATUS, CloseCode::ABNORMAL] {
        let mut bench = Bench::open();
        let out = bench.act(|session, now, pools, out| {
            session.reply(now, 0, pools, out, |replies| replies.close(code, "reason"));
        });
        assert_eq!(out, [0x88, 0], "{code}");
        let mut bench = Bench::open();
        let reason = CloseReason::Local(code);
        let out = bench.act(|session, now, pools, out| session.close(now, reason, "x", pools, out));
        assert_eq!(out, [0x88, 0], "{code}");
    }
}
