//! What the command prints, and how it ends with an error.

use std::io::{self, Write};
use std::process::ExitCode;

/// Exit code for wrong flags.
pub(super) const USAGE: u8 = 2;
/// Exit code if the server cannot run here, or failed while it ran.
pub(super) const FAILURE: u8 = 1;

/// Prints the error to standard error and returns the exit code.
pub(super) fn fail(code: u8, text: &str) -> ExitCode {
    complain(&format!("corecast: {text}"));
    ExitCode::from(code)
}

/// Prints a line to standard error. If that is closed nobody wants to know, and the exit code says
/// enough.
pub(super) fn complain(line: &str) {
    let _ = io::stderr().write_all(format!("{line}\n").as_bytes());
}

/// Prints to standard output, which may be closed.
pub(super) fn print(text: &str) -> ExitCode {
    written(io::stdout().write_all(text.as_bytes()))
}

/// The exit code after something was printed.
pub(super) fn written(result: io::Result<()>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        // Nobody reads it any more.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => fail(FAILURE, &format!("standard output cannot be written: {error}")),
    }
}
