//! Requests to an admin listener, and what they are answered with.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use serde_json::Value;

use crate::support::client::{Client, Head};
use crate::support::server::Server;

/// A server with an admin listener.
pub(crate) struct Administrated {
    pub(crate) server: Server,
    pub(crate) admin: SocketAddr,
}

impl Administrated {
    /// On one core, unless `args` say otherwise.
    pub(crate) fn start(args: &[&str]) -> Self {
        let cores = corecast::server::allowed_cores()[0].to_string();
        let one = ["--cores", &cores];
        let cores: &[&str] = if args.contains(&"--cores") { &[] } else { &one };
        let server = Server::start(&[&["--admin", "127.0.0.1:0"], cores, args].concat());
        let admin = server.admin();
        Self { server, admin }
    }

    pub(crate) fn addr(&self) -> SocketAddr {
        self.server.addr()
    }

    pub(crate) fn metrics(&self) -> Metrics {
        Metrics::of(self.admin)
    }

    pub(crate) fn get(&self, target: &str) -> (String, String) {
        ask(self.admin, "GET", target, "", b"")
    }

    pub(crate) fn json(&self, target: &str) -> Value {
        let (status, body) = self.get(target);
        assert_eq!(status, "200", "{target}: {body}");
        serde_json::from_str(&body).unwrap()
    }

    pub(crate) fn post(&self, target: &str, body: &[u8]) -> (String, String) {
        ask(self.admin, "POST", target, "", body)
    }

    /// The entries of `/connections`, without those of the admin listener.
    pub(crate) fn connections(&self) -> Vec<Value> {
        let page = self.json("/connections?limit=1000");
        let all = page["connections"].as_array().unwrap().iter();
        all.filter(|one| one["endpoint"] != "admin").cloned().collect()
    }
}

/// Asks on a connection of its own; returns the status and the body. `headers` end with CR LF each.
pub(crate) fn ask(
    to: SocketAddr,
    method: &str,
    target: &str,
    headers: &str,
    body: &[u8],
) -> (String, String) {
    let mut client = Client::connect(to);
    let (head, body) = ask_on(&mut client, method, target, headers, body);
    (status(&head), body)
}

pub(crate) fn status(head: &Head) -> String {
    head.status.split(' ').nth(1).unwrap().to_owned()
}

pub(crate) fn ask_on(
    client: &mut Client,
    method: &str,
    target: &str,
    headers: &str,
    body: &[u8],
) -> (Head, String) {
    let length = match method {
        "POST" => format!("Content-Length: {}\r\n", body.len()),
        _ => String::new(),
    };
    let head = format!("{method} {target} HTTP/1.1\r\nHost: localhost\r\n{headers}{length}\r\n");
    client.send(&[head.as_bytes(), body].concat());
    let head = client.read_head();
    let length = head.get("Content-Length").map_or(0, |length| length.parse().unwrap());
    let length = if method == "HEAD" { 0 } else { length };
    let body = client.read_bytes(length);
    (head, String::from_utf8(body).unwrap())
}

/// Samples by their names with their labels.
#[derive(Clone, Debug)]
pub(crate) struct Metrics(pub(crate) BTreeMap<String, f64>);

impl Metrics {
    pub(crate) fn of(admin: SocketAddr) -> Self {
        let (status, text) = ask(admin, "GET", "/metrics", "", b"");
        assert_eq!(status, "200", "{text}");
        Self::parse(&text)
    }

    pub(crate) fn parse(text: &str) -> Self {
        let samples = text.lines().filter(|line| !line.starts_with('#')).map(|line| {
            let (name, value) = line.rsplit_once(' ').unwrap();
            (name.to_owned(), value.parse().unwrap())
        });
        Self(samples.collect())
    }

    /// The value of one sample.
    pub(crate) fn get(&self, sample: &str) -> f64 {
        *self.0.get(sample).unwrap_or_else(|| panic!("no {sample} in {self:#?}"))
    }

    /// The samples that have changed since `before`, but for those that change by themselves, and
    /// by how much.
    pub(crate) fn since(&self, before: &Self) -> BTreeMap<String, i64> {
        let changes = self.0.iter().map(|(name, value)| {
            let before = before.0.get(name).copied().unwrap_or(0.0);
            #[allow(clippy::cast_possible_truncation, reason = "counts")]
            (name.clone(), (value - before).round() as i64)
        });
        let is_of_itself = |name: &str| BY_THEMSELVES.iter().any(|own| name.starts_with(own));
        changes.filter(|(name, change)| *change != 0 && !is_of_itself(name)).collect()
    }
}

/// Those that every request to the admin listener changes, or that depend on the time.
const BY_THEMSELVES: [&str; 9] = [
    "corecast_memory_bytes",
    "corecast_loop_",
    "corecast_turn_",
    "corecast_kernel_",
    "corecast_received_bytes",
    "corecast_sent_bytes",
    "corecast_publish_to_write_seconds_bucket",
    "corecast_operations_in_flight",
    "corecast_lent_receive_buffers",
];
