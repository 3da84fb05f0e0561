//! Goal: who has a token or an API key may do what that says, over real sockets, and nobody else.
//! Method: the command with keys in files, tokens made here and by another implementation, and raw
//! clients.
mod access;
#[cfg(feature = "auth-url")]
mod backend;
mod command;
mod example;
mod expiry;
mod flood;

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, SystemTime};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::hmac;

use crate::support::client::{Client, Head, request_to};
use crate::support::server::Server;
use crate::support::wire::{FIN, TEXT, frame};

/// The secret of [`token`].
const SECRET: &[u8] = b"0123456789abcdef0123456789abcdef";
const LIMIT: Duration = Duration::from_secs(20);

/// Files of a test, removed with it.
struct Files(PathBuf);

impl Files {
    fn new() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("corecast-tokens-{}-{number}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        fs::create_dir_all(&folder).unwrap();
        Self(folder)
    }

    /// Writes a file; returns its path.
    fn write(&self, name: &str, text: impl AsRef<[u8]>) -> String {
        let path = self.0.join(name);
        fs::write(&path, text).unwrap();
        path.display().to_string()
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A server that verifies tokens with [`SECRET`], without leeway.
fn guarded(more: &[&str]) -> (Server, Files) {
    let files = Files::new();
    let secret = files.write("secret", SECRET);
    let flags = ["--token-secret", &secret, "--token-leeway", "0"];
    (Server::start(&[&flags, more].concat()), files)
}

fn now() -> Duration {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap()
}

/// A token of HS256 with these claims.
fn signed(claims: &str, secret: &[u8]) -> String {
    let [header, claims] = [r#"{"alg":"HS256"}"#, claims].map(|it| URL_SAFE_NO_PAD.encode(it));
    let message = format!("{header}.{claims}");
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), message.as_bytes());
    format!("{message}.{}", URL_SAFE_NO_PAD.encode(tag))
}

/// A token of `ann`, which ends at this time, for topics below `news`.
fn token_until(end: Duration) -> String {
    let claims = format!(
        r#"{{"sub":"ann","exp":{}.{:03},"publish":["news/#"],"subscribe":["news/#"]}}"#,
        end.as_secs(),
        end.subsec_millis()
    );
    signed(&claims, SECRET)
}

fn token() -> String {
    token_until(now() + Duration::from_secs(600))
}

fn bearer(token: &str) -> String {
    format!("Authorization: Bearer {token}\r\n")
}

/// The answer to a handshake, with its body if it is refused.
fn ask(addr: SocketAddr, target: &str, further: &str) -> (Head, String) {
    let mut client = Client::connect(addr);
    client.send(&request_to(target, further));
    let head = client.read_head();
    let body = match head.get("Content-Length") {
        Some(len) => String::from_utf8(client.read_bytes(len.parse().unwrap())).unwrap(),
        None => String::new(),
    };
    (head, body)
}

/// The status of the answer to a handshake.
fn status(addr: SocketAddr, target: &str, further: &str) -> u16 {
    let (head, _) = ask(addr, target, further);
    head.status.split(' ').nth(1).unwrap().parse().unwrap()
}

/// A connection with a token.
fn open(addr: SocketAddr, target: &str, token: &str) -> Client {
    let mut client = Client::connect(addr);
    client.open_at(target, &bearer(token));
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
