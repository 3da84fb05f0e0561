//! The `corecast` command.

#![warn(clippy::cast_possible_truncation, clippy::expect_used, clippy::unwrap_used)]
// These panic if the output is closed.
#![warn(clippy::print_stdout, clippy::print_stderr)]

mod cli;

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: cli::Allocator = cli::Allocator;

fn main() -> ExitCode {
    // The allocator asks for huge pages; the first byte used of one makes 2 MiB resident. Small
    // pages keep the memory of idle connections small. If this fails, the server only uses more.
    let _ = rustix::thread::disable_transparent_huge_pages(true);
    cli::run()
}
