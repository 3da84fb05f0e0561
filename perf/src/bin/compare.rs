//! Compares corecast with other servers; `perf/compare` builds everything and runs it.

use std::process::ExitCode;

fn main() -> ExitCode {
    match corecast_perf::compare::main(std::env::args().collect()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(text) => {
            eprintln!("compare: error: {text}");
            ExitCode::FAILURE
        }
    }
}
