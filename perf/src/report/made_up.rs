//! Invented results that cover all special cases of charts and tables.

use crate::results::{Latency, Machine, Memory, Results, Round, Row, Server, Stepped, Workload};

/// Servers with their costs relative to the first.
const SERVERS: [(&str, &str, f64); 7] = [
    ("corecast", "0.1.0", 1.0),
    ("fastwebsockets", "0.10.0", 1.31),
    ("tokio-websockets", "0.13.3", 1.12),
    ("tokio-tungstenite", "0.30.0", 1.62),
    ("sockudo-ws", "3.1.0", 1.22),
    ("tokio-uring", "0.5.0", 1.42),
    ("raw TCP", "", 0.93),
];

fn row(server: usize, cost: f64, rounds: usize, fill: impl Fn(&mut Round, f64)) -> Row {
    let (name, _, factor) = SERVERS[server];
    let rounds = (0..rounds).map(|index| {
        let noise = 1.0 + 0.02 * (((index * 7 + server * 3) % 5) as f64 - 2.0);
        let cpu_ns = cost * factor * noise;
        let mut round = Round {
            messages: 1_000_000,
            per_second: if cpu_ns > 0.0 { 1e9 / cpu_ns } else { 0.0 },
            cpu_ns,
            user_share: 0.12,
            busy: 0.99,
            ..Round::default()
        };
        fill(&mut round, factor * noise);
        round
    });
    Row { server: name.into(), failed: None, rounds: rounds.collect(), stepped: None }
}

fn workload(name: &str, title: &str, unit: &str, rows: Vec<Row>) -> Workload {
    Workload { name: name.into(), title: title.into(), unit: unit.into(), rows }
}

fn all(cost: f64, spread: f64, fill: impl Fn(&mut Round, f64) + Copy) -> Vec<Row> {
    let row = |server: usize| {
        let mut row = row(server, cost, 5, fill);
        for round in &mut row.rounds {
            round.cpu_ns *= if server == 0 { 1.0 } else { spread };
        }
        let user_instructions = 240.0 * SERVERS[server].2.powi(6);
        row.stepped = Some(Stepped { user_instructions, syscalls: 2.5, messages: 2000 });
        row
    };
    (0..SERVERS.len()).map(row).collect()
}

fn echoes() -> Vec<Workload> {
    let plain = |_: &mut Round, _: f64| {};
    let mut deflate = all(4100.0, 1.3, plain);
    deflate[1].failed = Some("fastwebsockets knows no permessage-deflate".into());
    deflate[1].rounds.clear();
    deflate[1].stepped = None;
    let mut single = all(190_000.0, 2.0, plain);
    single.iter_mut().for_each(|row| row.rounds.truncate(1));
    vec![
        workload("echo-20", "20 B binary, 100 connections", "echo", all(2600.0, 1.0, plain)),
        workload(
            "echo-20-d16",
            "20 B binary, 100 connections, 16 in flight",
            "echo",
            all(180.0, 12.0, plain),
        ),
        workload("korean-1m", "1 MiB Korean text, 4 connections", "echo", single),
        workload("deflate-1k", "1 KiB JSON, deflated, 100 connections", "echo", deflate),
    ]
}

fn growth() -> Vec<Workload> {
    let steps = [("echo", 10), ("echo", 100), ("echo", 1000), ("fanout", 100), ("fanout", 10_000)];
    let step = |(name, number): (&str, u32)| {
        let grown = 1.0 + 0.03 * f64::from(number).log10();
        let mut rows = all(2000.0 * grown, 1.0, |_, _| {});
        for (index, row) in rows.iter_mut().enumerate() {
            let more = 1.0 + 0.02 * index as f64 * f64::from(number).log10();
            row.rounds.iter_mut().for_each(|round| round.cpu_ns *= more);
        }
        let unit = if name == "echo" { "echo" } else { "delivery" };
        workload(&format!("growth-{name}-{number}"), &format!("{number} of them"), unit, rows)
    };
    let mut workloads: Vec<Workload> = steps.into_iter().map(step).collect();
    workloads.push(workload("growth-rows", "125 B", "echo", rows_of_numbers()));
    workloads
}

/// One server, a row for each number of connections.
fn rows_of_numbers() -> Vec<Row> {
    let one = |number: u32| {
        let cost = 2000.0 + 20.0 * f64::from(number).log10();
        Row { server: number.to_string(), ..row(0, cost, 5, |_, _| {}) }
    };
    [10, 100, 1000, 10_000].into_iter().map(one).collect()
}

/// A comparison without instruction counters.
pub(super) fn results() -> Results {
    let plain = |_: &mut Round, _: f64| {};
    let latency = |round: &mut Round, factor: f64| {
        let (p50, max) = (18.0 * factor, 900.0 * factor);
        let (p90, p99, p999) = (p50 * 1.6, p50 * 2.5, p50 * 9.0);
        round.latency = Some(Latency { p50, p90, p99, p999, max });
    };
    let memory = |round: &mut Round, factor: f64| {
        let user = 120.0 * factor.powi(14);
        let broadcast_ms = Some(30.0 * factor);
        round.memory = Some(Memory { user, kernel: 9100.0, connections: 9000, broadcast_ms });
    };
    let mut fanout = all(900.0, 1.4, plain);
    fanout.truncate(2);
    let mut workloads = echoes();
    workloads.extend([
        workload("fanout-b1", "1,000 subscribers, 64 B, bursts of 1", "delivery", fanout),
        workload("handshakes", "connect, upgrade, close", "connection", all(41e3, 1.1, plain)),
        workload(
            "latency-half",
            "125 B, 100 connections, half of the saturation rate",
            "echo",
            all(3000.0, 1.0, latency),
        ),
        workload("idle", "9,000 idle connections", "connection", all(0.0, 1.0, memory)),
    ]);
    workloads.extend(growth());
    Results {
        date: "2026-01-31".into(),
        machine: Machine {
            kernel: "6.18.44".into(),
            cpu: "Imaginary 9000 @ 3.00GHz".into(),
            cores: 2,
            rustc: "1.95.0".into(),
            counters: Some("perf: cycles are not supported here".into()),
            max_files: 20_000,
            notes: vec!["Fewer idle connections than wished, for want of descriptors.".into()],
        },
        servers: SERVERS
            .iter()
            .map(|(name, version, _)| Server { name: (*name).into(), version: (*version).into() })
            .collect(),
        workloads,
    }
}

/// The same with counters.
pub(super) fn counted() -> Results {
    let mut results = results();
    results.machine.counters = None;
    let rows = results.workloads.iter_mut().flat_map(|workload| &mut workload.rows);
    for round in rows.flat_map(|row| &mut row.rounds) {
        round.user_instructions = Some(round.cpu_ns * 0.3 + 1.0);
        round.kernel_instructions = Some(round.cpu_ns * 4.0 + 1.0);
        round.cycles = Some(round.cpu_ns * 3.0);
        round.syscalls = Some(0.31);
        round.switches = Some(0.002);
    }
    results
}

/// Names with markup characters, failures everywhere, and very different figures.
pub(super) fn hostile() -> Results {
    let mut results = results();
    let name = "a <server> & its \"very\" long name | with a bar, made to need more room than is";
    results.servers[1].name = name.into();
    results.servers[1].version = "<&>".repeat(60);
    results.machine.cpu = "CPU & <co> ".repeat(20);
    results.machine.notes = vec!["a note <b> & more\n".repeat(40)];
    for workload in &mut results.workloads {
        workload.title = format!("{} <&> ]]> {}", workload.title, "and more ".repeat(30));
        for row in &mut workload.rows {
            match row.server.as_str() {
                "fastwebsockets" => {
                    row.server = name.into();
                    for round in &mut row.rounds {
                        round.cpu_ns *= 1e9;
                        round.latency = round.latency.map(|l| Latency { p999: l.p999 * 1e9, ..l });
                    }
                }
                "tokio-websockets" => {
                    row.failed = Some("it said: <error> & \u{1} \n ended ".repeat(20));
                    row.rounds.clear();
                    row.stepped = None;
                }
                "tokio-uring" => row.rounds.iter_mut().for_each(|round| {
                    round.cpu_ns = 0.0;
                    round.latency = round.latency.map(|_| Latency::default());
                    round.memory = round.memory.map(|m| Memory { user: -50.0, ..m });
                }),
                "raw TCP" => row.rounds.iter_mut().for_each(|round| {
                    round.cpu_ns /= 1e9;
                    round.memory = None;
                }),
                _ => {}
            }
        }
    }
    results
}

/// Only one server, one round, nothing to compare with.
pub(super) fn lonely() -> Results {
    let mut results = results();
    for workload in &mut results.workloads {
        workload.rows.drain(1..);
        workload.rows[0].rounds.truncate(1);
    }
    results
}

/// The reference server failed everywhere.
pub(super) fn without_base() -> Results {
    let mut results = results();
    for workload in &mut results.workloads {
        workload.rows[0].failed = Some("it did not start".into());
        workload.rows[0].rounds.clear();
    }
    results
}
