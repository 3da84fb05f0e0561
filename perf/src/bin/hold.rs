//! Holds a share of the idle connections of a load, since one process may have only so many
//! descriptors. The load starts it; see `load::idle`.

use std::io;
use std::process::ExitCode;

use corecast_perf::load::idle;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    // What fails is said over standard output, where the load reads it.
    match idle::serve_holder(&arguments, &mut io::stdin().lock(), &mut io::stdout().lock()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}
