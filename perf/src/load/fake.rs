//! Parts of the servers that the tests use.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};

use corecast::protocol::websocket::handshake::accept_key;

use crate::frames::{self, Head};

/// A connection on the server's side.
pub(super) struct Client {
    pub(super) stream: TcpStream,
    carry: Vec<u8>,
}

impl Client {
    /// Accepts a connection and upgrades it; `lines` are added to the response.
    pub(super) fn accept(listener: &TcpListener, lines: &str) -> Self {
        let (stream, _) = listener.accept().unwrap();
        let mut client = Self { stream, carry: Vec::new() };
        let end = loop {
            match frames::head_end(&client.carry) {
                Some(end) => break end,
                None => assert!(client.read(), "the client went away"),
            }
        };
        let head = String::from_utf8(client.carry.drain(..end).collect()).unwrap();
        let key = accept_key(frames::field(&head, "Sec-WebSocket-Key").unwrap());
        let key = String::from_utf8(key.to_vec()).unwrap();
        let answer = format!(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Accept: {key}\r\n{lines}\r\n"
        );
        client.stream.write_all(answer.as_bytes()).unwrap();
        client
    }

    /// The next frame in the server's form; `None` when the client has disconnected.
    pub(super) fn frame(&mut self) -> Option<Vec<u8>> {
        loop {
            let head = Head::parse(&self.carry).filter(|h| h.payload.end <= self.carry.len());
            if let Some(head) = head {
                let mut frame = Vec::new();
                head.relay(&self.carry, &mut frame);
                self.carry.drain(..head.payload.end);
                return Some(frame);
            }
            if !self.read() {
                return None;
            }
        }
    }

    fn read(&mut self) -> bool {
        let mut part = [0; 4096];
        let n = self.stream.read(&mut part).unwrap_or(0);
        self.carry.extend_from_slice(&part[..n]);
        n > 0
    }
}

/// Listens on a port that the system chooses.
pub(super) fn listen() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").unwrap()
}
