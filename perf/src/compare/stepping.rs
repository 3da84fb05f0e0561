//! User instructions counted by stepping, if the hardware does not count them.
//!
//! A stepped server is slower by a factor of a hundred thousand, so few messages are counted, with
//! fewer connections than in the rounds if necessary.

use std::io;
use std::time::Duration;

use super::measure;
use super::workloads::Entry;
use crate::budget;
use crate::load::{self, Length, Work};
use crate::results::{Round, Stepped};

/// The limit of instructions for all messages in flight, about four seconds.
const UNDER_WAY: f64 = 150_000.0;

/// The limit of echo messages in flight: a wrong estimate must not take minutes.
const MESSAGES: usize = 1024;

/// The limit for a single step of the load; beyond it the server is not stepped.
const HOPELESS: f64 = 1_000_000.0;

/// The estimated user instructions per nanosecond.
const PACE: f64 = 4.0;

/// The number of messages to count, and the limit of seconds to wait for them.
const FEWEST: f64 = 20.0;
const LONGEST: f64 = 20.0;

/// The amount of work that a stepped server can do.
const STEPS_PER_SECOND: f64 = 40_000.0;

/// The same load with fewer connections, so that the messages in flight do not take too long;
/// `None` if one connection would. `each` is an estimate of the instructions for a message.
fn reduced(work: &Work, each: f64) -> Option<Work> {
    let mut work = work.clone();
    let fans_out = matches!(work, Work::Fanout(_));
    let (connections, least, messages) = match &mut work {
        Work::Echo(echo) => match echo.pace {
            load::Pace::Depth(depth) => (&mut echo.connections, 1, depth),
            load::Pace::Rate(_) => return None,
        },
        Work::Fanout(fanout) => (&mut fanout.subscribers, 50, fanout.burst),
        Work::Handshakes(handshakes) => (&mut handshakes.concurrent, 1, 1),
        Work::Idle(_) => return None,
    };
    let most = if fans_out { *connections } else { (MESSAGES / messages.max(1)).max(1) };
    let each = each.max(1.0) * messages as f64;
    // An integer; a cast from a float saturates.
    *connections = ((UNDER_WAY / each) as usize).max(least).min(most).min(*connections);
    (*connections as f64 * each < HOPELESS).then_some(work)
}

/// An estimate of the user instructions for a message, from the measured rounds. At least a twelfth
/// of the time counts as user time, because clock ticks may miss it.
fn estimate(rounds: &[Round]) -> f64 {
    let ns = rounds.iter().map(|round| round.cpu_ns * round.user_share.max(1.0 / 12.0));
    ns.sum::<f64>() / rounds.len().max(1) as f64 * PACE
}

/// Counts for one server; `None` if that would take too long.
pub(crate) fn run(
    entry: &Entry<'_>,
    rounds: &[Round],
    cores: &[usize],
    length: Duration,
) -> io::Result<Option<Stepped>> {
    let Some(work) = reduced(&entry.work, estimate(rounds)) else { return Ok(None) };
    let running = entry.start(cores, &work, true)?;
    let mut plan = measure::plan(&running, entry, length);
    plan.work = work;
    // Enough messages, also if each takes long.
    let enough = FEWEST * estimate(rounds) / STEPS_PER_SECOND;
    plan.length = Length::Time(length.max(Duration::from_secs_f64(enough.min(LONGEST))));
    // The stepping thread runs best on the core of the stepped process.
    let (pid, core) = (running.pid(), cores.first().copied().unwrap_or(0));
    // A separate thread, because a ring's cleanup may interrupt later calls of its thread.
    let counted =
        std::thread::scope(|scope| scope.spawn(|| budget::measure(pid, core, &plan)).join());
    let counted = counted.unwrap_or_else(|_| Err(io::Error::other("the load panicked")));
    counted.map(Some).map_err(|e| running.explain(&e))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::{Content, Echo, Fanout, Pace};

    fn echo(depth: usize) -> Work {
        let (path, content) = (Some("/".to_owned()), Content::Binary);
        Work::Echo(Echo { path, connections: 100, size: 20, content, pace: Pace::Depth(depth) })
    }

    fn connections(work: Option<Work>) -> Option<usize> {
        work.map(|work| match work {
            Work::Echo(echo) => echo.connections,
            Work::Fanout(fanout) => fanout.subscribers,
            _ => 0,
        })
    }

    #[test]
    fn no_more_is_under_way_than_can_be_stepped() {
        assert_eq!(connections(reduced(&echo(1), 400.0)), Some(100));
        assert_eq!(connections(reduced(&echo(1), 15_000.0)), Some(10));
        assert_eq!(connections(reduced(&echo(16), 900.0)), Some(10));
        assert_eq!(connections(reduced(&echo(128), 1.0)), Some(8));
        // Even one connection would have more than a minute's work in flight.
        assert_eq!(connections(reduced(&echo(128), 30_000.0)), None);
        let (subscriber, publisher) = ("/s".to_owned(), "/p".to_owned());
        let (size, subscribe) = (64, None);
        let fanout = |burst| Fanout {
            subscriber: subscriber.clone(),
            publisher: publisher.clone(),
            subscribe: subscribe.clone(),
            subscribers: 1000,
            size,
            burst,
        };
        assert_eq!(connections(reduced(&Work::Fanout(fanout(1)), 150.0)), Some(1000));
        assert_eq!(connections(reduced(&Work::Fanout(fanout(8)), 500.0)), Some(50));
        assert_eq!(connections(reduced(&Work::Fanout(fanout(64)), 2000.0)), None);
    }

    #[test]
    fn instructions_are_guessed_from_user_time() {
        let round = |cpu_ns, user_share| Round { cpu_ns, user_share, ..Round::default() };
        assert_eq!(estimate(&[round(1000.0, 0.1), round(1000.0, 0.3)]), 200.0 * PACE);
        assert_eq!(estimate(&[round(1200.0, 0.0)]), 100.0 * PACE);
        assert_eq!(estimate(&[]), 0.0);
    }
}
