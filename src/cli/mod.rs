//! The command line: settings, the start line, signals, exit codes.

mod admin;
mod allocator;
#[cfg(feature = "auth-url")]
mod auth;
mod check;
mod command;
mod drain;
mod exit;
mod listen;
mod log;
mod log_queue;
mod notify;
mod ping;
mod reload;
mod requests;
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
mod warn;

use std::process::ExitCode;

use corecast::config::Buffers;
use corecast::error::Error;
use corecast::io::LoopWaker;
use corecast::io::epoll::EpollDriver;
use corecast::io::uring::UringRing;

pub(crate) use allocator::Allocator;
use exit::{FAILURE, USAGE, fail, print, written};

/// Runs the command that the flags ask for.
pub(crate) fn run() -> ExitCode {
    let matches = match command::command().try_get_matches() {
        Ok(matches) => matches,
        Err(error) if !error.use_stderr() => return written(error.print()),
        Err(error) => {
            return fail(USAGE, &usage::explain(&error, std::env::args().skip(1)));
        }
    };
    match matches.subcommand() {
        Some(("serve", matches)) => serve::serve(matches),
        Some(("top", matches)) => top::top(matches),
        Some(("ping", matches)) => ping::ping(matches),
        Some(("drain", matches)) => drain::drain(matches),
        Some(("check-config", matches)) => check::check(matches),
        Some(("default-config", _)) => check::print_defaults(),
        _ => probe(),
    }
}

/// Says for each backend whether it would be used and why.
fn probe() -> ExitCode {
    let mut text = format!("kernel: {}\n", corecast::io::uring::kernel_release());
    let cores = corecast::server::allowed_cores();
    text.push_str(&format!("cores: {}\n", corecast::error::CoreList(&cores)));
    let waker = match LoopWaker::new() {
        Ok(waker) => waker,
        Err(errno) => return fail(FAILURE, &Error::Waker(errno).to_string()),
    };
    let ring = UringRing::new(16, Buffers::default(), waker.clone());
    let epoll = EpollDriver::new(16, Buffers::default(), Vec::new(), waker).map_err(Error::Epoll);
    match &ring {
        Ok(ring) => text.push_str(&format!(
            "io_uring: will be used, one ring for each loop\n  features: {}\n\
             \x20 operations: multishot accept, multishot receive, provided buffers,\n\
             \x20   direct descriptors, sends without completions\n",
            ring.features()
        )),
        Err(refusal) => text.push_str(&format!("io_uring: cannot be used\n  {refusal}\n")),
    }
    text.push_str(&match (&epoll, &ring) {
        (Ok(_), Ok(_)) => {
            "epoll: can be used, and will be with --backend epoll; io_uring costs less\n".to_owned()
        }
        (Ok(_), Err(refusal)) if refusal.concerns_io_uring_alone() => {
            "epoll: will be used, because io_uring cannot be; --backend uring would fail\n"
                .to_owned()
        }
        (Ok(_), Err(_)) => "epoll: can be used with --backend epoll\n".to_owned(),
        (Err(error), _) => format!("epoll: cannot be used\n  {error}\n"),
    });
    let printed = print(&text);
    match (ring, epoll) {
        (Ok(_), _) => printed,
        (Err(refusal), Ok(_)) if refusal.concerns_io_uring_alone() => printed,
        (Err(refusal), _) => fail(FAILURE, &refusal.to_string()),
    }
}
