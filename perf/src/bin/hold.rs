//! Holds a part of the idle connections of a load, because descriptors are limited per process. The
//! load starts it; see `load::idle`.

use std::io;
use std::process::ExitCode;

use corecast_perf::load::idle;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    // Errors are reported on standard output, where the load reads them.
    match idle::serve_holder(&arguments, &mut io::stdin().lock(), &mut io::stdout().lock()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}
