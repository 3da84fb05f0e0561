//! The view: lines of text of two samples and the lists.

use std::cmp::Reverse;
use std::fmt::Write as _;

use serde_json::Value;

use super::sample::Sample;

/// The topics and clients that are shown where no terminal says for how many there is room.
const ENTRIES: usize = 8;

/// Lines under a header.
struct List {
    header: &'static str,
    entries: Vec<String>,
}

impl List {
    /// The header and the first entries, in so many lines below it. The last one says how many are
    /// left out, if not all have room.
    fn lines(self, room: usize) -> Vec<String> {
        let (header, mut lines) = (self.header.to_owned(), self.entries);
        let all = lines.len();
        if all > room && room > 0 {
            lines.truncate(room - 1);
            lines.push(format!("       ... and {} more", all - lines.len()));
        }
        lines.truncate(room);
        lines.insert(0, header);
        lines
    }
}

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
    /// All lines, so many at most.
    pub(super) fn lines(mut self, rows: Option<usize>) -> Vec<String> {
        let mut totals = String::new();
        // A string takes everything.
        let _ = self.totals(&mut totals);
        let mut lines: Vec<String> = totals.lines().map(str::to_owned).collect();
        let lists = [self.loops(), self.topics(), self.clients()];
        let note = "Not all topics and connections were looked at.";
        let note = if self.has_more { &["", note][..] } else { &[] };
        // A header for each, and an empty line between them.
        let fixed = lines.len() + 2 * lists.len() - 1 + note.len();
        let counts = lists.each_ref().map(|list| list.entries.len());
        let rooms = match rows {
            Some(rows) => shares(rows.saturating_sub(fixed), counts),
            None => [counts[0], ENTRIES, ENTRIES],
        };
        for (number, (list, room)) in lists.into_iter().zip(rooms).enumerate() {
            lines.extend((number > 0).then(String::new));
            lines.extend(list.lines(room));
        }
        lines.extend(note.iter().map(|line| (*line).to_owned()));
        if let Some(rows) = rows.filter(|rows| lines.len() > *rows) {
            let left_out = lines.len() + 1 - rows;
            lines.truncate(rows.saturating_sub(1));
            lines.push(format!("{left_out} more lines have no room here"));
        }
        // Whatever answers at the address must not control the terminal.
        let clean = |line: String| line.replace(|char: char| char.is_control(), ".");
        lines.into_iter().map(clean).collect()
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

    fn loops(&self) -> List {
        let (now, before) = (self.now, self.before);
        let entry = |number: &String| {
            let of = [("loop", number.as_str())];
            let core = now.label("corecast_loop_answers", &of, "core");
            let load = 100.0 * now.rate(before, "corecast_loop_cpu_seconds_total", &of);
            let is_silent = now.sum("corecast_loop_answers", &of) == 0.0;
            format!(
                "{number:>4} {core:>4} {load:>6.0}% {:>9} {:>12} {:>11} {:>11}{}",
                whole(now.rate(before, "corecast_loop_turns_total", &of)),
                whole(now.sum("corecast_loop_connections", &of)),
                bytes(now.sum("corecast_queued_bytes", &of)),
                bytes(now.sum("corecast_memory_bytes", &of)),
                if is_silent { "  does not answer" } else { "" },
            )
        };
        List {
            header: "LOOP CORE    LOAD   TURNS/s  CONNECTIONS      QUEUED      MEMORY",
            entries: now.labels("corecast_loop_answers", "loop").iter().map(entry).collect(),
        }
    }

    /// Those with most subscribers first.
    fn topics(&mut self) -> List {
        self.topics.sort_by_key(|one| Reverse(number(one, "subscribers")));
        let entry = |one: &Value| {
            let retained = one["retained_bytes"].as_u64().map_or("-".to_owned(), bytes_of);
            // Names of clients must not move the cursor.
            let topic: String = text(one, "topic").escape_debug().take(60).collect();
            format!("{:>11} {retained:>11}  {topic}", number(one, "subscribers"))
        };
        List {
            header: "SUBSCRIBERS    RETAINED  TOPIC OR FILTER",
            entries: self.topics.iter().map(entry).collect(),
        }
    }

    /// Those for which most waits first.
    fn clients(&mut self) -> List {
        self.connections.retain(|one| number(one, "queued_bytes") > 0);
        self.connections.sort_by_key(|one| Reverse(number(one, "queued_bytes")));
        let entry = |one: &Value| {
            let [queued, sent] =
                ["queued_bytes", "sent_bytes"].map(|key| bytes_of(number(one, key)));
            let [endpoint, id, peer] = ["endpoint", "id", "peer"].map(|key| text(one, key));
            format!("{queued:>11} {sent:>11}  {endpoint:<8}  {peer} ({id})")
        };
        List {
            header: "     QUEUED        SENT  ENDPOINT  SLOWEST CLIENT",
            entries: self.connections.iter().map(entry).collect(),
        }
    }
}

fn number(one: &Value, key: &str) -> u64 {
    one[key].as_u64().unwrap_or(0)
}

fn text<'o>(one: &'o Value, key: &str) -> &'o str {
    one[key].as_str().unwrap_or("-")
}

/// So many lines for lists with so many entries: each gets as many as another one, unless it has
/// fewer entries.
fn shares<const N: usize>(mut lines: usize, counts: [usize; N]) -> [usize; N] {
    let mut shares = [0; N];
    while lines > 0 && shares != counts {
        for (share, count) in shares.iter_mut().zip(counts) {
            if *share < count && lines > 0 {
                (*share, lines) = (*share + 1, lines - 1);
            }
        }
    }
    shares
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
    fn lists_share_the_lines_that_there_are() {
        let cases = [
            (0, [3, 3, 3], [0, 0, 0]),
            (4, [3, 0, 9], [2, 0, 2]),
            (10, [3, 9, 9], [3, 4, 3]),
            (10, [3, 9, 0], [3, 7, 0]),
            (99, [3, 9, 0], [3, 9, 0]),
        ];
        cases.iter().for_each(|(lines, counts, expected)| {
            assert_eq!(shares(*lines, *counts), *expected);
        });
        let list = |count: usize| List {
            header: "H",
            entries: (0..count).map(|number| number.to_string()).collect(),
        };
        assert_eq!(list(3).lines(3), ["H", "0", "1", "2"]);
        assert_eq!(list(4).lines(3), ["H", "0", "1", "       ... and 2 more"]);
        assert_eq!(list(4).lines(1), ["H", "       ... and 4 more"]);
        assert_eq!(list(4).lines(0), ["H"]);
    }

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
