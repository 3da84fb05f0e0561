//! The command line: flags, the start line, signals, exit codes.

mod allocator;
mod args;
mod exit;
mod serve;
mod usage;
mod values;

use std::process::ExitCode;

use clap::Parser;
use corecast::config::Buffers;
use corecast::io::uring::{UringRing, UringWaker};

pub(crate) use allocator::Allocator;
use args::{Cli, Command};
use exit::{FAILURE, USAGE, fail};

/// Runs the command that the flags ask for.
pub(crate) fn run() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) if !error.use_stderr() => error.exit(),
        Err(error) => {
            return fail(USAGE, &usage::explain(&error, std::env::args().skip(1)));
        }
    };
    match cli.command {
        Command::Serve(flags) => serve::serve(&flags),
        Command::Probe => probe(),
    }
}

/// Prints the features of the kernel's io_uring that will be used.
fn probe() -> ExitCode {
    let kernel = corecast::io::uring::kernel_release();
    println!("kernel: {kernel}");
    let cores = corecast::server::allowed_cores();
    println!("cores: {}", corecast::error::CoreList(&cores));
    let waker = match UringWaker::new() {
        Ok(waker) => waker,
        Err(errno) => return fail(FAILURE, &format!("eventfd: {errno}")),
    };
    match UringRing::new(16, Buffers::default(), Vec::new(), waker) {
        Ok(ring) => {
            println!("io_uring: usable");
            println!("features: {}", ring.features());
            println!("operations: multishot accept, multishot receive, provided buffers,");
            println!("  direct descriptors, sends without completions");
            println!("will be used: io_uring, one ring on each core");
            ExitCode::SUCCESS
        }
        Err(error) => fail(FAILURE, &error.to_string()),
    }
}
