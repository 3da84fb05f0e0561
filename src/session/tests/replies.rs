//! What a handler of an application can do, and that it leaves in the order of the calls.

use std::sync::Arc;

use super::{REQUEST, answer, close_frame, frame, taken};
use crate::base::{ConnectionId, Millis};
use crate::config::Config;
use crate::protocol::websocket::handshake::{Refusal, Rejection, Request};
use crate::protocol::websocket::{CloseCode, Opcode};
use crate::session::{
    Acceptance, CloseReason, Connection, Handler, Message, Output, Phase, Replies, Shared,
};

/// Does with each message what its letters say, in their order.
#[derive(Default)]
struct Script {
    ended: Vec<CloseReason>,
}

impl Handler for Script {
    fn open<'a>(
        &mut self,
        _: ConnectionId,
        request: &Request<'a>,
    ) -> Result<Acceptance<'a>, Refusal> {
        match request.path {
            "/chat" => Ok(Acceptance::first_protocol(request)),
            "/second" => Ok(Acceptance::with_protocol(request.subprotocols().nth(1))),
            "/invented" => Ok(Acceptance::with_protocol(Some("invented"))),
            _ => Err(Rejection::NotFound.into()),
        }
    }

    fn message<'a>(&mut self, _: ConnectionId, message: Message<'a>, replies: &mut Replies<'a>) {
        for letter in message.payload() {
            match letter {
                b'e' => replies.echo(message),
                b't' => replies.send(Opcode::Text, message.text().unwrap_or("?").as_bytes()),
                b'b' => replies.send(Opcode::Binary, b"binary"),
                b'p' => replies.send(Opcode::Ping, b"not for a handler to send"),
                b'c' => replies.close(CloseCode::UNSUPPORTED_DATA, "text only"),
                _ => {}
            }
        }
    }

    fn closed(&mut self, _: ConnectionId, reason: CloseReason) {
        self.ended.push(reason);
    }
}

struct Rig {
    connection: Connection,
    shared: Shared<Script>,
}

impl Rig {
    fn new() -> Self {
        let config = Config::default();
        let id = ConnectionId { slot: 0, generation: 0 };
        let connection = Connection::new(id, Millis(0), &config, false);
        Self { connection, shared: Shared::new(Arc::new(config), Script::default()) }
    }

    fn open() -> Self {
        let mut rig = Self::new();
        assert!(rig.receive(REQUEST).starts_with(b"HTTP/1.1 101 "));
        rig
    }

    fn receive(&mut self, bytes: &[u8]) -> Vec<u8> {
        let (mut buffer, mut out) = (bytes.to_vec(), Output::default());
        self.connection.receive(Millis(1), &mut buffer, false, &mut self.shared, &mut out);
        taken(&buffer, out)
    }
}

/// What `script` must bring, written out naively.
fn expected(script: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    for letter in script.chars() {
        bytes.extend(match letter {
            'e' | 't' => answer(Opcode::Text, script.as_bytes()),
            'b' => answer(Opcode::Binary, b"binary"),
            'p' => answer(Opcode::Binary, b"not for a handler to send"),
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
            assert_eq!(Rig::open().receive(&input), both, "{first:?} and {second:?}");
            for cut in 1..input.len() {
                let mut rig = Rig::open();
                let got = [rig.receive(&input[..cut]), rig.receive(&input[cut..])].concat();
                assert_eq!(got, both, "{first:?} and {second:?}, cut at {cut}");
            }
        }
    }
}

#[test]
fn a_handler_closes_after_its_replies() {
    for cut in [0, 3, 9] {
        let mut rig = Rig::open();
        let input = [frame(0x81, b"ebc", [1; 4]), frame(0x81, b"e", [1; 4])].concat();
        let got = [rig.receive(&input[..cut]), rig.receive(&input[cut..])].concat();
        assert_eq!(got, [expected("ebc"), close_frame(1003, "text only")].concat());
        assert_eq!(rig.connection.phase(), Phase::Closing);
        rig.receive(&frame(0x88, &1003_u16.to_be_bytes(), [1; 4]));
        assert_eq!(rig.connection.phase(), Phase::Finished);
        rig.connection.finish(&mut rig.shared);
        rig.connection.finish(&mut rig.shared);
        let reason = CloseReason::Local(CloseCode::UNSUPPORTED_DATA);
        assert_eq!(rig.shared.handler.ended, [reason], "told once");
    }
}

#[test]
fn a_handler_chooses_path_and_subprotocol() {
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
        let mut rig = Rig::new();
        let got = String::from_utf8(rig.receive(&request(path))).unwrap();
        assert!(got.starts_with(&format!("HTTP/1.1 {status} ")), "{path}: {got}");
        let line = got.lines().find_map(|line| line.strip_prefix("Sec-WebSocket-Protocol: "));
        assert_eq!(line, protocol, "{path}");
        rig.connection.finish(&mut rig.shared);
        assert_eq!(rig.shared.handler.ended.len(), usize::from(status == "101"), "{path}");
    }
}
