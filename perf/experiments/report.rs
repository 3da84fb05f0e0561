//! Medians, ratios and Markdown tables.

use crate::server::Snapshot;

/// The figures of one round of one variant.
pub(crate) struct Sample {
    per_second: f64,
    cpu_ns: f64,
    busy: f64,
    switches: f64,
    enters: f64,
    completions: f64,
    starved: f64,
    stalls: f64,
    instructions: Option<(f64, f64)>,
}

fn per(n: u64, d: f64) -> f64 {
    // Counts of one short round are far below 2^53, so the conversion is exact.
    n as f64 / d
}

impl Sample {
    /// The difference of two snapshots, per message.
    pub(crate) fn between(first: &Snapshot, last: &Snapshot) -> Self {
        let (a, b) = (&first.counts, &last.counts);
        let messages = per((b.messages - a.messages).max(1), 1.0);
        let seconds = last.at.duration_since(first.at).as_secs_f64();
        let cpu = per(last.cpu_ns - first.cpu_ns, 1.0);
        let instructions = first.instructions.zip(last.instructions);
        Self {
            per_second: messages / seconds,
            cpu_ns: cpu / messages,
            busy: cpu / 1e9 / seconds,
            switches: per(last.switches - first.switches, messages),
            enters: per(b.enters - a.enters, messages),
            completions: per(b.completions - a.completions, messages),
            starved: per(b.starved - a.starved, 1.0),
            stalls: per(b.stalls - a.stalls, 1.0),
            instructions: instructions
                .map(|(a, b)| (per(b.0 - a.0, messages), per(b.1 - a.1, messages))),
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

/// Median, minimum and maximum of the per-round ratios to the first variant, and in how many
/// rounds the ratio was below 1.
struct Ratio {
    median: f64,
    low: f64,
    high: f64,
    below: usize,
}

fn ratio(rounds: &[Sample], first: &[Sample], value: fn(&Sample) -> f64) -> Ratio {
    let ratios: Vec<f64> = rounds.iter().zip(first).map(|(a, b)| value(a) / value(b)).collect();
    Ratio {
        low: ratios.iter().copied().fold(f64::INFINITY, f64::min),
        high: ratios.iter().copied().fold(0.0, f64::max),
        below: ratios.iter().filter(|r| **r < 1.0).count(),
        median: median(ratios),
    }
}

impl Ratio {
    fn cell(&self) -> String {
        format!("{:.3} ({:.2}..{:.2})", self.median, self.low, self.high)
    }
}

/// Prints one table: a row per variant, whose samples are in round order.
pub(crate) fn table(title: &str, names: &[&str], samples: &[Vec<Sample>]) {
    let Some(first) = samples.first() else { return };
    println!("\n### {title}\n");
    let counted = first.iter().all(|s| s.instructions.is_some());
    let extra = if counted { " instr/msg user | instr/msg kernel |" } else { "" };
    println!(
        "| variant | msg/s | x first (min..max) | CPU ns/msg | x first (min..max) | cheaper in | \
         server busy | switches/1000 msg | enters/msg | CQEs/msg | ENOBUFS | stalls |{extra}"
    );
    let columns = if counted { 14 } else { 12 };
    println!("|---|{}", "---:|".repeat(columns - 1));
    for (name, rounds) in names.iter().zip(samples) {
        let mid = |value: fn(&Sample) -> f64| median(rounds.iter().map(value).collect());
        let cpu = ratio(rounds, first, |s| s.cpu_ns);
        let mut line = format!(
            "| {name} | {:.0} | {} | {:.0} | {} | {}/{} | {:.0} % | {:.2} | {:.4} | {:.4} \
             | {:.0} | {:.0} |",
            mid(|s| s.per_second),
            ratio(rounds, first, |s| s.per_second).cell(),
            mid(|s| s.cpu_ns),
            cpu.cell(),
            cpu.below,
            rounds.len(),
            100.0 * mid(|s| s.busy),
            1000.0 * mid(|s| s.switches),
            mid(|s| s.enters),
            mid(|s| s.completions),
            mid(|s| s.starved),
            mid(|s| s.stalls),
        );
        if counted {
            let user = mid(|s| s.instructions.map_or(f64::NAN, |i| i.0));
            let kernel = mid(|s| s.instructions.map_or(f64::NAN, |i| i.1));
            line += &format!(" {user:.0} | {kernel:.0} |");
        }
        println!("{line}");
    }
}
