//! The text as Prometheus reads it: its checker, a server of it that scrapes, and the dashboard.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::time::Duration;

use serde_json::Value;

use crate::admin::page::{Administrated, Metrics, ask};
use crate::support::client::Client;
use crate::support::host::{tool, wait_until};
use crate::support::wire::{FIN, TEXT, frame};

const LIMIT: Duration = Duration::from_secs(60);

const README: &str = include_str!("../../../README.md");

#[test]
fn promtool_finds_no_fault() {
    let server = Administrated::start(&[]);
    let mut client = Client::open(server.addr());
    client.send(&frame(FIN | TEXT, b"hello"));
    client.read_frame();
    let (_, text) = server.get("/metrics");
    let file = std::env::temp_dir().join(format!("corecast-metrics-{}", std::process::id()));
    std::fs::write(&file, &text).unwrap();
    let input = std::fs::File::open(&file).unwrap();
    let checked = tool("promtool").args(["check", "metrics"]).stdin(input).output().unwrap();
    std::fs::remove_file(&file).unwrap();
    let said = [checked.stdout, checked.stderr].concat();
    assert!(checked.status.success() && said.is_empty(), "{}", String::from_utf8_lossy(&said));
}

#[test]
fn both_forms_have_the_same_samples() {
    let server = Administrated::start(&[]);
    let accept = "Accept: application/openmetrics-text;version=1.0.0,text/plain;q=0.5\r\n";
    let (_, open) = ask(server.admin, "GET", "/metrics", accept, b"");
    let (_, text) = server.get("/metrics");
    assert!(open.ends_with("# EOF\n") && !text.contains("# EOF"));
    let names = |text: &str| Metrics::parse(text).0.into_keys().collect::<Vec<_>>();
    assert_eq!(names(&open), names(&text));
    assert!(open.contains("# TYPE corecast_build info\n"), "{open}");
    assert!(open.contains("# TYPE corecast_handshakes counter\n"), "{open}");
}

/// The port that a Prometheus says to listen on.
fn port(log: &mut impl BufRead) -> u16 {
    let mut all = String::new();
    while log.read_line(&mut all).unwrap() > 0 {
        let line = all.lines().last().unwrap();
        let said = line.contains("Listening on").then(|| line.split_once("address=127.0.0.1:"));
        if let Some((_, rest)) = said.flatten() {
            return rest.split_whitespace().next().unwrap().parse().unwrap();
        }
    }
    panic!("it does not listen: {all}");
}

/// A running Prometheus, and its folder. Both are gone when it is dropped.
struct Prometheus {
    child: Child,
    folder: PathBuf,
    port: u16,
}

impl Prometheus {
    fn start(target: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("corecast-scrape-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let config = folder.join("prometheus.yml");
        let text = format!(
            "global: {{scrape_interval: 1s}}\nscrape_configs:\n\
             - job_name: corecast\n  static_configs: [{{targets: ['{target}']}}]\n"
        );
        std::fs::write(&config, text).unwrap();
        let mut child = tool("prometheus")
            .arg(format!("--config.file={}", config.display()))
            .arg(format!("--storage.tsdb.path={}", folder.join("data").display()))
            .arg("--web.listen-address=127.0.0.1:0")
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut log = BufReader::new(child.stderr.take().unwrap());
        let port = port(&mut log);
        // What it says later is read as well: else it would wait until somebody does.
        std::thread::spawn(move || std::io::copy(&mut log, &mut std::io::sink()));
        Self { child, folder, port }
    }

    /// The value of an expression.
    fn value(&self, expression: &str) -> Option<f64> {
        let stream = std::net::TcpStream::connect(("127.0.0.1", self.port)).ok()?;
        let mut client = Client::from_stream(stream);
        let target = format!("/api/v1/query?query={expression}");
        client.send(format!("GET {target} HTTP/1.0\r\nHost: localhost\r\n\r\n").as_bytes());
        let (text, _) = client.read_to_end(LIMIT);
        let text = String::from_utf8(text).ok()?;
        let body: Value = serde_json::from_str(text.split_once("\r\n\r\n")?.1).ok()?;
        body["data"]["result"][0]["value"][1].as_str()?.parse().ok()
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

#[test]
fn prometheus_scrapes() {
    let server = Administrated::start(&[]);
    let mut client = Client::open(server.addr());
    for _ in 0..5 {
        client.send(&frame(FIN | TEXT, b"hello"));
        client.read_frame();
    }
    let prometheus = Prometheus::start(&server.admin.to_string());
    let value = |expression: &str| prometheus.value(expression);
    let is_scraped = wait_until(LIMIT, || value("up") == Some(1.0));
    assert!(is_scraped, "up is {:?}", value("up"));
    assert!(wait_until(LIMIT, || value("corecast_received_messages_total") == Some(5.0)));
    assert_eq!(value("sum(corecast_connections{endpoint=\"app\"})"), Some(1.0));
    assert_eq!(value("count(corecast_build_info)"), Some(1.0));
    let quantile = "histogram_quantile(0.9,corecast_turn_seconds_bucket)";
    assert!(value(quantile).is_some(), "no {quantile}");
}

/// The metrics of a server, of which some have no samples yet.
struct Names(String);

impl Names {
    /// Fails unless each metric that a query names exists.
    fn check(&self, query: &str) {
        let words = query.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        let named: Vec<&str> = words.filter(|word| word.starts_with("corecast_")).collect();
        // Of each server, Prometheus itself has the metric `up`.
        assert!(!named.is_empty() || query.starts_with("up{"), "{query} names no metric");
        for name in named {
            let begins = [format!("{name} "), format!("{name}{{"), format!("# TYPE {name} ")];
            let is_there =
                self.0.lines().any(|line| begins.iter().any(|begin| line.starts_with(begin)));
            assert!(is_there, "{query}: there is no {name}");
        }
    }
}

/// Every metric that the dashboard names exists.
#[test]
fn the_dashboard_names_metrics_that_exist() {
    let names = Names(Administrated::start(&[]).get("/metrics").1);
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/grafana.json");
    let dashboard: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let mut queries = 0;
    for panel in dashboard["panels"].as_array().unwrap() {
        assert!(panel["title"].as_str().is_some_and(|title| !title.is_empty()));
        for target in panel["targets"].as_array().map_or(&[][..], |targets| targets) {
            queries += 1;
            names.check(target["expr"].as_str().unwrap());
        }
    }
    assert!(queries >= 15, "{queries} queries");
}

/// The first two cells of each row of the table below this line of README.
fn rows(header: &str) -> Vec<(&'static str, &'static str)> {
    let (_, rest) = README.split_once(header).unwrap_or_else(|| panic!("no {header}"));
    let rows = rest.lines().skip(2).take_while(|line| line.starts_with('|'));
    let cells = |line: &'static str| line[2..].split_once(" | ").expect(line);
    rows.map(cells).collect()
}

/// Each expression that README has a reader watch is one, of metrics that exist.
#[test]
fn the_expressions_to_watch_are_valid() {
    let names = Names(Administrated::start(&[]).get("/metrics").1);
    let rows = rows("| expression for Prometheus | what it means |");
    assert!(rows.len() >= 10, "{rows:?}");
    let mut rules = "groups:\n- name: corecast\n  rules:\n".to_owned();
    for (number, (expression, _)) in rows.iter().enumerate() {
        // In a table a bar has a backslash.
        let expression = expression.trim_matches('`').replace("\\|", "|");
        names.check(&expression);
        rules += &format!("  - alert: a{number}\n    expr: '{expression}'\n");
    }
    let file = std::env::temp_dir().join(format!("corecast-rules-{}.yml", std::process::id()));
    std::fs::write(&file, &rules).unwrap();
    let checked = tool("promtool").args(["check", "rules"]).arg(&file).output().unwrap();
    std::fs::remove_file(&file).unwrap();
    let said = String::from_utf8_lossy(&checked.stdout).into_owned();
    assert!(said.contains(&format!("{} rules found", rows.len())), "{checked:?}");
    assert!(checked.status.success(), "{checked:?}\n{rules}");
}
