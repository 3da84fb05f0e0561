//! The table of all runs, in Markdown.

use std::time::Duration;

use crate::run::Outcome;
use crate::script::Workload;
use crate::series::Series;
use crate::verdict;

/// The head of the table. All times are in milliseconds: `p99 / longest` of each kind without the
/// attack and with it, the longest handshake, the longest wait that the server had no part in, and
/// the processor time that the machine below took from both cores. Memory is resident memory: its
/// peak beside what the limits of the server allow, and a second after the attackers have left,
/// when the allocator still keeps some of what is freed.
pub(crate) const HEAD: &str = "\
| workload | fault | echo quiet | echo | topic quiet | topic | push | 101 longest | late / stolen \
| peak / limit MiB | after MiB | sent MB | CPU s/MB | verdict |\n\
|---|---|---|---|---|---|---|---|---|---|---|---|---|---|";

fn ms(wait: Duration) -> String {
    let ms = wait.as_secs_f64() * 1e3;
    if ms < 10.0 { format!("{ms:.1}") } else { format!("{ms:.0}") }
}

fn quiet(series: &Series) -> String {
    format!("{} / {}", ms(series.quiet.counted.p99()), ms(series.quiet.counted.longest()))
}

fn attacked(series: &Series) -> String {
    format!("{} / {}", ms(series.attack.counted.p99()), ms(series.attack.counted.longest()))
}

/// Processor seconds of the server for each megabyte that the attackers sent.
pub(crate) fn cpu_for_megabyte(outcome: &Outcome) -> f64 {
    let megabytes = outcome.report.sent as f64 / 1e6;
    outcome.cpu.as_secs_f64() / megabytes.max(1e-3)
}

/// The row of one run.
pub(crate) fn row(workload: &Workload, outcome: &Outcome) -> String {
    let measured = &outcome.measured;
    let faults = verdict::faults(workload, outcome);
    let over = if verdict::is_disturbed(outcome) { "over (disturbed)" } else { "over" };
    let verdict = match faults.is_empty() {
        true if measured.refused > 0 => format!("holds, 503 to {}", measured.refused),
        true => "holds".to_owned(),
        false => format!("{over}: {}", faults.join(", ")),
    };
    let sent = outcome.report.sent as f64 / 1e6;
    format!(
        "| {} | {} | {} | {} | {} | {} | {} | {} | {} / {} | {} / {} | {} | {sent:.1} | {:.4} \
         | {verdict} |",
        workload.name,
        workload.fault,
        quiet(&measured.echo),
        attacked(&measured.echo),
        quiet(&measured.topic),
        attacked(&measured.topic),
        attacked(&measured.push),
        ms(measured.handshake.longest()),
        ms(measured.control.longest()),
        outcome.stolen.as_millis(),
        outcome.peak >> 20,
        outcome.limit >> 20,
        outcome.after >> 20,
        cpu_for_megabyte(outcome),
    )
}
