//! The `corecast` command.

#![warn(clippy::cast_possible_truncation, clippy::expect_used, clippy::unwrap_used)]

mod cli;

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    cli::run()
}
