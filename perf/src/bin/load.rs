//! The load as a program; see `load --help`.

use std::process::ExitCode;

fn main() -> ExitCode {
    corecast_perf::load::cli::main()
}
