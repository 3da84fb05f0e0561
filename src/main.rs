//! The `corecast` command.

#![warn(clippy::cast_possible_truncation, clippy::expect_used, clippy::unwrap_used)]

mod cli;

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    // The allocator asks for huge pages, of which the first byte used makes two megabytes resident;
    // idle connections are small, and should be cheap. Where it fails it is only that.
    let _ = rustix::thread::disable_transparent_huge_pages(true);
    cli::run()
}
