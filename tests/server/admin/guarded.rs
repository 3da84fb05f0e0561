//! Requests of those who may not ask: each is counted and logged, with its cause and its address.

use std::path::PathBuf;

use crate::admin::page::{Administrated, Metrics, ask, ask_on, status};
use crate::support::client::Client;
use crate::support::host::wait_until;

const LIMIT: std::time::Duration = std::time::Duration::from_secs(20);
const TOKEN: &str = "Authorization: Bearer s3cret0123456789\r\n";

fn refused(metrics: &Metrics) -> [f64; 2] {
    ["401", "403"]
        .map(|code| metrics.get(&format!("corecast_admin_refusals_total{{code=\"{code}\"}}")))
}

/// Waits for a line of the log with all of these, and no other with `not`.
fn said(server: &Administrated, parts: &[&str]) {
    let is_there = || {
        let log = server.server.log();
        log.iter().any(|line| parts.iter().all(|part| line.contains(part)))
    };
    assert!(wait_until(LIMIT, is_there), "{parts:?}: {:#?}", server.server.log());
}

#[test]
fn wrong_tokens_are_counted() {
    let file: PathBuf =
        std::env::temp_dir().join(format!("corecast-counted-token-{}", std::process::id()));
    std::fs::write(&file, "s3cret0123456789").unwrap();
    let server = Administrated::start(&["--admin-token-file", file.to_str().unwrap()]);
    std::fs::remove_file(&file).unwrap();
    let mut client = Client::connect(server.admin);
    let before = refused(&metrics_with_token(&server));
    assert_eq!(before, [0.0, 0.0]);
    for (method, target, header) in [
        ("GET", "/metrics", ""),
        ("GET", "/nowhere", "Authorization: Bearer s3cre\r\n"),
        ("POST", "/publish/a", "Authorization: Basic s3cret0123456789\r\n"),
        ("POST", "/drain", "Authorization: Bearer guess3d\r\n"),
    ] {
        let body: &[u8] = if method == "POST" { b"body" } else { b"" };
        let (head, _) = ask_on(&mut client, method, target, header, body);
        assert_eq!(status(&head), "401", "{target} {header}");
    }
    assert_eq!(refused(&metrics_with_token(&server)), [4.0, 0.0]);
    said(&server, &["WARN", "refused for administration", "status=401", "client=127.0.0.1"]);
    let log = server.server.log();
    let lines: Vec<&String> =
        log.iter().filter(|line| line.contains("refused for administration")).collect();
    assert!(lines.len() < 4, "{lines:#?}");
    assert!(
        log.iter().all(|line| !line.contains("s3cre") && !line.contains("guess3d")),
        "{log:#?}"
    );
}

fn metrics_with_token(server: &Administrated) -> Metrics {
    let (status, text) = ask(server.admin, "GET", "/metrics", TOKEN, b"");
    assert_eq!(status, "200", "{text}");
    Metrics::parse(&text)
}

#[test]
fn pages_are_counted() {
    let server = Administrated::start(&[]);
    let origin = "Origin: https://example.org\r\n";
    assert_eq!(ask(server.admin, "POST", "/drain", origin, b"").0, "403");
    assert_eq!(ask(server.admin, "GET", "/topics", "Sec-Fetch-Site: cross-site\r\n", b"").0, "403");
    assert_eq!(refused(&server.metrics()), [0.0, 2.0]);
    said(&server, &["refused for administration", "status=403", "client=127.0.0.1"]);
}
