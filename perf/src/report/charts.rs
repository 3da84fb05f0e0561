//! The assignment of figures to charts.

use super::bars::{self, Group, Scale};
use super::input::{Input, Kind, Servers, missing};
use super::stats::{Cost, Spread, measured};
use super::svg::Frame;
use super::{dots, lines, text};
use crate::results::{Results, Row};

/// A formatted cost.
fn amount(cost: Cost, value: f64) -> String {
    match cost {
        Cost::Instructions => format!("{} instr.", text::count(value)),
        Cost::CpuTime => text::time(value),
    }
}

/// The values of bars as text.
fn spoken(groups: &[Group]) -> String {
    let groups = groups.iter().map(|group| {
        let bars = group.bars.iter().map(|bar| match &bar.figure {
            Ok((label, _)) => format!("{} {label}", bar.name),
            Err(reason) => format!("{} {reason}", bar.name),
        });
        format!("{}: {}.", group.title, bars.collect::<Vec<_>>().join("; "))
    });
    groups.collect::<Vec<_>>().join(" ")
}

/// The file names of all charts with their content; `None` if there is nothing to draw.
pub(super) fn all(results: &Results) -> Vec<(&'static str, Option<String>)> {
    let servers = Servers::of(results);
    let input = |kinds: &[Kind]| Input::new(results, &servers, kinds);
    let costs = |kind, title| relative(&input(&[kind]), kind, title);
    vec![
        ("echo.svg", costs(Kind::Echo, "Echo: what one message costs")),
        ("fanout.svg", costs(Kind::Fanout, "Fan-out: what one delivery costs")),
        ("handshakes.svg", costs(Kind::Handshakes, "Handshakes: what one connection costs")),
        ("latency.svg", dots::latency(&input(&[Kind::Latency]))),
        ("memory.svg", memory(&input(&[Kind::Idle]))),
        ("growth.svg", lines::growth(&input(&[Kind::Growth]))),
        ("user.svg", user(&input(&[Kind::Echo, Kind::Fanout, Kind::Handshakes, Kind::Other]))),
    ]
}

/// Bars of costs as ratios to the first server.
fn relative(input: &Input<'_>, kind: Kind, title: &str) -> Option<String> {
    let cost = Cost::best(&input.workloads);
    let base = input.servers.base();
    let groups = input.groups(|workload, row| {
        let value = |row: &Row| Spread::of_rounds(row, |round| cost.of(round));
        let Some(own) = value(row).filter(|_| row.failed.is_none()) else {
            return Err(missing(row));
        };
        let own = amount(cost, own.median);
        let ratio = measured(workload, base)
            .and_then(|base| Spread::of_ratios(row, base, |round| cost.of(round)));
        match ratio {
            Some(ratio) => Ok((format!("{} · {own}", text::ratio(ratio.median)), ratio)),
            None => Err(format!("{own}; no ratio, for {base} has no figure")),
        }
    });
    let what = match cost {
        Cost::Instructions => "Instructions of the server, user and kernel,",
        Cost::CpuTime => "CPU time of the server, user and kernel,",
    };
    let frame = Frame {
        title: format!("{title}, by {}", cost.name()),
        subtitle: format!(
            "{} {what} for each message in relation to {base}, and at the end of the bar the \
             absolute value. Shorter is better.",
            kind.message()
        ),
        description: spoken(&groups),
        footer: input.footer(&input.method("median and range of the ratios round by round")),
    };
    bars::draw(frame, Scale::Ratio, &groups)
}

fn memory(input: &Input<'_>) -> Option<String> {
    let groups = input.groups(|_, row| {
        let user = Spread::of_rounds(row, |round| round.memory.map(|memory| memory.user));
        let kernel = Spread::of_rounds(row, |round| round.memory.map(|memory| memory.kernel));
        let Some((user, kernel)) = user.zip(kernel).filter(|_| row.failed.is_none()) else {
            return Err(missing(row));
        };
        let kernel = text::bytes(kernel.median);
        Ok((format!("{} · kernel {kernel}", text::bytes(user.median)), user))
    });
    let frame = Frame {
        title: "Idle connections: memory for each".to_owned(),
        subtitle: "Bars: growth of the server's resident memory for each idle connection. Kernel: \
                   what the kernel holds for both ends of it. Shorter is better."
            .to_owned(),
        description: spoken(&groups),
        footer: input.footer(&input.method("median and range")),
    };
    bars::draw(frame, Scale::Bytes, &groups)
}

/// User instructions of each message, which can be counted without hardware counters as well.
fn user(input: &Input<'_>) -> Option<String> {
    let counters = Cost::best(&input.workloads) == Cost::Instructions;
    let mut groups = input.groups(|_, row| {
        let spread = if counters {
            Spread::of_rounds(row, |round| round.user_instructions)
        } else {
            row.stepped.and_then(|stepped| Spread::of(vec![stepped.user_instructions]))
        };
        let spread = spread.ok_or_else(|| match row.failed {
            Some(_) => missing(row),
            None => "not counted".to_owned(),
        })?;
        Ok((text::count(spread.median), spread))
    });
    groups.retain(|group| group.bars.iter().any(|bar| bar.figure.is_ok()));
    let (how, method) = if counters {
        ("by hardware counters", input.method("median and range"))
    } else {
        let stepped = "Each process was stepped through its messages, instruction by instruction, \
                       in a run of its own; one run.";
        ("by single-stepping", stepped.to_owned())
    };
    let frame = Frame {
        title: format!("User instructions for each message, {how}"),
        subtitle: "What the server's own code executes for one message: an echo, a delivery, a \
                   connection. The kernel's share is not in it. Shorter is better."
            .to_owned(),
        description: spoken(&groups),
        footer: input.footer(&method),
    };
    bars::draw(frame, Scale::Instructions, &groups)
}
