//! Connections by the routes by which they came.

use std::path::PathBuf;

use rustix::process::Signal;

use crate::admin::page::{Administrated, Metrics};
use crate::support::client::{Client, PATIENCE, request_to};
use crate::support::host::wait_until;

/// A server with a file of settings, which is removed with it.
struct Routed {
    server: Administrated,
    file: PathBuf,
}

impl Routed {
    fn start(name: &str, text: &str) -> Self {
        let name = format!("corecast-admin-{name}-{}.toml", std::process::id());
        let file = std::env::temp_dir().join(name);
        std::fs::write(&file, text).unwrap();
        Self { server: Administrated::start(&["--config", file.to_str().unwrap()]), file }
    }

    /// Has another text read.
    fn reload(&self, text: &str) {
        let times = |server: &Administrated| {
            server.server.log().iter().filter(|line| line.contains("settings were read")).count()
        };
        let before = times(&self.server);
        std::fs::write(&self.file, text).unwrap();
        self.server.server.signal(Signal::HUP);
        assert!(wait_until(PATIENCE, || times(&self.server) > before));
    }

    fn open(&self, target: &str) -> Client {
        let mut client = Client::connect(self.server.addr());
        client.open_at(target, "");
        client
    }

    fn refused(&self, target: &str) {
        let mut client = Client::connect(self.server.addr());
        client.send(&request_to(target, ""));
        assert!(!client.read_head().status.contains("101"), "{target}");
    }
}

impl Drop for Routed {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.file);
    }
}

fn route(path: &str, to: &str, more: &str) -> String {
    format!("[[route]]\npath = '{path}'\nto = '{to}'\n{more}\n")
}

/// The samples of WebSockets with a route, as `endpoint route`: those that are open, and all.
fn by_route(metrics: &Metrics) -> Vec<(String, f64, f64)> {
    let routes = metrics.0.iter().filter_map(|(name, all)| {
        let labels = name.strip_prefix("corecast_handshakes_total{")?;
        let (endpoint, route) = labels.split_once("\",route=\"")?;
        let endpoint = endpoint.strip_prefix("endpoint=\"")?;
        let open = format!("corecast_connections{{protocol=\"websocket\",{labels}");
        let route = route.strip_suffix("\"}").filter(|route| !route.is_empty())?;
        Some((format!("{endpoint} {route}"), metrics.get(&open), *all))
    });
    routes.collect()
}

fn expect(server: &Routed, expected: &[(&str, f64, f64)]) {
    let expected: Vec<(String, f64, f64)> =
        expected.iter().map(|(name, open, all)| ((*name).to_owned(), *open, *all)).collect();
    let mut found = Vec::new();
    let is_met = wait_until(PATIENCE, || {
        found = by_route(&server.server.metrics());
        found == expected
    });
    assert!(is_met, "found {found:?}\nexpected {expected:?}");
}

#[test]
fn connections_are_counted_by_route() {
    let first = [
        route("/a", "echo", ""),
        route("/t/{topic...}", "topics", ""),
        route("/api", "pubsub", ""),
        route("/up", "health", ""),
        route("/closed/*", "off", ""),
    ];
    let server = Routed::start("routes", &first.concat());
    let (_a, t) = (server.open("/a"), [server.open("/t/x"), server.open("/t/y/z")]);
    server.refused("/t/");
    server.refused("/closed/a");
    let a = ("app /a", 1.0, 1.0);
    let api = ("pubsub /api", 0.0, 0.0);
    expect(&server, &[a, api, ("topics /t/{topic...}", 2.0, 2.0)]);
    let all = server.server.connections();
    let of = |route: &str| all.iter().filter(|one| one["route"] == route).count();
    assert_eq!([of("/a"), of("/t/{topic...}"), of("/api")], [1, 2, 0], "{all:#?}");
    drop(t);
    expect(&server, &[a, api, ("topics /t/{topic...}", 0.0, 2.0)]);
    // What was counted for a pattern stays, with other settings and without the route.
    server.reload(&[route("/a", "echo", "max-message = 7"), route("/n", "echo", "")].concat());
    let (_again, _n) = (server.open("/a"), server.open("/n"));
    let topics = ("topics /t/{topic...}", 0.0, 2.0);
    expect(&server, &[("app /a", 2.0, 2.0), ("app /n", 1.0, 1.0), api, topics]);
}

/// A pattern may have what has a meaning in the text of metrics.
#[test]
fn patterns_are_escaped() {
    let server = Routed::start("escapes", &route(r#"/a"b\c,"#, "echo", ""));
    let _client = server.open("/a%22b%5Cc,");
    let sample = r#"corecast_handshakes_total{endpoint="app",route="/a\"b\\c,"}"#;
    assert_eq!(server.server.metrics().get(sample), 1.0);
}

/// Without routes there is one without a name for each endpoint.
#[test]
fn without_routes_the_name_is_empty() {
    let server = Administrated::start(&[]);
    let mut client = Client::connect(server.addr());
    client.open_at("/pubsub", "");
    let metrics = server.metrics();
    assert_eq!(metrics.get("corecast_handshakes_total{endpoint=\"pubsub\",route=\"\"}"), 1.0);
    assert_eq!(by_route(&metrics), []);
    assert_eq!(server.connections()[0]["route"], serde_json::Value::Null);
}
