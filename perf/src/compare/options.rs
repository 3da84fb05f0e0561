//! The command line.

use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgMatches, CommandFactory, FromArgMatches, Parser};

/// Names of servers in this repository.
const TAKEN: [&str; 5] = ["", "corecast", "corecast-epoll", "floor", "ceiling"];

/// Compares corecast with other servers on this machine, and prints a table for each workload.
#[derive(Debug, Parser)]
#[command(name = "perf/compare")]
pub(crate) struct Options {
    /// A few workloads, two short rounds: about a minute and a half.
    #[arg(long)]
    quick: bool,
    /// Every workload, also those that show how cost grows.
    #[arg(long, conflicts_with = "quick")]
    all: bool,
    /// The workloads over TLS, which --all holds as well.
    #[arg(long, conflicts_with_all = ["quick", "all"])]
    pub(crate) tls: bool,
    /// Run only this workload; may be repeated.
    #[arg(long, value_name = "WORKLOAD")]
    pub(crate) only: Vec<String>,
    /// Leave out this server or workload; may be repeated.
    #[arg(long, value_name = "NAME")]
    pub(crate) without: Vec<String>,
    /// List the workloads and end.
    #[arg(long)]
    pub(crate) list: bool,
    /// Rounds of each workload [default: 5; 2 with --quick].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1000))]
    rounds: Option<u16>,
    /// Seconds of measurement of each server in a round [default: 0.8; 0.3 with --quick].
    #[arg(long, value_name = "S", value_parser = seconds)]
    seconds: Option<f64>,
    /// Measure only the servers of this repository, without building the others.
    #[arg(long)]
    pub(crate) no_peers: bool,
    /// Add a server: NAME='COMMAND {port}'; may be repeated.
    #[arg(long, value_name = "NAME=COMMAND", value_parser = custom)]
    peer: Vec<Custom>,
    /// The path for the preceding --peer, if it differs from those of corecast.
    #[arg(long, value_name = "/PATH", value_parser = path)]
    peer_path: Vec<String>,
    /// Count the user instructions of every server by stepping. By default only those of corecast,
    /// if the hardware does not count them.
    #[arg(long, conflicts_with = "no_step")]
    pub(crate) step: bool,
    /// Do not count user instructions by stepping.
    #[arg(long)]
    pub(crate) no_step: bool,
    /// Compare every byte of the replies; this slows the load down.
    #[arg(long)]
    pub(crate) verify: bool,
    /// The file for the results.
    #[arg(long, value_name = "FILE", default_value = default_results())]
    pub(crate) json: PathBuf,
    /// Put the table of a run with --tls into this file, between the lines that mark its place.
    #[arg(long, value_name = "FILE", requires = "tls", conflicts_with = "only")]
    pub(crate) readme: Option<PathBuf>,
    /// The cores of corecast; the other servers use the first of them. The load is on core 1.
    #[arg(long, value_name = "LIST", value_delimiter = ',', default_value = "0")]
    pub(crate) cores: Vec<usize>,
    /// The program of corecast [default: the one beside this program].
    #[arg(long, value_name = "FILE")]
    pub(crate) corecast: Option<PathBuf>,
    /// The folder of the built peers [default: peers/release beside this program's folder].
    #[arg(long, value_name = "FOLDER")]
    pub(crate) peers: Option<PathBuf>,
}

/// The smallest set of workloads that holds one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Set {
    Quick,
    Default,
    Tls,
    All,
}

/// A server given on the command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Custom {
    pub(crate) name: String,
    /// The shell command that runs it; `{port}` stands for the port.
    pub(crate) command: String,
    pub(crate) path: Option<String>,
}

impl Options {
    /// Reads the arguments; the first is the program.
    pub(crate) fn parse(arguments: Vec<String>) -> Result<Self, clap::Error> {
        let matches = Self::command().try_get_matches_from(arguments)?;
        let mut options = Self::from_arg_matches(&matches)?;
        options.assign_paths(&matches)?;
        Ok(options)
    }

    /// A path belongs to the preceding peer.
    fn assign_paths(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        let places = |name| matches.indices_of(name).map_or(Vec::new(), Iterator::collect);
        let (peers, paths) = (places("peer"), places("peer_path"));
        for (at, path) in paths.iter().zip(&self.peer_path) {
            let Some(index) = peers.iter().rposition(|peer| peer < at) else {
                let text = "--peer-path belongs to the --peer before it\n";
                return Err(
                    Self::command().error(clap::error::ErrorKind::MissingRequiredArgument, text)
                );
            };
            self.peer[index].path = Some(path.clone());
        }
        Ok(())
    }

    /// The workloads that are run if none are named.
    pub(crate) fn set(&self) -> Set {
        match (self.quick, self.all) {
            (true, _) => Set::Quick,
            (_, true) => Set::All,
            _ => Set::Default,
        }
    }

    pub(crate) fn rounds(&self) -> usize {
        self.rounds.map_or(if self.quick { 2 } else { 5 }, usize::from)
    }

    pub(crate) fn length(&self) -> Duration {
        Duration::from_secs_f64(self.seconds.unwrap_or(if self.quick { 0.3 } else { 0.8 }))
    }

    /// The time for which a server is stepped.
    pub(crate) fn step_length(&self) -> Duration {
        Duration::from_secs_f64(if self.quick { 0.7 } else { 1.5 })
    }

    pub(crate) fn customs(&self) -> &[Custom] {
        &self.peer
    }
}

/// In the source folder, from which charts are drawn.
fn default_results() -> &'static str {
    concat!(env!("CARGO_MANIFEST_DIR"), "/results/latest.json")
}

/// Servers may ping silent clients after 30 s, and a run is far shorter.
fn seconds(value: &str) -> Result<f64, String> {
    let seconds = value.parse().ok().filter(|s| (0.05..=20.0).contains(s));
    seconds.ok_or_else(|| "give seconds from 0.05 to 20".to_owned())
}

fn path(value: &str) -> Result<String, String> {
    if value.starts_with('/') {
        Ok(value.to_owned())
    } else {
        Err("a path begins with a slash".to_owned())
    }
}

/// A name that needs no quoting in any output, and a command that takes a port.
fn custom(value: &str) -> Result<Custom, String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    let (name, command) = value.split_once('=').ok_or("write NAME='COMMAND {port}'")?;
    if TAKEN.contains(&name) || !name.chars().all(plain) {
        return Err("give it another name, of letters, digits, `-`, `_` and `.`".to_owned());
    }
    if !command.contains("{port}") {
        return Err("the command has to contain {port}, where the port is put in".to_owned());
    }
    Ok(Custom { name: name.to_owned(), command: command.to_owned(), path: None })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &[&str]) -> Result<Options, clap::Error> {
        let words = std::iter::once("compare").chain(line.iter().copied());
        Options::parse(words.map(str::to_owned).collect())
    }

    #[test]
    fn nothing_is_needed() {
        let options = parse(&[]).unwrap();
        assert_eq!((options.rounds(), options.length()), (5, Duration::from_millis(800)));
        assert_eq!((options.set(), options.cores), (Set::Default, vec![0]));
        assert!(options.json.ends_with("results/latest.json"));
    }

    #[test]
    fn quick_is_a_default_that_can_be_changed() {
        let options = parse(&["--quick", "--seconds", "0.5"]).unwrap();
        assert_eq!((options.rounds(), options.set()), (2, Set::Quick));
        assert_eq!(options.length(), Duration::from_millis(500));
        assert_eq!(parse(&["--all", "--rounds", "7"]).unwrap().rounds(), 7);
    }

    #[test]
    fn paths_belong_to_the_peer_before_them() {
        let line = ["--peer", "a=run {port}", "--peer", "b=go {port}", "--peer-path", "/x"];
        let options = parse(&line).unwrap();
        let paths: Vec<_> = options.customs().iter().map(|peer| peer.path.as_deref()).collect();
        assert_eq!(paths, [None, Some("/x")]);
        assert_eq!(options.customs()[0].command, "run {port}");
    }

    #[test]
    fn invalid_options_are_refused() {
        for bad in [
            &["--rounds", "0"][..],
            &["--seconds", "60"],
            &["--peer", "a=run"],
            &["--peer", "floor=run {port}"],
            &["--peer", "a b=run {port}"],
            &["--peer-path", "/x", "--peer", "a=run {port}"],
            &["--peer", "a=run {port}", "--peer-path", "x"],
            &["--step", "--no-step"],
            &["--quick", "--all"],
            &["--tls", "--all"],
            &["--readme", "README.md"],
            &["--nothing"],
        ] {
            assert!(parse(bad).is_err(), "{bad:?}");
        }
    }
}
