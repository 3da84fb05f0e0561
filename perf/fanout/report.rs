//! Medians, ratios, Markdown tables and JSON.

use crate::meter::Reading;
use crate::options::{Mode, Options};

/// The figures of one round of one server.
#[derive(Clone)]
pub(crate) struct Sample {
    pub(crate) per_second: f64,
    pub(crate) cpu_ns: f64,
    /// CPU time of all its threads in relation to the time that passed.
    pub(crate) busy: f64,
    pub(crate) ticks: (u64, u64),
    pub(crate) instructions: Option<(f64, f64)>,
}

/// All rounds of one server.
pub(crate) struct Row<'a> {
    pub(crate) name: &'a str,
    /// Bytes of a delivery on the wire, and whether they are compressed.
    pub(crate) delivery: (usize, bool),
    pub(crate) rounds: Vec<Sample>,
}

fn float(n: u64) -> f64 {
    // Counts of one run are far below 2^53, so the conversion is exact.
    n as f64
}

impl Sample {
    /// The difference of two readings, between which so much was delivered.
    pub(crate) fn between(first: &Reading, last: &Reading, deliveries: u64) -> Self {
        let seconds = last.at.duration_since(first.at).as_secs_f64();
        let cpu = float(last.cpu_ns - first.cpu_ns);
        let deliveries = float(deliveries);
        Self {
            per_second: deliveries / seconds,
            cpu_ns: cpu / deliveries,
            busy: cpu / 1e9 / seconds,
            ticks: (last.ticks.0 - first.ticks.0, last.ticks.1 - first.ticks.1),
            instructions: first
                .instructions
                .zip(last.instructions)
                .map(|(a, b)| (float(b.0 - a.0) / deliveries, float(b.1 - a.1) / deliveries)),
        }
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    match values.len() {
        0 => f64::NAN,
        n if n % 2 == 1 => values[n / 2],
        n => f64::midpoint(values[n / 2 - 1], values[n / 2]),
    }
}

/// Ratios to the floor, round by round.
struct Ratio {
    median: f64,
    low: f64,
    high: f64,
}

impl Ratio {
    fn of(rounds: &[Sample], floor: &[Sample], value: fn(&Sample) -> f64) -> Self {
        let ratios: Vec<f64> = rounds.iter().zip(floor).map(|(a, b)| value(a) / value(b)).collect();
        Self {
            low: ratios.iter().copied().fold(f64::INFINITY, f64::min),
            high: ratios.iter().copied().fold(f64::NEG_INFINITY, f64::max),
            median: median(ratios),
        }
    }

    fn cell(&self) -> String {
        format!("{:.3} ({:.2}..{:.2})", self.median, self.low, self.high)
    }

    fn json(&self) -> String {
        let numbers = [self.median, self.low, self.high].map(|n| number(Some(n)));
        let [median, low, high] = numbers;
        format!(r#"{{"median":{median},"low":{low},"high":{high}}}"#)
    }
}

fn instructions(sample: &Sample) -> f64 {
    sample.instructions.map_or(f64::NAN, |(user, kernel)| user + kernel)
}

impl Row<'_> {
    fn median(&self, value: fn(&Sample) -> f64) -> f64 {
        median(self.rounds.iter().map(value).collect())
    }

    fn counted(&self) -> bool {
        self.rounds.iter().all(|sample| sample.instructions.is_some())
    }

    /// The share of user time over all rounds; a single one is too short for clock ticks.
    fn user_share(&self) -> f64 {
        let user = float(self.rounds.iter().map(|sample| sample.ticks.0).sum());
        let system = float(self.rounds.iter().map(|sample| sample.ticks.1).sum());
        user / (user + system)
    }
}

/// Prints the table of one burst; the floor is the first row.
pub(crate) fn table(burst: usize, rows: &[Row<'_>]) {
    let Some(floor) = rows.first() else { return };
    println!("\n## Bursts of {burst}\n");
    let counted = rows.iter().all(Row::counted);
    let extra = if counted { " instr user | instr kernel | x floor (min..max) |" } else { "" };
    println!(
        "| server | B/delivery | deliveries/s | x floor (min..max) | CPU ns/delivery | x floor \
         (min..max) | user ns | system ns | busy |{extra}"
    );
    println!("|---|{}", "---:|".repeat(if counted { 11 } else { 8 }));
    for row in rows {
        let cpu = row.median(|s| s.cpu_ns);
        let share = row.user_share();
        let mut line = format!(
            "| {} | {}{} | {:.0} | {} | {:.1} | {} | {:.1} | {:.1} | {:.0} % |",
            row.name,
            row.delivery.0,
            if row.delivery.1 { " deflated" } else { "" },
            row.median(|s| s.per_second),
            Ratio::of(&row.rounds, &floor.rounds, |s| s.per_second).cell(),
            cpu,
            Ratio::of(&row.rounds, &floor.rounds, |s| s.cpu_ns).cell(),
            cpu * share,
            cpu * (1.0 - share),
            100.0 * row.median(|s| s.busy),
        );
        if counted {
            line += &format!(
                " {:.0} | {:.0} | {} |",
                row.median(|s| s.instructions.map_or(f64::NAN, |i| i.0)),
                row.median(|s| s.instructions.map_or(f64::NAN, |i| i.1)),
                Ratio::of(&row.rounds, &floor.rounds, instructions).cell(),
            );
        }
        println!("{line}");
    }
}

/// A number in JSON, which knows no infinity.
fn number(n: Option<f64>) -> String {
    n.filter(|n| n.is_finite()).map_or("null".into(), |n| format!("{n:.3}"))
}

/// All tables as one JSON object; `system` is what the machine says of itself.
pub(crate) fn json(options: &Options, system: [&str; 2], tables: &[(usize, Vec<Row<'_>>)]) {
    let [kernel, cpu] = system.map(|text| text.replace(['"', '\\'], "'"));
    let cores: Vec<String> = options.cores.iter().map(ToString::to_string).collect();
    let mode = if options.mode == Mode::Raw { "raw" } else { "json" };
    let results: Vec<String> = tables
        .iter()
        .flat_map(|(burst, rows)| rows.iter().map(|row| result(*burst, row, &rows[0])))
        .collect();
    println!(
        r#"{{"kernel":"{kernel}","cpu":"{cpu}","subscribers":{},"size":{},"mode":"{mode}","#,
        options.subscribers, options.size
    );
    println!(r#" "deflate":{},"cores":[{}],"results":["#, options.deflate, cores.join(","));
    println!("{}]}}", results.join(",\n"));
}

fn result(burst: usize, row: &Row<'_>, floor: &Row<'_>) -> String {
    let rounds: Vec<String> = row
        .rounds
        .iter()
        .map(|sample| {
            format!(
                r#"{{"deliveries_per_second":{},"cpu_ns":{},"busy":{},"user_ticks":{},"#,
                number(Some(sample.per_second)),
                number(Some(sample.cpu_ns)),
                number(Some(sample.busy)),
                sample.ticks.0,
            ) + &format!(
                r#""system_ticks":{},"user_instructions":{},"kernel_instructions":{}}}"#,
                sample.ticks.1,
                number(sample.instructions.map(|i| i.0)),
                number(sample.instructions.map(|i| i.1)),
            )
        })
        .collect();
    let ratio = |value| Ratio::of(&row.rounds, &floor.rounds, value).json();
    format!(
        r#"{{"burst":{burst},"server":"{}","bytes":{},"compressed":{},"user_share":{},"#,
        row.name,
        row.delivery.0,
        row.delivery.1,
        number(Some(row.user_share())),
    ) + &format!(
        r#""cpu_ns":{},"cpu_to_floor":{},"rate_to_floor":{},"#,
        number(Some(row.median(|s| s.cpu_ns))),
        ratio(|s| s.cpu_ns),
        ratio(|s| s.per_second),
    ) + &format!(
        r#""instructions_to_floor":{},"rounds":[{}]}}"#,
        ratio(instructions),
        rounds.join(",")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(cpu_ns: f64) -> Sample {
        Sample { per_second: 1e9 / cpu_ns, cpu_ns, busy: 1.0, ticks: (1, 3), instructions: None }
    }

    #[test]
    fn ratios_are_taken_round_by_round() {
        let floor = [sample(100.0), sample(200.0), sample(400.0)];
        let other = [sample(110.0), sample(240.0), sample(520.0)];
        let ratio = Ratio::of(&other, &floor, |s| s.cpu_ns);
        assert_eq!(ratio.cell(), "1.200 (1.10..1.30)");
        assert_eq!(median(vec![4.0, 1.0, 2.0, 3.0]), 2.5);
    }

    #[test]
    fn a_result_without_counters_says_null() {
        let row = Row { name: "floor", delivery: (66, false), rounds: vec![sample(100.0)] };
        let text = result(8, &row, &row);
        assert!(text.contains(r#""user_share":0.250,"#), "{text}");
        assert!(text.contains(r#""user_instructions":null,"#), "{text}");
        assert!(text.contains(r#""cpu_to_floor":{"median":1.000,"#), "{text}");
    }
}
