//! The command line.

use std::path::PathBuf;
use std::time::Duration;

pub(crate) const USAGE: &str = "\
usage: fanout [--subscribers N] [--size BYTES] [--bursts 1,8,64] [--rounds N]
              [--millis N | --count BURSTS] [--mode raw|json] [--deflate] [--verify] [--json]
              [--cores 0|0,1] [--corecast PATH|none]
              [--peer NAME='COMMAND {port}' [--peer-path /PATH]]...";

/// What subscribers and publisher speak.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Binary messages at `/topics/bench`, the role in the query.
    Raw,
    /// JSON commands at `/pubsub`.
    Json,
}

/// A further server to compare.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Peer {
    pub(crate) name: String,
    /// The shell command that runs it; `{port}` stands for the port.
    pub(crate) command: String,
    /// Where both publisher and subscribers connect, if not where they do with corecast.
    pub(crate) path: Option<String>,
}

/// How long a run is measured.
#[derive(Clone, Copy)]
pub(crate) enum Length {
    Time(Duration),
    Bursts(u64),
}

/// What is measured, and how.
pub(crate) struct Options {
    pub(crate) subscribers: usize,
    pub(crate) size: usize,
    pub(crate) bursts: Vec<usize>,
    pub(crate) rounds: usize,
    pub(crate) length: Length,
    pub(crate) mode: Mode,
    pub(crate) deflate: bool,
    pub(crate) verify: bool,
    pub(crate) json: bool,
    /// The cores of corecast; the floor has the first of them.
    pub(crate) cores: Vec<usize>,
    /// The binary of corecast; `None` leaves it out.
    pub(crate) corecast: Option<PathBuf>,
    pub(crate) peers: Vec<Peer>,
}

impl Options {
    /// Reads the arguments; `default_corecast` is the binary if none is named.
    pub(crate) fn parse(arguments: &[String], default_corecast: PathBuf) -> Result<Self, String> {
        let mut options = Self {
            subscribers: 1000,
            size: 64,
            bursts: vec![1, 8, 64],
            rounds: 10,
            length: Length::Time(Duration::from_secs(1)),
            mode: Mode::Raw,
            deflate: false,
            verify: false,
            json: false,
            cores: vec![0],
            corecast: Some(default_corecast),
            peers: Vec::new(),
        };
        let mut rest = arguments.iter();
        while let Some(name) = rest.next() {
            match name.as_str() {
                "--deflate" => options.deflate = true,
                "--verify" => options.verify = true,
                "--json" => options.json = true,
                _ => {
                    let value = rest.next().ok_or_else(|| format!("{name}: a value is missing"))?;
                    let known = options.set(name, value);
                    known.ok_or_else(|| format!("{name} {value}: not understood\n{USAGE}"))?;
                }
            }
        }
        Ok(options)
    }

    fn set(&mut self, name: &str, value: &str) -> Option<()> {
        match name {
            "--subscribers" => self.subscribers = number(value, 1, 60_000)?,
            "--size" => self.size = number(value, 1, 1 << 20)?,
            "--bursts" => self.bursts = list(value, 1, 100_000)?,
            "--rounds" => self.rounds = number(value, 1, 10_000)?,
            // After 30 s servers may ask the silent subscribers whether they are still there.
            "--millis" => {
                let millis = number(value, 10, 20_000)? as u64;
                self.length = Length::Time(Duration::from_millis(millis));
            }
            "--count" => self.length = Length::Bursts(number(value, 1, 1_000_000)? as u64),
            "--cores" => self.cores = list(value, 0, 1023)?,
            "--corecast" => self.corecast = (value != "none").then(|| PathBuf::from(value)),
            "--mode" => {
                self.mode = match value {
                    "raw" => Mode::Raw,
                    "json" => Mode::Json,
                    _ => return None,
                }
            }
            "--peer" => self.peers.push(peer(value)?),
            "--peer-path" => {
                let path = Some(value.to_owned()).filter(|path| path.starts_with('/'))?;
                self.peers.last_mut()?.path = Some(path);
            }
            _ => return None,
        }
        Some(())
    }
}

fn number(value: &str, least: usize, most: usize) -> Option<usize> {
    value.parse().ok().filter(|n| (least..=most).contains(n))
}

fn list(value: &str, least: usize, most: usize) -> Option<Vec<usize>> {
    value.split(',').map(|part| number(part, least, most)).collect()
}

/// A name that needs no quoting in any output, and a command that takes a port.
fn peer(value: &str) -> Option<Peer> {
    let (name, command) = value.split_once('=')?;
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    let taken = ["", "floor", "corecast"].contains(&name);
    (name.chars().all(plain) && !taken && command.contains("{port}")).then(|| Peer {
        name: name.to_owned(),
        command: command.to_owned(),
        path: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &[&str]) -> Result<Options, String> {
        let arguments: Vec<String> = line.iter().map(|word| (*word).to_owned()).collect();
        Options::parse(&arguments, PathBuf::from("default"))
    }

    #[test]
    fn nothing_is_needed() {
        let options = parse(&[]).unwrap();
        assert_eq!((options.subscribers, options.size, options.rounds), (1000, 64, 10));
        assert_eq!(options.bursts, [1, 8, 64]);
        assert_eq!(options.corecast, Some(PathBuf::from("default")));
    }

    #[test]
    fn everything_can_be_said() {
        let options = parse(&[
            "--bursts",
            "2,3",
            "--cores",
            "0,1",
            "--mode",
            "json",
            "--deflate",
            "--corecast",
            "none",
            "--peer",
            "a=run {port}",
            "--peer",
            "b=go {port}",
            "--peer-path",
            "/x",
        ])
        .unwrap();
        assert_eq!((options.bursts, options.cores), (vec![2, 3], vec![0, 1]));
        assert!(options.mode == Mode::Json && options.deflate && !options.verify);
        assert_eq!(options.corecast, None);
        let paths: Vec<_> = options.peers.iter().map(|peer| peer.path.as_deref()).collect();
        assert_eq!(paths, [None, Some("/x")]);
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for bad in [
            ["--subscribers", "0"],
            ["--bursts", "1,,2"],
            ["--mode", "xml"],
            ["--peer", "a=run"],
            ["--peer", "floor=run {port}"],
            ["--peer-path", "/x"],
            ["--millis", "60000"],
            ["--nothing", "1"],
        ] {
            assert!(parse(&bad).is_err(), "{bad:?}");
        }
        assert!(parse(&["--size"]).is_err());
    }
}
