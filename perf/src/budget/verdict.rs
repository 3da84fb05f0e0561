//! The committed budgets, and the comparison with a measurement.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};

/// The tolerance, as a share of the budget. Stepping counts exactly, but the number of messages
/// that the server finds in one turn varies, and with it the count, by up to 0.7 % of the median
/// (echo of 16 KiB; the others less).
pub const TOLERANCE: f64 = 0.01;

/// The committed file: instructions for each message, by SIMD level of the machine, then by
/// workload.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct Budgets {
    levels: BTreeMap<String, BTreeMap<String, f64>>,
}

impl Budgets {
    /// Reads the file.
    pub fn read(path: &Path) -> io::Result<Self> {
        let text = fs::read(path).map_err(|e| named(path, &e))?;
        serde_json::from_slice(&text).map_err(|e| named(path, &e.into()))
    }

    /// Writes the file.
    pub fn write(&self, path: &Path) -> io::Result<()> {
        let text = serde_json::to_string_pretty(self)? + "\n";
        fs::write(path, text).map_err(|e| named(path, &e))
    }

    /// The budget of a workload, if this SIMD level has been measured.
    pub fn get(&self, level: &str, workload: &str) -> Option<f64> {
        self.levels.get(level)?.get(workload).copied()
    }

    /// Makes the measurements of a level its budgets. Other levels keep theirs.
    pub fn update(&mut self, level: &str, lines: &[Line]) {
        let of_line = |line: &Line| (line.workload.clone(), (line.measured * 10.0).round() / 10.0);
        self.levels.insert(level.to_owned(), lines.iter().map(of_line).collect());
    }
}

fn named(path: &Path, e: &io::Error) -> io::Error {
    io::Error::new(e.kind(), format!("{}: {e}", path.display()))
}

/// One workload: instructions for each message.
#[derive(Clone, Debug)]
pub struct Line {
    pub workload: String,
    pub budget: Option<f64>,
    pub measured: f64,
    pub syscalls: f64,
}

/// The result of the comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Within,
    Over,
    /// Below the budget, which can be lowered.
    Below,
    /// This level has no budget.
    NoBudget,
}

impl Line {
    /// Compares the measurement with the budget.
    pub fn verdict(&self) -> Verdict {
        match self.ratio() {
            None => Verdict::NoBudget,
            // NaN counts as over.
            Some(ratio) if ratio < 1.0 - TOLERANCE => Verdict::Below,
            Some(ratio) if ratio <= 1.0 + TOLERANCE => Verdict::Within,
            Some(_) => Verdict::Over,
        }
    }

    fn ratio(&self) -> Option<f64> {
        self.budget.map(|budget| self.measured / budget)
    }
}

/// The lines as a table.
pub fn table(lines: &[Line]) -> String {
    let mut out = format!(
        "{:<22} {:>10} {:>10} {:>7}  {:>8}\n",
        "workload", "budget", "measured", "ratio", "syscalls"
    );
    for line in lines {
        let number = |n: Option<f64>, digits| n.map_or("-".into(), |n| format!("{n:.digits$}"));
        let word = match line.verdict() {
            Verdict::Over => "  OVER",
            Verdict::Below => "  below: lower the budget",
            Verdict::Within | Verdict::NoBudget => "",
        };
        // Writing to a String cannot fail.
        let _ = writeln!(
            out,
            "{:<22} {:>10} {:>10.1} {:>7}  {:>8.4}{word}",
            line.workload,
            number(line.budget, 1),
            line.measured,
            number(line.ratio(), 3),
            line.syscalls,
        );
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(workload: &str, budget: Option<f64>, measured: f64) -> Line {
        Line { workload: workload.to_owned(), budget, measured, syscalls: 0.01 }
    }

    #[test]
    fn only_more_than_a_hundredth_beside_the_budget_counts() {
        for (measured, verdict) in [
            (80.0, Verdict::Below),
            (98.9, Verdict::Below),
            (99.1, Verdict::Within),
            (100.0, Verdict::Within),
            (100.9, Verdict::Within),
            (101.1, Verdict::Over),
            (f64::NAN, Verdict::Over),
        ] {
            assert_eq!(line("a", Some(100.0), measured).verdict(), verdict, "{measured}");
        }
        assert_eq!(line("a", None, 100.0).verdict(), Verdict::NoBudget);
    }

    #[test]
    fn an_update_changes_one_level_and_survives_the_file() {
        let path = std::env::temp_dir().join(format!("budgets-{}.json", std::process::id()));
        let mut budgets = Budgets::default();
        budgets.update("avx2", &[line("echo", None, 200.0)]);
        budgets.update("avx512", &[line("echo", None, 100.04), line("fan-out", None, 30.0)]);
        budgets.update("avx512", &[line("echo", None, 90.04)]);
        budgets.write(&path).unwrap();
        let read = Budgets::read(&path).unwrap();
        fs::remove_file(&path).unwrap();
        assert_eq!(read.get("avx2", "echo"), Some(200.0));
        assert_eq!(read.get("avx512", "echo"), Some(90.0));
        assert_eq!(read.get("avx512", "fan-out"), None);
        assert_eq!(read.get("plain", "echo"), None);
    }

    #[test]
    fn the_table_names_what_is_over_and_what_is_below() {
        let lines = [
            line("echo", Some(100.0), 120.0),
            line("fan-out", None, 30.0),
            line("text", Some(100.0), 98.0),
        ];
        let text = table(&lines);
        let rows: Vec<&str> = text.lines().collect();
        assert!(rows[1].starts_with("echo") && rows[1].ends_with("OVER"), "{text}");
        assert!(rows[1].contains("1.200"), "{text}");
        assert!(rows[2].contains(" - "), "{text}");
        assert!(rows[3].ends_with("below: lower the budget"), "{text}");
    }
}
