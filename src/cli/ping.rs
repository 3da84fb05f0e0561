//! `corecast ping`: whether a server answers, for health checks where there is no other client.

use std::process::ExitCode;

use clap::ArgMatches;

use super::command::place;
use super::exit::{FAILURE, fail, print};
use super::top::Client;

/// Asks for the health of a server. Any answer is one: it may be full, or drain.
pub(super) fn ping(matches: &ArgMatches) -> ExitCode {
    let place = place(matches);
    match Client::new(&place).status("/healthz") {
        Ok(status) => print(&format!("{place} answers with {status}\n")),
        Err(error) => fail(FAILURE, &error),
    }
}
