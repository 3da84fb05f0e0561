//! The figures as Markdown tables.

use std::fmt::Write;

use super::input::{Kind, Servers, missing, named, title};
use super::stats::{Cost, Spread, count_of, measured};
use super::text::{grouped, markdown, short};
use crate::results::{Latency, Memory, Results, Round, Row, Workload};

/// A column of a table: its heading, and its cell for a row and the reference row.
type Column = (&'static str, fn(&Row, Option<&Row>) -> Option<String>);

const COLUMNS: [Column; 14] = [
    ("instructions user", |row, _| middle(row, |r| r.user_instructions)),
    ("instructions kernel", |row, _| middle(row, |r| r.kernel_instructions)),
    ("user + kernel in relation", |row, base| ratios(row, base?, Cost::Instructions)),
    ("CPU ns", |row, _| middle(row, |r| Some(r.cpu_ns))),
    ("CPU in relation", |row, base| ratios(row, base?, Cost::CpuTime)),
    ("of it user", |row, _| percent(row, |r| r.user_share)),
    ("cycles", |row, _| middle(row, |r| r.cycles)),
    ("system calls", |row, _| middle(row, |r| r.syscalls)),
    ("switches", |row, _| middle(row, |r| r.switches)),
    ("per second", |row, _| {
        Spread::of_rounds(row, |r| Some(r.per_second)).map(|spread| ranged(spread, grouped))
    }),
    ("busy", |row, _| percent(row, |r| r.busy)),
    ("rounds", |row, _| (!row.rounds.is_empty()).then(|| row.rounds.len().to_string())),
    ("stepped: user instructions", |row, _| row.stepped.map(|s| short(s.user_instructions))),
    ("stepped: system calls", |row, _| row.stepped.map(|s| short(s.syscalls))),
];

const LATENCY: [Column; 5] = [
    ("p50 µs", |row, _| latency(row, |l| l.p50)),
    ("p90 µs", |row, _| latency(row, |l| l.p90)),
    ("p99 µs", |row, _| latency(row, |l| l.p99)),
    ("p99.9 µs", |row, _| latency(row, |l| l.p999)),
    ("max µs", |row, _| latency(row, |l| l.max)),
];

const MEMORY: [Column; 4] = [
    ("user B", |row, _| memory(row, |m| Some(m.user))),
    ("kernel B, both ends", |row, _| memory(row, |m| Some(m.kernel))),
    ("connections", |row, _| {
        let held = row.rounds.iter().filter_map(|round| round.memory).map(|m| m.connections);
        held.min().map(|held| grouped(held as f64))
    }),
    ("broadcast to all ms", |row, _| memory(row, |m| m.broadcast_ms)),
];

fn middle(row: &Row, value: fn(&Round) -> Option<f64>) -> Option<String> {
    Spread::of_rounds(row, value).map(|spread| ranged(spread, short))
}

fn percent(row: &Row, value: fn(&Round) -> f64) -> Option<String> {
    let spread = Spread::of_rounds(row, |round| Some(value(round)))?;
    Some(format!("{:.0} %", 100.0 * spread.median))
}

fn ratios(row: &Row, base: &Row, cost: Cost) -> Option<String> {
    let spread = Spread::of_ratios(row, base, |round| cost.of(round))?;
    Some(ranged(spread, |value| if value < 9.995 { format!("{value:.3}") } else { short(value) }))
}

fn latency(row: &Row, value: fn(&Latency) -> f64) -> Option<String> {
    let spread = Spread::of_rounds(row, |round| round.latency.as_ref().map(value))?;
    Some(ranged(spread, short))
}

fn memory(row: &Row, value: fn(&Memory) -> Option<f64>) -> Option<String> {
    let spread = Spread::of_rounds(row, |round| round.memory.as_ref().and_then(value))?;
    Some(ranged(spread, short))
}

/// The median, and the range if there is one.
fn ranged(spread: Spread, text: impl Fn(f64) -> String) -> String {
    let [low, middle, high] = [spread.low, spread.median, spread.high].map(text);
    if low == high { middle } else { format!("{middle} ({low}..{high})") }
}

/// All tables, with the required remarks.
pub(super) fn readme(results: &Results, charts: &[&str]) -> String {
    let servers = Servers::of(results);
    let mut out = String::from("# Results\n\n");
    out += "Written by `perf/report`; do not edit. `perf/compare` makes new results.\n\n";
    machine(&mut out, results);
    for chart in charts {
        let name = chart.trim_end_matches(".svg");
        let _ = writeln!(out, "![{name}]({chart})\n");
    }
    let _ = writeln!(
        out,
        "## Tables\n\nAll figures but rates, latencies and memory are for one message, and belong \
         to the server alone. Each is the median over the rounds, with the smallest and the \
         largest in brackets if they differ; of shares only the median. \"In relation\" compares \
         with {}: ratios are taken within each round, so that common slowdowns cancel out.\n",
        markdown(servers.base())
    );
    for workload in &results.workloads {
        tables(&mut out, &servers, workload);
    }
    failures(&mut out, results);
    out + EXPLANATION
}

const EXPLANATION: &str = "## The JSON

`results.json` holds every round:

- `date`, `machine`: the day and the machine of the run. `counters` is the reason why there are no
  instruction counters, or null if there are; `max_files` is the hard limit of open files; `notes`
  are remarks about the figures.
- `servers`: names and versions, the reference of the comparison first.
- `workloads`: `unit` is the unit of a message: an echo, a delivery to one subscriber, or a
  connection accepted, upgraded and closed. `rows` has one entry for each server: `failed` is the
  reason if it could not be measured; `rounds` are its runs; the n-th runs of all servers were made
  together.
- a round: `messages` counted, `per_second`, `cpu_ns` (CPU time of all threads of the server for a
  message), `user_share` (the part of it in user mode, by clock ticks, which is coarse), `busy` (CPU
  time divided by the elapsed time), `user_instructions`, `kernel_instructions`, `cycles`,
  `syscalls` and `switches` for a message (null without counters), `latency` in microseconds, and
  `memory` in bytes for an idle connection: `user` is the growth of the server's resident size,
  `kernel` that of the kernel's memory for both ends, `broadcast_ms` the time until a message had
  reached all `connections`.
- `stepped`: user instructions and system calls for a message, counted by stepping the server
  through this number of `messages` one instruction at a time, once.
";

fn machine(out: &mut String, results: &Results) {
    let machine = &results.machine;
    let counters = match &machine.counters {
        Some(reason) => format!("none: {}", markdown(reason)),
        None => "yes".to_owned(),
    };
    let facts = [
        ("Date", markdown(&results.date)),
        ("Kernel", markdown(&named("Linux", &machine.kernel))),
        ("CPU", format!("{}, {} cores", markdown(&machine.cpu), machine.cores)),
        ("Placement", "server on core 0, load on core 1, loopback, rounds interleaved".into()),
        ("Compiler", markdown(&named("rustc", &machine.rustc))),
        ("Instruction counters", counters),
        ("Open files at most", grouped(machine.max_files as f64)),
    ];
    *out += "| | |\n|---|---|\n";
    for (name, fact) in facts {
        let _ = writeln!(out, "| {name} | {fact} |");
    }
    *out += "\n| server | version |\n|---|---|\n";
    for server in &results.servers {
        let version = if server.version.is_empty() { "unknown" } else { &server.version };
        let _ = writeln!(out, "| {} | {} |", markdown(&server.name), markdown(version));
    }
    out.push('\n');
    for note in &machine.notes {
        let _ = writeln!(out, "- {}", markdown(note));
    }
    if !machine.notes.is_empty() {
        out.push('\n');
    }
}

fn tables(out: &mut String, servers: &Servers, workload: &Workload) {
    let idle = Kind::of(workload) == Kind::Idle;
    let per_message = format!("One message is one {}.", markdown(&workload.unit));
    let per_connection = "Memory is for each connection.";
    let _ = writeln!(
        out,
        "### {}\n\n{}. {}\n",
        markdown(&workload.name),
        markdown(title(workload).trim_end_matches('.')),
        if idle { per_connection } else { &per_message }
    );
    let rows = servers.sorted(workload);
    let counts = rows.first().copied().filter(|row| count_of(row).is_some());
    if counts.is_some() {
        let name = markdown(servers.base());
        let _ = writeln!(out, "All rows are {name}; they are compared with the first.\n");
    }
    let base = measured(workload, servers.base()).or(counts.filter(|row| row.failed.is_none()));
    // Connections without messages have no cost for a message.
    let tables: &[&[Column]] = if idle { &[&MEMORY] } else { &[&COLUMNS, &LATENCY] };
    for columns in tables {
        table(out, columns, &rows, base);
    }
}

/// Columns without any cell are left out, and so is a table without columns.
fn table(out: &mut String, columns: &[Column], rows: &[&Row], base: Option<&Row>) {
    let cell = |(_, cell): &Column, row: &Row| cell(row, base.filter(|_| row.failed.is_none()));
    let any = |column: &&Column| rows.iter().any(|row| cell(column, row).is_some());
    let columns: Vec<&Column> = columns.iter().filter(any).collect();
    if columns.is_empty() {
        return;
    }
    let names: Vec<&str> = columns.iter().map(|(name, _)| *name).collect();
    let _ = writeln!(out, "| server | {} |", names.join(" | "));
    let _ = writeln!(out, "|---|{}", "---:|".repeat(columns.len()));
    for row in rows {
        let cells = columns.iter().map(|column| cell(column, row).unwrap_or_else(|| "-".into()));
        let cells: Vec<String> = cells.collect();
        let failed = if row.failed.is_some() { " (failed)" } else { "" };
        let _ = writeln!(out, "| {}{failed} | {} |", markdown(&row.server), cells.join(" | "));
    }
    out.push('\n');
}

/// Everything without figures, with the reason.
fn failures(out: &mut String, results: &Results) {
    let mut lines = String::new();
    for workload in &results.workloads {
        for row in &workload.rows {
            if row.failed.is_some() || (row.rounds.is_empty() && row.stepped.is_none()) {
                let _ = writeln!(
                    lines,
                    "- {}, {}: {}",
                    markdown(&workload.name),
                    markdown(&row.server),
                    markdown(&missing(row))
                );
            }
        }
    }
    if !lines.is_empty() {
        let _ = writeln!(out, "## Not measured\n\n{lines}");
    }
}
