//! Results as Markdown tables.

use super::stats::{Spread, instructions};
use crate::results::{Results, Round, Row, Workload};

/// A column; it is left out if all its cells are empty.
struct Column {
    head: String,
    cells: Vec<Option<String>>,
}

/// The text above all tables.
pub(crate) fn head(results: &Results) -> String {
    let machine = &results.machine;
    let servers: Vec<String> = results
        .servers
        .iter()
        .map(|server| format!("{} {}", server.name, server.version).trim().to_owned())
        .collect();
    let mut text = format!(
        "{}. Linux {}, {}, {} cores, {}; {} open files at most.\nServers: {}.\n",
        results.date,
        machine.kernel,
        machine.cpu,
        machine.cores,
        if machine.rustc.is_empty() { "rustc unknown" } else { &machine.rustc },
        machine.max_files,
        servers.join(", "),
    );
    if let Some(reason) = &machine.counters {
        text += &format!("Instructions and cycles are not counted by this hardware ({reason}).\n");
    }
    for note in &machine.notes {
        text += &format!("Note: {note}.\n");
    }
    text
}

/// One workload. Ratios are to the row of corecast, or to the first.
pub(crate) fn workload(workload: &Workload) -> String {
    let rows = &workload.rows;
    let base = rows.iter().find(|row| row.server == "corecast").or(rows.first());
    let Some(base) = base else { return String::new() };
    let columns = columns(workload, base);
    let kept: Vec<&Column> =
        columns.iter().filter(|column| column.cells.iter().any(Option::is_some)).collect();
    let mut text = format!("\n## {}\n\n{}\n\n| server |", workload.name, workload.title);
    for column in &kept {
        text += &format!(" {} |", column.head);
    }
    text += &format!("\n|---|{}\n", "---:|".repeat(kept.len()));
    for (at, row) in rows.iter().enumerate() {
        text += &format!("| {} |", row.server);
        for (i, column) in kept.iter().enumerate() {
            let failed = row.failed.is_some() && i == 0;
            let empty = if failed { "failed" } else { "-" };
            text += &format!(" {} |", column.cells[at].as_deref().unwrap_or(empty));
        }
        text += "\n";
    }
    for row in rows {
        if let Some(reason) = &row.failed {
            text += &format!("\n{} failed: {reason}\n", row.server);
        }
    }
    text
}

/// Computes the cell of a row.
type Cell<'a> = Box<dyn Fn(&Row) -> Option<String> + 'a>;

fn columns(workload: &Workload, base: &Row) -> Vec<Column> {
    let memory = workload.rows.iter().flat_map(|row| &row.rounds).any(|r| r.memory.is_some());
    let latency = workload.name.starts_with("latency");
    let columns = match (memory, latency) {
        (true, _) => of_memory(base),
        (_, true) => of_latency(base),
        _ => of_cost(&workload.unit, base),
    };
    columns
        .into_iter()
        .map(|(head, cell)| Column { head, cells: workload.rows.iter().map(cell).collect() })
        .collect()
}

fn head_of_ratio(what: &str, base: &Row) -> String {
    format!("{what} x {} (min..max)", base.server)
}

fn of_cost<'a>(unit: &str, base: &'a Row) -> Vec<(String, Cell<'a>)> {
    let each = |what: &str| format!("{what}/{unit}");
    vec![
        (each("user instr"), middle(|r| r.user_instructions)),
        (each("kernel instr"), middle(|r| r.kernel_instructions)),
        (head_of_ratio("instr", base), ratio(base, instructions)),
        (
            "user instr, stepped".to_owned(),
            Box::new(|row| Some(number(row.stepped?.user_instructions))),
        ),
        (each("cycles"), middle(|r| r.cycles)),
        (each("CPU ns"), middle(cpu)),
        (head_of_ratio("CPU", base), ratio(base, cpu)),
        ("user share".to_owned(), Box::new(user_share)),
        (each("syscalls"), middle(|r| r.syscalls)),
        (each("switches"), middle(|r| r.switches)),
        (format!("{}/s", plural(unit)), middle(|r| Some(r.per_second))),
        ("busy".to_owned(), Box::new(busy)),
    ]
}

fn of_latency(base: &Row) -> Vec<(String, Cell<'_>)> {
    vec![
        ("p50 us".to_owned(), spread(|r| Some(r.latency?.p50))),
        ("p99 us (min..max)".to_owned(), spread(|r| Some(r.latency?.p99))),
        (head_of_ratio("p99", base), ratio(base, |r| Some(r.latency?.p99))),
        ("p99.9 us (min..max)".to_owned(), spread(|r| Some(r.latency?.p999))),
        (head_of_ratio("p99.9", base), ratio(base, |r| Some(r.latency?.p999))),
        ("max us".to_owned(), middle(|r| Some(r.latency?.max))),
        ("user instr/echo".to_owned(), middle(|r| r.user_instructions)),
        ("kernel instr/echo".to_owned(), middle(|r| r.kernel_instructions)),
        ("CPU ns/echo".to_owned(), middle(cpu)),
        (head_of_ratio("CPU", base), ratio(base, cpu)),
        ("syscalls/echo".to_owned(), middle(|r| r.syscalls)),
        ("switches/echo".to_owned(), middle(|r| r.switches)),
        ("echoes/s".to_owned(), middle(|r| Some(r.per_second))),
        ("busy".to_owned(), Box::new(busy)),
    ]
}

fn of_memory(base: &Row) -> Vec<(String, Cell<'_>)> {
    let user = |r: &Round| Some(r.memory?.user);
    vec![
        ("user B/connection".to_owned(), middle(user)),
        (head_of_ratio("user B", base), ratio(base, user)),
        ("kernel B/connection, both ends".to_owned(), middle(|r| Some(r.memory?.kernel))),
        ("connections".to_owned(), middle(|r| Some(r.memory?.connections as f64))),
        ("ms until a message reached all".to_owned(), middle(|r| r.memory?.broadcast_ms)),
    ]
}

fn plural(unit: &str) -> String {
    match unit {
        "echo" => "echoes".to_owned(),
        "delivery" => "deliveries".to_owned(),
        _ => format!("{unit}s"),
    }
}

fn cpu(round: &Round) -> Option<f64> {
    Some(round.cpu_ns)
}

/// The median of the rounds.
fn middle(value: impl Fn(&Round) -> Option<f64> + 'static) -> Cell<'static> {
    Box::new(move |row| Some(number(Spread::over(&row.rounds, &value)?.median)))
}

/// The same with the lowest and the highest round.
fn spread(value: impl Fn(&Round) -> Option<f64> + 'static) -> Cell<'static> {
    Box::new(move |row| {
        let Spread { median, low, high } = Spread::over(&row.rounds, &value)?;
        Some(format!("{} ({}..{})", number(median), number(low), number(high)))
    })
}

fn ratio<'a>(base: &'a Row, value: impl Fn(&Round) -> Option<f64> + 'static) -> Cell<'a> {
    Box::new(move |row| {
        let Spread { median, low, high } = Spread::ratio(&row.rounds, &base.rounds, &value)?;
        Some(format!("{median:.2} ({low:.2}..{high:.2})"))
    })
}

/// Over all rounds together, because a single round has too few clock ticks.
fn user_share(row: &Row) -> Option<String> {
    let time = |r: &Round| r.cpu_ns * r.messages as f64;
    let all: f64 = row.rounds.iter().map(time).sum();
    let user: f64 = row.rounds.iter().map(|r| time(r) * r.user_share).sum();
    (all > 0.0).then(|| format!("{:.0} %", 100.0 * user / all))
}

fn busy(row: &Row) -> Option<String> {
    let busy = Spread::over(&row.rounds, |r| Some(r.busy))?.median;
    Some(format!("{:.0} %", 100.0 * busy))
}

/// At least three significant digits.
fn number(n: f64) -> String {
    match n.abs() {
        n_abs if n_abs >= 100.0 => format!("{n:.0}"),
        n_abs if n_abs >= 10.0 => format!("{n:.1}"),
        n_abs if n_abs >= 1.0 => format!("{n:.2}"),
        _ => format!("{n:.3}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::{Latency, Machine, Memory, Server, Stepped};

    fn row(server: &str, cpu: &[f64]) -> Row {
        let round = |cpu_ns: &f64| Round {
            messages: 10,
            per_second: 1e9 / cpu_ns,
            cpu_ns: *cpu_ns,
            user_share: 0.25,
            busy: 1.0,
            ..Round::default()
        };
        let rounds = cpu.iter().map(round).collect();
        Row { server: server.to_owned(), failed: None, rounds, stepped: None }
    }

    fn job(name: &str, unit: &str, rows: Vec<Row>) -> Workload {
        let (name, unit) = (name.to_owned(), unit.to_owned());
        Workload { name, title: "A title".to_owned(), unit, rows }
    }

    #[test]
    fn empty_columns_are_left_out_and_failures_named() {
        let mut first = row("corecast", &[100.0, 200.0]);
        first.stepped = Some(Stepped { user_instructions: 345.6, syscalls: 0.1, messages: 9 });
        let mut last = row("other", &[]);
        last.failed = Some("no topics".to_owned());
        let text = workload(&job("x", "delivery", vec![first, row("b", &[110.0, 260.0]), last]));
        let expected = "
## x

A title

| server | user instr, stepped | CPU ns/delivery | CPU x corecast (min..max) | user share | \
deliveries/s | busy |
|---|---:|---:|---:|---:|---:|---:|
| corecast | 346 | 150 | 1.00 (1.00..1.00) | 25 % | 7500000 | 100 % |
| b | - | 185 | 1.20 (1.10..1.30) | 25 % | 6468531 | 100 % |
| other | failed | - | - | - | - | - |

other failed: no topics
";
        assert_eq!(text, expected);
    }

    #[test]
    fn instructions_are_compared_where_they_are_counted() {
        let counted = |server: &str, user| {
            let mut row = row(server, &[100.0]);
            row.rounds[0].user_instructions = Some(user);
            row.rounds[0].kernel_instructions = Some(900.0);
            row
        };
        let text =
            workload(&job("x", "echo", vec![counted("corecast", 100.0), counted("b", 600.0)]));
        assert!(
            text.contains("| user instr/echo | kernel instr/echo | instr x corecast"),
            "{text}"
        );
        assert!(text.contains("| b | 600 | 900 | 1.50 (1.50..1.50) |"), "{text}");
    }

    #[test]
    fn memory_and_latency_have_tables_of_their_own() {
        let mut idle = row("corecast", &[100.0]);
        let memory = Memory { user: 180.0, kernel: 9000.0, connections: 9000, broadcast_ms: None };
        idle.rounds[0].memory = Some(memory);
        let text = workload(&job("idle", "connection", vec![idle]));
        assert!(text.contains("| corecast | 180 | 1.00 (1.00..1.00) | 9000 | 9000 |"), "{text}");
        let mut open = row("corecast", &[100.0, 100.0]);
        for (round, p99) in open.rounds.iter_mut().zip([30.0, 50.0]) {
            let (p50, p90, p999, max) = (10.0, 20.0, 200.0, 300.0);
            round.latency = Some(Latency { p50, p90, p99, p999, max });
        }
        let text = workload(&job("latency-125", "echo", vec![open]));
        assert!(
            text.contains("| 40.0 (30.0..50.0) | 1.00 (1.00..1.00) | 200 (200..200) |"),
            "{text}"
        );
    }

    #[test]
    fn the_head_lists_missing_servers() {
        let machine = Machine {
            kernel: "6.1".to_owned(),
            cpu: "A CPU".to_owned(),
            cores: 2,
            rustc: "rustc 1.91.0".to_owned(),
            counters: Some("not supported".to_owned()),
            max_files: 1024,
            notes: vec!["uws is not built and left out".to_owned()],
        };
        let servers = vec![Server { name: "corecast".to_owned(), version: "0.1.0".to_owned() }];
        let date = "2026-01-31".to_owned();
        let text = head(&Results { date, machine, servers, workloads: Vec::new() });
        let expected = "2026-01-31. Linux 6.1, A CPU, 2 cores, rustc 1.91.0; 1024 open files at \
            most.\nServers: corecast 0.1.0.\nInstructions and cycles are not counted by this \
            hardware (not supported).\nNote: uws is not built and left out.\n";
        assert_eq!(text, expected);
    }
}
