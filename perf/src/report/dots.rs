//! Latencies as dots on a line.

use super::axis::Axis;
use super::input::{Input, missing, title};
use super::stats::Spread;
use super::svg::{Frame, MARGIN, RIGHT, SMALL, Svg, colour};
use super::text;
use crate::results::{Latency, Row, Workload};

const PITCH: f64 = 22.0;
const NAMES: [&str; 3] = ["p50", "p99", "p99.9"];

/// The medians over the rounds of three percentiles, in nanoseconds.
fn percentiles(row: &Row) -> Option<[f64; 3]> {
    let values: [fn(&Latency) -> f64; 3] = [|l| l.p50, |l| l.p99, |l| l.p999];
    let medians = values.map(|value| {
        let spread = Spread::of_rounds(row, |round| round.latency.as_ref().map(value))?;
        Some(spread.median * 1e3)
    });
    match medians {
        [Some(a), Some(b), Some(c)] if row.failed.is_none() => Some([a, b, c]),
        _ => None,
    }
}

fn label(values: &[f64; 3]) -> String {
    values.map(text::time).join(" · ")
}

fn spoken(workload: &Workload) -> String {
    let rows = workload.rows.iter().map(|row| match percentiles(row) {
        Some(values) => format!("{} {}", row.server, label(&values)),
        None => format!("{} {}", row.server, missing(row)),
    });
    format!("{}: {}.", title(workload), rows.collect::<Vec<_>>().join("; "))
}

/// The chart; `None` if there are no latencies.
pub(super) fn latency(input: &Input<'_>) -> Option<String> {
    let rows = || input.workloads.iter().flat_map(|workload| &workload.rows);
    // Values below the clock's resolution cannot be told apart.
    let all: Vec<f64> = rows().filter_map(percentiles).flatten().map(|ns| ns.max(1.0)).collect();
    let low = all.iter().copied().reduce(f64::min)?;
    let high = all.iter().copied().reduce(f64::max)?;
    let labels = rows().filter_map(percentiles).map(|values| text::width(&label(&values), SMALL));
    let names = rows().map(|row| text::width(&row.server, SMALL)).fold(0.0, f64::max).min(220.0);
    let left = MARGIN + names + 10.0;
    let right = RIGHT - labels.fold(0.0, f64::max).min(260.0) - 14.0;
    let axis = Axis::log(low / 1.1, high * 1.1, (left, right));

    let words: Vec<String> = input.workloads.iter().map(|workload| spoken(workload)).collect();
    let mut svg = Svg::new(Frame {
        title: "Latency".to_owned(),
        subtitle: "Time from the moment a message was to be sent until its reply had come, at a \
                   fixed rate: p50, p99 and p99.9, each the median over the rounds. Further left \
                   is better. Logarithmic scale."
            .to_owned(),
        description: words.join(" "),
        footer: input.footer(&input.method("median")),
    });
    legend(&mut svg, left);
    let top = svg.y;
    let count: usize = input.workloads.iter().map(|workload| workload.rows.len()).sum();
    let bottom = top + 34.0 * input.workloads.len() as f64 + PITCH * count as f64;
    let mut free = f64::NEG_INFINITY;
    for tick in axis.ticks() {
        let (x, label) = (axis.at(tick), text::trimmed(&text::time(tick)));
        svg.line("grid", (x, top), (x, bottom + 4.0));
        let half = text::width(&label, SMALL) / 2.0;
        if x - half >= free {
            svg.text(x, bottom + 18.0, "pale mid", &label);
            free = x + half + 6.0;
        }
    }
    for workload in &input.workloads {
        group(&mut svg, input, workload, &axis, (left, right));
    }
    svg.y = bottom + 18.0;
    Some(svg.finish())
}

/// The shapes of the percentiles.
fn legend(svg: &mut Svg, left: f64) {
    svg.y += 12.0;
    let mut x = left + 6.0;
    for (shape, name) in NAMES.iter().enumerate() {
        svg.dot("pale", (x, svg.y - 4.0), shape);
        svg.text(x + 9.0, svg.y, "ink", name);
        x += 70.0;
    }
    svg.y += 8.0;
}

fn group(
    svg: &mut Svg,
    input: &Input<'_>,
    workload: &Workload,
    axis: &Axis,
    (left, right): (f64, f64),
) {
    svg.y += 22.0;
    let title = text::fit(&title(workload), SMALL * 1.08, RIGHT - MARGIN);
    svg.blank((MARGIN - 2.0, svg.y - 12.0), (text::width(&title, SMALL * 1.08) + 4.0, 16.0));
    svg.text(MARGIN, svg.y, "ink strong", &title);
    svg.y += 12.0;
    for row in input.servers.sorted(workload) {
        let (middle, base) = (svg.y + 8.0, svg.y + 12.0);
        let number = input.servers.number(&row.server);
        let class = if number == 0 { "ink strong end" } else { "ink end" };
        let name = text::fit(&row.server, SMALL, left - MARGIN - 8.0);
        svg.text(left - 8.0, base, class, &name);
        if let Some(values) = percentiles(row) {
            let places = values.map(|value| axis.at(value));
            let class = colour(number);
            let line = format!("{class} line");
            svg.line(&line, (places[0], middle), (places[2], middle));
            for (shape, x) in places.into_iter().enumerate() {
                svg.dot(&format!("{class} fill"), (x, middle), shape);
            }
            svg.text(right + 14.0, base, "ink", &text::fit(&label(&values), SMALL, 260.0));
        } else {
            let reason = text::fit(&missing(row), SMALL, RIGHT - left - 4.0);
            svg.blank((left + 1.0, svg.y), (text::width(&reason, SMALL) + 4.0, 16.0));
            svg.text(left + 4.0, base, "pale", &reason);
        }
        svg.y += PITCH;
    }
}
