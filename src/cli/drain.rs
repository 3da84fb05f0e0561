//! `corecast drain`: has a server drain, by its admin listener.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::ArgMatches;

use super::command::place;
use super::exit::{FAILURE, fail, print};
use super::top::Client;

/// Asks it to drain. Whether it does so already makes no difference.
pub(super) fn drain(matches: &ArgMatches) -> ExitCode {
    let place = place(matches);
    let token_file = matches.get_one::<PathBuf>("admin-token-file");
    let (target, then) = match matches.get_flag("exit") {
        true => ("/drain?exit=1", "ends then"),
        false => ("/drain", "stays until it is stopped"),
    };
    let client = Client::with_token_file(&place, token_file.map(PathBuf::as_path));
    match client.and_then(|client| client.post(target)) {
        Ok(()) => print(&format!("{place} drains, and {then}\n")),
        Err(error) => fail(FAILURE, &error),
    }
}
