//! Clients of the two endpoints, and a check of which cores have worked.

use std::net::SocketAddr;
use std::time::Duration;

use corecast::server::allowed_cores;
use serde_json::Value;

use crate::support::client::Client;
use crate::support::host;
use crate::support::server::Server;
use crate::support::wire::{self, FIN, TEXT};

/// The time for which nothing may arrive.
pub(crate) const QUIET: Duration = Duration::from_millis(150);

/// A connection to `/topics/<topic>`, with a query if there is one in `topic`.
pub(crate) fn raw(addr: SocketAddr, topic: &str) -> Client {
    let mut client = Client::connect(addr);
    client.open_at(&format!("/topics/{topic}"), "");
    client
}

/// A text frame of a client.
pub(crate) fn text(payload: impl AsRef<[u8]>) -> Vec<u8> {
    wire::frame(FIN | TEXT, payload.as_ref())
}

/// A connection to `/pubsub`.
pub(crate) struct Json {
    pub(crate) client: Client,
    /// Deliveries that arrived before an awaited answer.
    early: Vec<String>,
}

impl Json {
    pub(crate) fn open(addr: SocketAddr) -> Self {
        Self::on(Client::connect(addr))
    }

    /// Does the handshake on a new connection.
    pub(crate) fn on(mut client: Client) -> Self {
        client.open_at("/pubsub", "");
        Self { client, early: Vec::new() }
    }

    /// A connection to this path and query.
    pub(crate) fn on_path(addr: SocketAddr, target: &str) -> Self {
        let mut client = Client::connect(addr);
        client.open_at(target, "");
        Self { client, early: Vec::new() }
    }

    /// A connection with subscriptions.
    pub(crate) fn subscribed(addr: SocketAddr, filters: &[&str]) -> Self {
        let mut json = Self::open(addr);
        json.subscribe(filters);
        json
    }

    pub(crate) fn send(&mut self, request: &str) {
        self.client.send(&text(request));
    }

    /// The next message of any kind.
    pub(crate) fn read(&mut self) -> String {
        if !self.early.is_empty() {
            return self.early.remove(0);
        }
        self.receive()
    }

    fn receive(&mut self) -> String {
        let frame = self.client.read_frame();
        assert_eq!(frame.first, FIN | TEXT, "{frame:?}");
        String::from_utf8(frame.payload).unwrap()
    }

    /// The answer to `request`. Deliveries that come before it are kept for the next `read`.
    pub(crate) fn ask(&mut self, request: &str) -> String {
        self.send(request);
        loop {
            let said = self.receive();
            if !is_delivery(&said) {
                return said;
            }
            self.early.push(said);
        }
    }

    pub(crate) fn subscribe(&mut self, filters: &[&str]) {
        let list = serde_json::to_string(filters).unwrap();
        let answer = self.ask(&format!(r#"{{"subscribe":{list},"id":"s"}}"#));
        assert_eq!(answer, format!(r#"{{"subscribed":{list},"id":"s"}}"#));
    }

    /// Publishes, and waits for the answer.
    pub(crate) fn publish(&mut self, topic: &str, data: &str, further: &str) {
        let request = format!(r#"{{"publish":"{topic}","data":{data},"id":0{further}}}"#);
        assert_eq!(self.ask(&request), format!(r#"{{"published":"{topic}","id":0}}"#));
    }

    pub(crate) fn expect(&mut self, message: &str) {
        assert_eq!(self.read(), message);
    }

    /// Discards messages that have arrived before an answer.
    pub(crate) fn skip(&mut self, message: &str) {
        self.early.retain(|early| early != message);
    }

    /// Every message that has arrived was read, and the connection is alive.
    pub(crate) fn expect_nothing(&mut self) {
        assert_eq!(self.early, [] as [&str; 0]);
        self.client.expect_alive();
    }

    /// `request` is answered with an error that contains each of `parts`, and with nothing else.
    pub(crate) fn expect_error(&mut self, request: &str, parts: &[&str]) {
        let answer: Value = serde_json::from_str(&self.ask(request)).unwrap();
        let error = answer["error"].as_str().unwrap_or_else(|| panic!("{request}: {answer}"));
        for part in parts {
            assert!(error.contains(part), "{request}: {part:?} is not in {error:?}");
        }
    }
}

/// Whether a message is not an answer.
fn is_delivery(message: &str) -> bool {
    message.starts_with(r#"{"topic":"#) || message.starts_with(r#"{"gap":"#)
}

/// A delivery in JSON, with `data` as raw text.
pub(crate) fn delivery(topic: &str, data: &str) -> String {
    format!(r#"{{"topic":"{topic}","data":{data}}}"#)
}

/// Tells whether all cores of a server have worked since this value was created.
pub(crate) struct Cores(u32, Vec<u64>);

impl Cores {
    pub(crate) fn of(server: &Server) -> Self {
        let before = host::switches(server.pid(), "corecast-");
        assert_eq!(before.len(), allowed_cores().len(), "a thread on each core");
        Self(server.pid(), before)
    }

    /// A core without connections sleeps; one with connections has woken many times.
    pub(crate) fn assert_all_worked(&self) {
        let now = host::switches(self.0, "corecast-");
        assert_eq!(now.len(), self.1.len());
        for (core, (now, before)) in now.iter().zip(&self.1).enumerate() {
            assert!(now > &(before + 10), "core {core} of {} only slept", self.1.len());
        }
    }
}
