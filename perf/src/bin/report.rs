//! Draws the results of `perf/compare`: charts, tables and one file of results.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use corecast_perf::report;

/// Draws the results of perf/compare as SVG charts and writes them as tables.
#[derive(Parser)]
#[command(name = "report")]
struct Options {
    /// Results to read; workloads of later files replace those of the same name [default:
    /// perf/results/latest.json].
    #[arg(default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/results/latest.json"))]
    #[arg(hide_default_value = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Folder to write to [default: perf/results].
    #[arg(long, default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/results"))]
    #[arg(hide_default_value = true, value_name = "FOLDER")]
    out: PathBuf,
}

fn main() -> ExitCode {
    let options = Options::parse();
    let done = report::load(&options.files).and_then(|all| report::write(&all, &options.out));
    match done {
        Ok(lines) => {
            for line in lines {
                println!("{line}");
            }
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("report: {error}");
            ExitCode::FAILURE
        }
    }
}
