//! How the command ends with an error.

use std::process::ExitCode;

/// Exit code for wrong flags.
pub(super) const USAGE: u8 = 2;
/// Exit code if the server cannot run here, or failed while it ran.
pub(super) const FAILURE: u8 = 1;

/// Prints the error to standard error and returns the exit code.
pub(super) fn fail(code: u8, text: &str) -> ExitCode {
    eprintln!("corecast: {text}");
    ExitCode::from(code)
}
