//! The view: lines of text of two samples and the lists.

use std::fmt::Write as _;

use serde_json::Value;

use super::sample::Sample;

/// The entries of each list.
const ENTRIES: usize = 8;

/// What is shown.
pub(super) struct View<'v> {
    pub(super) place: &'v str,
    pub(super) before: &'v Sample,
    pub(super) now: &'v Sample,
    /// Topics and connections as the admin listener lists them.
    pub(super) topics: Vec<Value>,
    pub(super) connections: Vec<Value>,
    /// There are more of them than were looked at.
    pub(super) has_more: bool,
}

impl View<'_> {
    /// All lines.
    pub(super) fn render(mut self) -> String {
        let mut out = String::new();
        // A string takes everything.
        let _ = self.totals(&mut out);
        let _ = self.loops(&mut out);
        let _ = self.lists(&mut out);
        // Whatever answers at the address must not control the terminal.
        out.replace(|char: char| char.is_control() && char != '\n', ".")
    }

    fn totals(&self, out: &mut String) -> std::fmt::Result {
        let (now, before) = (self.now, self.before);
        let sum = |name: &str, labels: &[(&str, &str)]| whole(now.sum(name, labels));
        let rate = |name: &str, labels: &[(&str, &str)]| whole(now.rate(before, name, labels));
        let first = |label| now.labels("corecast_build_info", label).pop().unwrap_or_default();
        let state = if now.sum("corecast_ready", &[]) > 0.0 { "ready" } else { "draining" };
        let (version, backend) = (first("version"), first("backend"));
        writeln!(out, "corecast {version} on {backend}, {}, {state}\n", self.place)?;
        let name = "corecast_connections";
        writeln!(
            out,
            "connections  {} of {}: app {}, topics {}, pubsub {}, no WebSocket {}",
            sum(name, &[]),
            sum("corecast_connection_limit", &[]),
            sum(name, &[("endpoint", "app")]),
            sum(name, &[("endpoint", "topics")]),
            sum(name, &[("endpoint", "pubsub")]),
            sum(name, &[("protocol", "http")]),
        )?;
        writeln!(
            out,
            "each second  accepted {}, handshakes {}, refused {}, closed {}",
            rate("corecast_accepted_connections_total", &[]),
            rate("corecast_handshakes_total", &[]),
            rate("corecast_refused_requests_total", &[]),
            rate("corecast_closed_connections_total", &[]),
        )?;
        writeln!(
            out,
            "messages/s   received {}, replies {}, deliveries {}, dropped {}",
            rate("corecast_received_messages_total", &[]),
            rate("corecast_sent_messages_total", &[("kind", "reply")]),
            rate("corecast_sent_messages_total", &[("kind", "delivery")]),
            rate("corecast_dropped_messages_total", &[]),
        )?;
        writeln!(
            out,
            "bytes/s      received {}, sent {}; queued {}",
            bytes(now.rate(before, "corecast_received_bytes_total", &[])),
            bytes(now.rate(before, "corecast_sent_bytes_total", &[])),
            bytes(now.sum("corecast_queued_bytes", &[])),
        )?;
        let time = |part| {
            let found = now.quantile(before, "corecast_publish_to_write_seconds", part);
            found.map_or_else(|| "-".to_owned(), duration)
        };
        writeln!(out, "published to written  p50 {}, p99 {}\n", time(0.5), time(0.99))
    }

    fn loops(&self, out: &mut String) -> std::fmt::Result {
        writeln!(out, "LOOP CORE    LOAD   TURNS/s  CONNECTIONS      QUEUED      MEMORY")?;
        let (now, before) = (self.now, self.before);
        for number in now.labels("corecast_loop_answers", "loop") {
            let of = [("loop", number.as_str())];
            let core = now.label("corecast_loop_answers", &of, "core");
            let load = 100.0 * now.rate(before, "corecast_loop_cpu_seconds_total", &of);
            let is_silent = now.sum("corecast_loop_answers", &of) == 0.0;
            writeln!(
                out,
                "{number:>4} {core:>4} {load:>6.0}% {:>9} {:>12} {:>11} {:>11}{}",
                whole(now.rate(before, "corecast_loop_turns_total", &of)),
                whole(now.sum("corecast_loop_connections", &of)),
                bytes(now.sum("corecast_queued_bytes", &of)),
                bytes(now.sum("corecast_memory_bytes", &of)),
                if is_silent { "  does not answer" } else { "" },
            )?;
        }
        Ok(())
    }

    fn lists(&mut self, out: &mut String) -> std::fmt::Result {
        let number = |one: &Value, key: &str| one[key].as_u64().unwrap_or(0);
        let text = |one: &Value, key: &str| one[key].as_str().unwrap_or("-").to_owned();
        self.topics.sort_by_key(|one| std::cmp::Reverse(number(one, "subscribers")));
        writeln!(out, "\nSUBSCRIBERS    RETAINED  TOPIC OR FILTER")?;
        for one in self.topics.iter().take(ENTRIES) {
            let retained = one["retained_bytes"].as_u64().map_or("-".to_owned(), bytes_of);
            // Names of clients must not move the cursor.
            let topic: String = text(one, "topic").escape_debug().take(60).collect();
            let subscribers = number(one, "subscribers");
            writeln!(out, "{subscribers:>11} {retained:>11}  {topic}")?;
        }
        self.connections.retain(|one| number(one, "queued_bytes") > 0);
        self.connections.sort_by_key(|one| std::cmp::Reverse(number(one, "queued_bytes")));
        writeln!(out, "\n     QUEUED        SENT  ENDPOINT  SLOWEST CLIENT")?;
        for one in self.connections.iter().take(ENTRIES) {
            let (queued, sent) = (bytes_of(number(one, "queued_bytes")), number(one, "sent_bytes"));
            let (endpoint, id) = (text(one, "endpoint"), text(one, "id"));
            let peer = text(one, "peer");
            writeln!(out, "{queued:>11} {:>11}  {endpoint:<8}  {peer} ({id})", bytes_of(sent))?;
        }
        if self.has_more {
            writeln!(out, "\nNot all topics and connections were looked at.")?;
        }
        Ok(())
    }
}

/// A number with a comma between thousands.
fn whole(value: f64) -> String {
    let digits = format!("{value:.0}");
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

fn bytes(value: f64) -> String {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    let (mut value, mut unit) = (value, 0);
    while value >= 1024.0 && unit + 1 < UNITS.len() {
        (value, unit) = (value / 1024.0, unit + 1);
    }
    if unit == 0 { format!("{value:.0} B") } else { format!("{value:.1} {}", UNITS[unit]) }
}

#[allow(clippy::cast_precision_loss, reason = "it is rounded to three digits")]
fn bytes_of(value: u64) -> String {
    bytes(value as f64)
}

/// The upper bound of a range.
fn duration(seconds: f64) -> String {
    match seconds {
        it if it.is_infinite() => "> 10 s".to_owned(),
        it if it < 1e-3 => format!("<= {:.0} us", it * 1e6),
        it if it < 1.0 => format!("<= {:.0} ms", it * 1e3),
        it => format!("<= {it:.0} s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short() {
        let cases = [(0.0, "0"), (999.6, "1,000"), (1_234_567.0, "1,234,567"), (12.0, "12")];
        cases.iter().for_each(|(value, text)| assert_eq!(whole(*value), *text));
        assert_eq!([bytes(0.0), bytes(1023.0), bytes(1536.0)], ["0 B", "1023 B", "1.5 KiB"]);
        assert_eq!(
            [duration(5e-5), duration(2.5), duration(0.25)],
            ["<= 50 us", "<= 2 s", "<= 250 ms"]
        );
    }
}
