//! The load as a program; `load --help` tells the rest.

use std::process::ExitCode;

fn main() -> ExitCode {
    corecast_perf::load::cli::main()
}
