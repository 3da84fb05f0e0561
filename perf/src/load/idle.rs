//! Idle: connections without messages, to measure the cost of holding them, and optionally one
//! message to all of them.
//!
//! If there are more connections than a process may have descriptors, they are distributed over
//! processes: the program `hold` next to this one, which reads commands as lines from its standard
//! input and writes replies to its standard output (`serve_holder`).

#[allow(unsafe_code)]
mod hold;

use std::io::{self, BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

use self::hold::{Hold, publish};
use super::connect::{self, TIMEOUT};
use super::open::Opener;
use super::tls::Tls;
use super::{Idle, Length, Moment, Outcome, Plan};
use crate::frames::Offer;

/// Runs the load; `probe` is called at each event of the run.
pub fn run(
    plan: &Plan,
    work: &Idle,
    probe: &mut dyn FnMut(Moment) -> io::Result<()>,
) -> io::Result<Outcome> {
    let Length::Time(time) = plan.length else {
        return Err(io::Error::other("idle connections are held for a time, not for a count"));
    };
    // One more for the publisher.
    let room = connect::room_for_files()?.saturating_sub(1).max(1);
    let program = std::env::current_exe()?.with_file_name("hold");
    probe(Moment::Begin)?;
    let begin = Instant::now();
    let mut crowd = Crowd::open(plan, work, room, &program)?;
    crowd.keep(time, &mut |n| probe(Moment::Progress(n)))?;
    probe(Moment::End)?;
    let elapsed = begin.elapsed();
    let broadcast = match &work.broadcast {
        Some(path) => Some(crowd.broadcast(plan, path)?),
        None => None,
    };
    Ok(Outcome {
        messages: work.connections as u64,
        bytes: 0,
        elapsed,
        latency: Histogram::new(3).map_err(io::Error::other)?,
        behind: 0,
        broadcast,
    })
}

/// All connections, in this and other processes.
enum Crowd {
    Here(Hold, u64),
    Shared(Vec<Holder>, u64),
}

impl Crowd {
    /// Opens all connections, at most `room` for each process.
    fn open(plan: &Plan, work: &Idle, room: usize, program: &Path) -> io::Result<Self> {
        let all = work.connections;
        if all <= room {
            let hold = Hold::open(plan.address, plan.tls, &work.path, all, 0)?;
            return Ok(Self::Here(hold, all as u64));
        }
        let shares = all.div_ceil(room);
        let mut holders = Vec::with_capacity(shares);
        for n in 0..shares {
            let (first, end) = (all * n / shares, all * (n + 1) / shares);
            holders.push(Holder::start(program, plan, &work.path, first..end)?);
        }
        for holder in &mut holders {
            holder.expect("open")?;
        }
        Ok(Self::Shared(holders, all as u64))
    }

    /// Holds all connections for the given time; about once a second, `progress` is called with
    /// their number.
    fn keep(
        &mut self,
        time: Duration,
        progress: &mut dyn FnMut(u64) -> io::Result<()>,
    ) -> io::Result<()> {
        let begin = Instant::now();
        loop {
            let step = time.saturating_sub(begin.elapsed()).min(Duration::from_secs(1));
            let count = match self {
                Self::Here(hold, count) => {
                    hold.keep(step)?;
                    *count
                }
                Self::Shared(holders, count) => {
                    std::thread::sleep(step);
                    for holder in holders {
                        holder.alive()?;
                    }
                    *count
                }
            };
            if begin.elapsed() >= time {
                return Ok(());
            }
            progress(count)?;
        }
    }

    /// Publishes one message at `path`; returns the time until the last connection has it.
    fn broadcast(&mut self, plan: &Plan, path: &str) -> io::Result<Duration> {
        // A separate source address, which always has free ports.
        let source = connect::spread(plan.address, 1 << 16);
        let opener = Opener::new(plan.address, plan.tls)?;
        let mut publisher = opener.open(path, Offer::Nothing, source)?.connection();
        let (from, to) = match self {
            Self::Here(hold, _) => {
                let watch = hold.watch()?;
                (publish(&mut publisher)?, watch.wait(plan.busy, TIMEOUT)?)
            }
            Self::Shared(holders, _) => {
                for holder in holders.iter_mut() {
                    holder.order("watch")?;
                }
                for holder in holders.iter_mut() {
                    holder.expect("ready")?;
                }
                let from = publish(&mut publisher)?;
                let mut to = from;
                for holder in holders {
                    let at = holder.expect("got ")?;
                    to = to.max(at.parse().map_err(io::Error::other)?);
                }
                (from, to)
            }
        };
        Ok(Duration::from_nanos(to.saturating_sub(from)))
    }
}

/// A process that holds a part of the connections; it ends with its standard input.
struct Holder {
    child: Child,
    orders: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

impl Holder {
    fn start(
        program: &Path,
        plan: &Plan,
        path: &str,
        share: std::ops::Range<usize>,
    ) -> io::Result<Self> {
        let missing = |e: io::Error| {
            let program = program.display();
            io::Error::new(e.kind(), format!("starting {program}: {e}; build all programs first"))
        };
        let (address, count) = (plan.address.to_string(), share.len().to_string());
        let mut child = Command::new(program)
            .args([&address, path, &count, &share.start.to_string()])
            .args(plan.tls.map(|_| "tls"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(missing)?;
        let (Some(orders), Some(answers)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(io::Error::other("a holder has no pipes"));
        };
        Ok(Self { child, orders: Some(orders), answers: BufReader::new(answers) })
    }

    fn order(&mut self, line: &str) -> io::Result<()> {
        match &mut self.orders {
            Some(orders) => writeln!(orders, "{line}"),
            None => Ok(()),
        }
    }

    /// Waits for a line with this prefix, and returns the rest of the line.
    fn expect(&mut self, begin: &str) -> io::Result<String> {
        let mut line = String::new();
        self.answers.read_line(&mut line)?;
        let line = line.trim_end();
        if let Some(rest) = line.strip_prefix(begin) {
            return Ok(rest.to_owned());
        }
        let what = match line.strip_prefix("failed ") {
            Some(why) => why.to_owned(),
            None if line.is_empty() => "it ended".to_owned(),
            None => format!("it printed `{line}` instead of `{begin}`"),
        };
        Err(io::Error::other(format!("a process that holds connections: {what}")))
    }

    /// An error if the process has ended.
    fn alive(&mut self) -> io::Result<()> {
        match self.child.try_wait()? {
            None => Ok(()),
            // Its last line gives the reason.
            Some(_) => self.expect("held").map(drop),
        }
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        drop(self.orders.take());
        // It ends by itself now; its exit status does not matter.
        let _ = self.child.wait();
    }
}

/// The program `hold`: `hold ADDRESS PATH COUNT FIRST-INDEX [tls]`. Prints `open` when all
/// connections are open; after the command `watch` prints `ready`, and `got NANOSECONDS` (of
/// `CLOCK_MONOTONIC`) when each has received the broadcast; `failed REASON` after an error. Ends
/// when its input does.
pub fn serve_holder(
    arguments: &[String],
    input: &mut (impl BufRead + std::os::fd::AsFd),
    output: &mut impl Write,
) -> io::Result<()> {
    let done = holder(arguments, input, output);
    if let Err(e) = &done {
        writeln!(output, "failed {}", e.to_string().replace('\n', " "))?;
        output.flush()?;
    }
    done
}

fn holder(
    arguments: &[String],
    input: &mut (impl BufRead + std::os::fd::AsFd),
    output: &mut impl Write,
) -> io::Result<()> {
    let ([address, path, count, first], tls) = (match arguments {
        [rest @ .., tls] if tls == "tls" => (rest, Some(Tls::default())),
        rest => (rest, None),
    }) else {
        return Err(io::Error::other("usage: hold ADDRESS PATH COUNT FIRST-INDEX [tls]"));
    };
    let address = address.parse().map_err(io::Error::other)?;
    let count: usize = count.parse().map_err(io::Error::other)?;
    let first: usize = first.parse().map_err(io::Error::other)?;
    connect::room_for_files()?;
    let mut say = |line: &str| writeln!(output, "{line}").and_then(|()| output.flush());
    let mut hold = Hold::open(address, tls, path, count, first)?;
    say("open")?;
    loop {
        hold.keep_until(input)?;
        let mut line = String::new();
        match input.read_line(&mut line)? {
            0 => return Ok(()),
            _ if line.trim_end() == "watch" => {
                let watch = hold.watch()?;
                say("ready")?;
                let at = watch.wait(false, TIMEOUT)?;
                say(&format!("got {at}"))?;
            }
            _ => return Err(io::Error::other(format!("unknown order `{}`", line.trim_end()))),
        }
    }
}

#[cfg(test)]
mod tests;
