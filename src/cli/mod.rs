//! The command line: settings, the start line, signals, exit codes.

mod admin;
mod allocator;
#[cfg(feature = "auth-url")]
mod auth;
mod check;
mod command;
mod exit;
mod listen;
mod log;
mod log_queue;
mod notify;
mod reload;
mod serve;
mod settings;
mod signals;
#[cfg(feature = "tls")]
mod tls;
#[cfg(feature = "tokens")]
mod tokens;
mod top;
mod usage;
mod values;

use std::process::ExitCode;

use corecast::config::Buffers;
use corecast::error::Error;
use corecast::io::LoopWaker;
use corecast::io::epoll::EpollDriver;
use corecast::io::uring::UringRing;

pub(crate) use allocator::Allocator;
use exit::{FAILURE, USAGE, fail};

/// Runs the command that the flags ask for.
pub(crate) fn run() -> ExitCode {
    let matches = match command::command().try_get_matches() {
        Ok(matches) => matches,
        Err(error) if !error.use_stderr() => error.exit(),
        Err(error) => {
            return fail(USAGE, &usage::explain(&error, std::env::args().skip(1)));
        }
    };
    match matches.subcommand() {
        Some(("serve", matches)) => serve::serve(matches),
        Some(("top", matches)) => top::top(matches),
        Some(("check-config", matches)) => check::check(matches),
        Some(("default-config", _)) => check::print_defaults(),
        _ => probe(),
    }
}

/// Prints for each backend whether it would be used and why.
fn probe() -> ExitCode {
    println!("kernel: {}", corecast::io::uring::kernel_release());
    let cores = corecast::server::allowed_cores();
    println!("cores: {}", corecast::error::CoreList(&cores));
    let waker = match LoopWaker::new() {
        Ok(waker) => waker,
        Err(errno) => return fail(FAILURE, &Error::Waker(errno).to_string()),
    };
    let ring = UringRing::new(16, Buffers::default(), waker.clone());
    let epoll = EpollDriver::new(16, Buffers::default(), Vec::new(), waker).map_err(Error::Epoll);
    match &ring {
        Ok(ring) => {
            println!("io_uring: will be used, one ring for each loop");
            println!("  features: {}", ring.features());
            println!("  operations: multishot accept, multishot receive, provided buffers,");
            println!("    direct descriptors, sends without completions");
        }
        Err(refusal) => println!("io_uring: cannot be used\n  {refusal}"),
    }
    match (&epoll, &ring) {
        (Ok(_), Ok(_)) => {
            println!("epoll: can be used, and will be with --backend epoll; io_uring costs less");
        }
        (Ok(_), Err(refusal)) if refusal.concerns_io_uring_alone() => {
            println!("epoll: will be used, because io_uring cannot be; --backend uring would fail");
        }
        (Ok(_), Err(_)) => println!("epoll: can be used with --backend epoll"),
        (Err(error), _) => println!("epoll: cannot be used\n  {error}"),
    }
    match (ring, epoll) {
        (Ok(_), _) => ExitCode::SUCCESS,
        (Err(refusal), Ok(_)) if refusal.concerns_io_uring_alone() => ExitCode::SUCCESS,
        (Err(refusal), _) => fail(FAILURE, &refusal.to_string()),
    }
}
