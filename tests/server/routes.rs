//! Goal: each route serves what it says, with its own limits, over real sockets; what belongs to no
//! route is not served.
//! Method: the command with routes in a file, and raw clients.

mod limits;
mod paths;
mod slow;
#[cfg(feature = "tokens")]
mod tokens;

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::support::client::{Client, Head, request_to};
use crate::support::server::{Server, command};
use crate::support::wire::{FIN, TEXT, frame};

/// A file of a test, removed with it.
struct File(PathBuf);

impl File {
    fn new(text: &str) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("corecast-routes-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        fs::write(&path, text).unwrap();
        Self(path)
    }

    fn path(&self) -> &str {
        self.0.to_str().unwrap()
    }
}

impl Drop for File {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

/// A server with this file.
fn serve(text: &str) -> Server {
    let file = File::new(text);
    Server::start(&["--config", file.path()])
}

/// A route with further keys.
fn route(path: &str, to: &str, more: &str) -> String {
    format!("[[route]]\npath = \"{path}\"\nto = \"{to}\"\n{more}\n")
}

/// The answer to a handshake, with its body if it is refused.
fn ask(addr: SocketAddr, target: &str, further: &str) -> (u16, Head, String) {
    answer(addr, &request_to(target, further))
}

/// The answer to a plain request.
fn plain(addr: SocketAddr, method: &str, target: &str, further: &str) -> (u16, Head, String) {
    let request = format!("{method} {target} HTTP/1.1\r\nHost: h\r\n{further}\r\n");
    answer(addr, request.as_bytes())
}

fn answer(addr: SocketAddr, request: &[u8]) -> (u16, Head, String) {
    let mut client = Client::connect(addr);
    client.send(request);
    let head = client.read_head();
    let body = match head.get("Content-Length") {
        Some(len) => String::from_utf8(client.read_bytes(len.parse().unwrap())).unwrap(),
        None => String::new(),
    };
    (head.status.split(' ').nth(1).unwrap().parse().unwrap(), head, body)
}

fn open(addr: SocketAddr, target: &str) -> Client {
    let mut client = Client::connect(addr);
    client.open_at(target, "");
    client
}

fn send(client: &mut Client, text: &str) {
    client.send(&frame(FIN | TEXT, text.as_bytes()));
}

fn read(client: &mut Client) -> String {
    let frame = client.read_frame();
    assert_eq!(frame.first, FIN | TEXT, "{frame:?}");
    String::from_utf8(frame.payload).unwrap()
}
