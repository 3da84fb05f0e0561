//! The results of a load, as text and as JSON.

use std::fmt::Write;
use std::io;

use serde::Serialize;

use super::{Length, Outcome, Pace, Plan, Tls, Work};

/// The settings and results of one run. Fields that do not apply to the kind of load are left out.
#[derive(Debug, Default, Serialize)]
struct Report {
    work: &'static str,
    address: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    path: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    publisher: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    subscribe: Option<String>,
    connections: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    size: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    content: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    depth: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rate: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    burst: Option<usize>,
    deflate: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    tls: Option<&'static str>,
    verify: bool,
    busy: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    core: Option<usize>,
    warm_up_seconds: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    count: Option<u64>,
    messages: u64,
    bytes: u64,
    seconds: f64,
    messages_per_second: f64,
    mib_per_second: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    latency_us: Option<Latency>,
    behind: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    broadcast_ms: Option<f64>,
}

/// Microseconds.
#[derive(Debug, Serialize)]
struct Latency {
    p50: f64,
    p90: f64,
    p99: f64,
    p999: f64,
    max: f64,
}

fn latency(outcome: &Outcome) -> Option<Latency> {
    let of = |quantile| outcome.latency.value_at_quantile(quantile) as f64 / 1e3;
    (!outcome.latency.is_empty()).then(|| Latency {
        p50: of(0.5),
        p90: of(0.9),
        p99: of(0.99),
        p999: of(0.999),
        max: outcome.latency.max() as f64 / 1e3,
    })
}

/// The counted unit of each kind of load.
fn unit(work: &Work) -> &'static str {
    match work {
        Work::Echo(_) => "messages",
        Work::Fanout(_) => "deliveries",
        Work::Idle(_) => "connections held",
        Work::Handshakes(_) => "handshakes",
    }
}

/// One JSON object, followed by a line break.
pub(super) fn json(plan: &Plan, core: Option<usize>, outcome: &Outcome) -> io::Result<String> {
    let seconds = outcome.elapsed.as_secs_f64();
    let mut report = Report {
        address: plan.address.to_string(),
        deflate: plan.deflate,
        tls: plan.tls.map(|tls| match tls {
            Tls { apart: true, .. } => "a record for each message",
            Tls { resume: true, .. } => "resumed sessions",
            _ => "yes",
        }),
        verify: plan.verify,
        busy: plan.busy,
        core,
        warm_up_seconds: plan.warm_up.as_secs_f64(),
        count: if let Length::Count(count) = plan.length { Some(count) } else { None },
        messages: outcome.messages,
        bytes: outcome.bytes,
        seconds,
        messages_per_second: outcome.messages as f64 / seconds,
        mib_per_second: outcome.bytes as f64 / seconds / f64::from(1 << 20),
        latency_us: latency(outcome),
        behind: outcome.behind,
        broadcast_ms: outcome.broadcast.map(|d| d.as_secs_f64() * 1e3),
        ..Report::default()
    };
    match &plan.work {
        Work::Echo(echo) => {
            (report.work, report.connections) = ("echo", echo.connections);
            report.path.clone_from(&echo.path);
            (report.size, report.content) = (Some(echo.size), Some(echo.content.name()));
            match echo.pace {
                Pace::Depth(depth) => report.depth = Some(depth),
                Pace::Rate(rate) => report.rate = Some(rate),
            }
        }
        Work::Fanout(fanout) => {
            (report.work, report.connections) = ("fanout", fanout.subscribers);
            report.path = Some(fanout.subscriber.clone());
            report.publisher = Some(fanout.publisher.clone());
            report.subscribe.clone_from(&fanout.subscribe);
            (report.size, report.burst) = (Some(fanout.size), Some(fanout.burst));
        }
        Work::Idle(idle) => {
            (report.work, report.connections) = ("idle", idle.connections);
            report.path = Some(idle.path.clone());
            report.publisher.clone_from(&idle.broadcast);
        }
        Work::Handshakes(handshakes) => {
            (report.work, report.connections) = ("handshakes", handshakes.concurrent);
            report.path = Some(handshakes.path.clone());
        }
    }
    Ok(serde_json::to_string(&report).map_err(io::Error::other)? + "\n")
}

/// A few lines.
pub(super) fn text(plan: &Plan, outcome: &Outcome) -> String {
    let (seconds, unit) = (outcome.elapsed.as_secs_f64(), unit(&plan.work));
    let mut text = format!("{} {unit} in {seconds:.3} s\n", outcome.messages);
    // Writing to a string cannot fail.
    if !matches!(plan.work, Work::Idle(_)) {
        let rate = outcome.messages as f64 / seconds;
        let mib = outcome.bytes as f64 / seconds / f64::from(1 << 20);
        let _ = writeln!(text, "{rate:.0} {unit}/s, {mib:.1} MiB/s received");
    }
    if let Some(Latency { p50, p90, p99, p999, max }) = latency(outcome) {
        let _ = writeln!(
            text,
            "latency in us: p50 {p50:.1}, p90 {p90:.1}, p99 {p99:.1}, p99.9 {p999:.1}, \
             max {max:.1}"
        );
    }
    if matches!(&plan.work, Work::Echo(echo) if matches!(echo.pace, Pace::Rate(_))) {
        let _ = writeln!(text, "{} messages due and not sent at the end", outcome.behind);
    }
    if let Some(broadcast) = outcome.broadcast {
        let _ =
            writeln!(text, "broadcast: all had it after {:.3} ms", broadcast.as_secs_f64() * 1e3);
    }
    text
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use hdrhistogram::Histogram;

    use super::*;
    use crate::load::{Content, Echo};

    fn example() -> (Plan, Outcome) {
        let echo = Echo {
            path: Some("/".into()),
            connections: 3,
            size: 20,
            content: Content::Korean,
            pace: Pace::Rate(1000.0),
        };
        let plan = Plan {
            address: "127.0.0.1:80".parse().unwrap(),
            work: Work::Echo(echo),
            warm_up: Duration::from_millis(1500),
            length: Length::Count(4),
            busy: true,
            verify: true,
            deflate: false,
            tls: None,
        };
        let mut latency = Histogram::new_with_bounds(1, 60_000_000_000, 3).unwrap();
        latency.saturating_record_n(1000, 9);
        latency.saturating_record(50_000);
        let outcome = Outcome {
            messages: 10,
            bytes: 2 << 20,
            elapsed: Duration::from_secs(2),
            latency,
            behind: 6,
            broadcast: None,
        };
        (plan, outcome)
    }

    #[test]
    fn json_holds_settings_and_results() {
        let (plan, outcome) = example();
        let line = json(&plan, Some(1), &outcome).unwrap();
        let value: serde_json::Value = serde_json::from_str(&line).unwrap();
        let expected = [
            ("work", "\"echo\""),
            ("content", "\"korean\""),
            ("rate", "1000.0"),
            ("core", "1"),
            ("count", "4"),
            ("messages_per_second", "5.0"),
            ("mib_per_second", "1.0"),
            ("warm_up_seconds", "1.5"),
            ("behind", "6"),
        ];
        for (name, must) in expected {
            assert_eq!(value[name].to_string(), must, "{name}");
        }
        assert!(value["latency_us"]["p50"].as_f64().unwrap() < 1.1);
        assert!(value.get("depth").is_none() && value.get("broadcast_ms").is_none());
    }

    #[test]
    fn text_is_for_people() {
        let (plan, outcome) = example();
        let text = text(&plan, &outcome);
        assert!(text.starts_with("10 messages in 2.000 s\n5 messages/s, 1.0 MiB/s received\n"));
        assert!(text.contains("p50 1.0, p90 1.0, p99 50.0"), "{text}");
        assert!(text.ends_with("6 messages due and not sent at the end\n"));
    }
}
