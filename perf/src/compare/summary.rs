//! The short table of a comparison over TLS for a README: one line for each workload.

use std::io;
use std::path::Path;

use super::stats::Spread;
use crate::results::{Results, Round, Workload};

/// The lines between which the table is put.
const BEGIN: &str = "<!-- perf/compare --tls: begin -->";
const END: &str = "<!-- perf/compare --tls: end -->";

/// The workloads, and the heads of their lines.
const LINES: [(&str, &str); 8] = [
    ("tls-echo-20", "echo, 20 B, 100 connections"),
    ("tls-echo-20-d16", "16 in flight each, sent in one record"),
    ("tls-echo-20-d16-apart", "16 in flight each, a record for each"),
    ("tls-binary-16k", "echo, 16 KiB"),
    ("tls-fanout-8", "8 messages to 1,000, each delivery"),
    ("tls-handshakes", "connect, full handshake, upgrade, close"),
    ("tls-resumed", "the same, session resumed"),
    ("tls-idle", "user memory of an idle connection"),
];

/// The columns: servers, and their heads.
const COLUMNS: [(&str, &str); 6] = [
    ("corecast", "corecast"),
    ("corecast-epoll", "corecast on epoll"),
    ("uws", "uWebSockets (2024)"),
    ("tokio-websockets", "tokio-websockets"),
    ("sockudo-ws", "sockudo-ws"),
    ("corecast, no TLS", "corecast without TLS"),
];

/// Puts the table into the file, in place of an earlier one.
pub(crate) fn put(path: &Path, results: &Results) -> io::Result<()> {
    let text = std::fs::read_to_string(path)?;
    let new = replaced(&text, &table(results)).ok_or_else(|| {
        let text = format!("{} has no lines `{BEGIN}` and `{END}`", path.display());
        io::Error::new(io::ErrorKind::InvalidData, text)
    })?;
    std::fs::write(path, new)
}

fn replaced(text: &str, table: &str) -> Option<String> {
    let begin = text.find(BEGIN)? + BEGIN.len();
    let end = begin + text[begin..].find(END)?;
    Some(format!("{}\n{table}{}", &text[..begin], &text[end..]))
}

/// The table, and a line above it about the run.
fn table(results: &Results) -> String {
    let machine = &results.machine;
    let rounds = results.workloads.iter().flat_map(|all| &all.rows).map(|row| row.rounds.len());
    let mut text = format!(
        "Medians of {} interleaved rounds, {}, {} cores, Linux {}, {}:\n\n|",
        rounds.max().unwrap_or(0),
        machine.cpu,
        machine.cores,
        machine.kernel,
        results.date,
    );
    for (_, head) in COLUMNS {
        text += &format!(" | {head}");
    }
    text += &format!(" |\n|---|{}\n", "---:|".repeat(COLUMNS.len()));
    for (name, head) in LINES {
        let Some(workload) = results.workloads.iter().find(|all| all.name == name) else {
            continue;
        };
        text += &format!("| {head} |");
        for (server, _) in COLUMNS {
            text += &format!(" {} |", cell(workload, server).unwrap_or_default());
        }
        text += "\n";
    }
    text
}

/// The cost for corecast, and for others its ratio.
fn cell(workload: &Workload, server: &str) -> Option<String> {
    let rounds =
        |name: &str| workload.rows.iter().find(|row| row.server == name).map(|r| &r.rounds);
    let (base, own) = (rounds(COLUMNS[0].0)?, rounds(server)?);
    if server != COLUMNS[0].0 {
        let ratio = Spread::ratio(own, base, |round| Some(cost(round)))?.median;
        let digits = if ratio < 1.995 { 2 } else { usize::from(ratio < 9.95) };
        return Some(format!("x {ratio:.digits$}"));
    }
    let (cost, unit) = (Spread::over(own, |round| Some(cost(round)))?.median, unit(own));
    // Three significant digits are more than the accuracy of the measurement.
    Some(match (cost / 1000.0, unit) {
        (_, [small, _]) if cost < 999.5 => format!("{cost:.0} {small}"),
        (large, [_, unit]) if large < 9.995 => format!("{large:.2} {unit}"),
        (large, [_, unit]) if large < 99.95 => format!("{large:.1} {unit}"),
        (large, [_, unit]) => format!("{large:.0} {unit}"),
    })
}

/// Bytes of memory of an idle connection, otherwise nanoseconds of CPU time.
fn cost(round: &Round) -> f64 {
    round.memory.map_or(round.cpu_ns, |memory| memory.user)
}

fn unit(rounds: &[Round]) -> [&'static str; 2] {
    if rounds.iter().any(|round| round.memory.is_some()) { ["B", "KB"] } else { ["ns", "us"] }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::{Machine, Memory, Row};

    fn workload(name: &str, rows: &[(&str, &[Round])]) -> Workload {
        let row = |(server, rounds): &(&str, &[Round])| Row {
            server: (*server).to_owned(),
            failed: None,
            rounds: rounds.to_vec(),
            stepped: None,
        };
        let rows = rows.iter().map(row).collect();
        Workload { name: name.to_owned(), title: String::new(), unit: "echo".to_owned(), rows }
    }

    fn results() -> Results {
        let time = |cpu_ns| Round { cpu_ns, ..Round::default() };
        let bytes = |user| {
            let memory = Memory { user, kernel: 1.0, connections: 1, broadcast_ms: None };
            Round { memory: Some(memory), ..Round::default() }
        };
        let echo = workload(
            "tls-echo-20",
            &[
                ("corecast", &[time(3000.0), time(4000.0)]),
                ("uws", &[time(6000.0), time(10_000.0)]),
                ("sockudo-ws", &[]),
            ],
        );
        let idle = workload(
            "tls-idle",
            &[("corecast", &[bytes(900.0)]), ("tokio-websockets", &[bytes(99_000.0)])],
        );
        let machine = Machine {
            kernel: "6.1".to_owned(),
            cpu: "A CPU".to_owned(),
            cores: 2,
            rustc: String::new(),
            counters: None,
            max_files: 1024,
            notes: Vec::new(),
        };
        let date = "2026-01-31".to_owned();
        Results { date, machine, servers: Vec::new(), workloads: vec![idle, echo] }
    }

    #[test]
    fn a_line_holds_a_cost_and_ratios() {
        let text = table(&results());
        let head = "Medians of 2 interleaved rounds, A CPU, 2 cores, Linux 6.1, 2026-01-31:\n\n| |";
        assert!(text.starts_with(&format!("{head} corecast |")), "{text}");
        let echo = "| echo, 20 B, 100 connections | 3.50 us |  | x 2.2 |  |  |  |\n";
        let idle = "| user memory of an idle connection | 900 B |  |  | x 110 |  |  |\n";
        assert!(text.ends_with(&format!("{echo}{idle}")), "{text}");
    }

    #[test]
    fn a_new_table_takes_the_place_of_the_old_one() {
        let text = format!("a\n{BEGIN}\nold\n{END}\nb\n");
        let once = replaced(&text, "| new |\n").unwrap();
        assert_eq!(once, format!("a\n{BEGIN}\n| new |\n{END}\nb\n"));
        assert_eq!(replaced(&once, "| new |\n").unwrap(), once);
        assert_eq!(replaced("a\nb\n", "x"), None);
        assert_eq!(replaced(&format!("{END}\n{BEGIN}\n"), "x"), None);
    }
}
