//! `corecast top`: a live view of a server in the terminal, from its admin listener.

mod client;
mod sample;
mod screen;
mod view;

use std::io::{IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use clap::ArgMatches;
use serde_json::Value;

use super::command::place;
use super::exit::{FAILURE, fail, written};
pub(super) use client::Client;
use sample::Sample;
use screen::Screen;
use view::View;

/// So many pages of a list are looked at for one view.
const PAGES: usize = 10;

/// What the flags say.
struct Top {
    admin: String,
    token_file: Option<PathBuf>,
    interval: Duration,
    /// Prints one view and ends.
    once: bool,
}

impl Top {
    fn of(matches: &ArgMatches) -> Self {
        Self {
            admin: place(matches),
            token_file: matches.get_one("admin-token-file").cloned(),
            interval: Duration::from_secs(matches.get_one("interval").copied().unwrap_or(1)),
            once: matches.get_flag("once"),
        }
    }
}

/// Shows one view after the other, until the server does not answer.
pub(super) fn top(matches: &ArgMatches) -> ExitCode {
    watch(&Top::of(matches)).unwrap_or_else(|error| fail(FAILURE, &error))
}

fn watch(flags: &Top) -> Result<ExitCode, String> {
    let client = Client::with_token_file(&flags.admin, flags.token_file.as_deref())?;
    let is_live = std::io::stdout().is_terminal() && !flags.once;
    let mut before = Sample::parse(&client.get("/metrics")?);
    loop {
        thread::sleep(flags.interval);
        let now = Sample::parse(&client.get("/metrics")?);
        // A loop that does not answer has no part in a list, but its metrics show that.
        let lists = [("topics", "after"), ("connections", "from")]
            .map(|(name, by)| list(&client, name, by).unwrap_or_else(|_| (Vec::new(), true)));
        let [(topics, more_topics), (connections, more_connections)] = lists;
        let has_more = more_topics || more_connections;
        let place = client.place();
        let view = View { place, before: &before, now: &now, topics, connections, has_more };
        // The terminal may have another size by now.
        let screen = is_live.then(|| Screen::of(std::io::stdout()));
        let lines = view.lines(screen.map(|screen| screen.rows()));
        let text = match screen {
            Some(screen) => screen.draw(&lines),
            None => lines.iter().map(|line| format!("{line}\n")).collect(),
        };
        let result = std::io::stdout().write_all(text.as_bytes());
        if result.is_err() || flags.once {
            return Ok(written(result));
        }
        before = now;
    }
}

/// The entries of a list, and whether there are more.
fn list(client: &Client, name: &str, by: &str) -> Result<(Vec<Value>, bool), String> {
    let (mut all, mut next) = (Vec::new(), String::new());
    for _ in 0..PAGES {
        let mut page = client.json(&format!("/{name}?limit=1000{next}"))?;
        if let Value::Array(entries) = page[name].take() {
            all.extend(entries);
        }
        let Some(behind) = page["next"].as_str() else { return Ok((all, false)) };
        let mut encoded = format!("&{by}=");
        encoded.extend(behind.bytes().map(|byte| format!("%{byte:02X}")));
        next = encoded;
    }
    Ok((all, true))
}
