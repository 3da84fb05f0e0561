//! One run of one server, with all meters.

use std::io;
use std::thread;
use std::time::Duration;

use hdrhistogram::Histogram;

use super::servers::Running;
use super::workloads::Entry;
use crate::load::{self, Length, Moment, Outcome, Plan, Work};
use crate::machine;
use crate::meter::{Meter, Reading, Syscalls};
use crate::results::{Latency, Memory, Round};

/// The warm-up time of a run.
const WARM_UP: Duration = Duration::from_millis(150);

/// The time for which system calls are counted.
const TRACED: Duration = Duration::from_millis(150);

/// The settings of a run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct How<'a> {
    /// The cores of corecast; other servers use the first of them.
    pub(crate) cores: &'a [usize],
    pub(crate) length: Duration,
    /// Also count system calls, after the measurement.
    pub(crate) trace: bool,
    pub(crate) verify: bool,
}

/// The result of a run.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) round: Round,
    /// Bytes received for each message.
    pub(crate) wire: f64,
    /// The share of an open loop's messages that could not be sent in time.
    pub(crate) behind: f64,
}

fn float(n: u64) -> f64 {
    // Counts of one run are far below 2^53, so the conversion is exact.
    n as f64
}

/// The time for which idle connections are held.
const HELD: Duration = Duration::from_secs(2);

/// Runs a server from its start to its end.
pub(crate) fn run(entry: &Entry<'_>, how: &How<'_>) -> io::Result<Found> {
    let running = entry.start(how.cores, &entry.work, false)?;
    measure(&running, entry, how).map_err(|e| running.explain(&e))
}

/// The plan of a workload against a listening server.
pub(crate) fn plan(running: &Running, entry: &Entry<'_>, length: Duration) -> Plan {
    let idle = matches!(entry.work, Work::Idle(_));
    Plan {
        address: running.address,
        work: entry.work.clone(),
        warm_up: if idle { Duration::ZERO } else { WARM_UP },
        length: Length::Time(if idle { HELD } else { length }),
        busy: true,
        verify: false,
        deflate: entry.deflate,
        tls: entry.tls,
    }
}

/// The readings of all meters at the beginning or the end.
struct State {
    reading: Reading,
    user: u64,
    kernel: u64,
}

impl State {
    fn read(meter: &Meter, pid: u32) -> io::Result<Self> {
        let (user, kernel) = (machine::resident(pid)?, machine::kernel_memory()?);
        Ok(Self { reading: meter.read()?, user, kernel })
    }
}

/// Runs a load in a separate thread: the kernel's cleanup after its ring must not interrupt the
/// calls of the next run.
/// the calls of the next run.
pub(crate) fn load(
    plan: &Plan,
    probe: &mut (dyn FnMut(Moment) -> io::Result<()> + Send),
) -> io::Result<Outcome> {
    thread::scope(|scope| {
        let run = scope.spawn(|| load::run(plan, &mut |moment| probe(moment)));
        run.join().unwrap_or_else(|_| Err(io::Error::other("the load panicked")))
    })
}

fn measure(running: &Running, entry: &Entry<'_>, how: &How<'_>) -> io::Result<Found> {
    let pid = running.pid();
    let plan = Plan { verify: how.verify, ..plan(running, entry, how.length) };
    let mut meter = None;
    let mut states = Vec::new();
    let outcome = load(&plan, &mut |moment| {
        match (moment, &meter) {
            (Moment::Begin, _) => {
                // Read now, because servers may start threads with their first connections.
                let new = Meter::open(pid)?;
                states.push(State::read(&new, pid)?);
                meter = Some(new);
            }
            (Moment::End, Some(meter)) => states.push(State::read(meter, pid)?),
            _ => {}
        }
        Ok(())
    })?;
    let [first, last] = &states[..] else {
        return Err(io::Error::other("the load did not report its begin and end"));
    };
    if outcome.messages == 0 {
        return Err(io::Error::other("no message came back in time"));
    }
    let mut round = round(&first.reading, &last.reading, &outcome);
    match &entry.work {
        Work::Idle(_) => round.memory = Some(memory(first, last, &outcome)),
        _ if how.trace => round.syscalls = syscalls(running, entry)?,
        _ => {}
    }
    let behind = float(outcome.behind) / float(outcome.behind + outcome.messages);
    Ok(Found { round, wire: float(outcome.bytes) / float(outcome.messages), behind })
}

/// The difference of two readings.
fn round(first: &Reading, last: &Reading, outcome: &Outcome) -> Round {
    let messages = float(outcome.messages);
    let each = |a: u64, b: u64| float(b.saturating_sub(a)) / messages;
    let cpu_ns = each(first.cpu_ns, last.cpu_ns);
    let user = last.ticks.0.saturating_sub(first.ticks.0);
    let system = last.ticks.1.saturating_sub(first.ticks.1);
    let instructions = first.instructions.zip(last.instructions);
    let seconds = last.at.duration_since(first.at).as_secs_f64();
    Round {
        messages: outcome.messages,
        per_second: messages / outcome.elapsed.as_secs_f64(),
        cpu_ns,
        // A division by zero cannot be represented in JSON.
        user_share: float(user) / float((user + system).max(1)),
        busy: cpu_ns * messages / 1e9 / seconds,
        user_instructions: instructions.map(|(a, b)| each(a.0, b.0)),
        kernel_instructions: instructions.map(|(a, b)| each(a.1, b.1)),
        cycles: first.cycles.zip(last.cycles).map(|(a, b)| each(a, b)),
        syscalls: None,
        switches: first.switches.zip(last.switches).map(|(a, b)| each(a, b)),
        latency: latency(&outcome.latency),
        memory: None,
    }
}

fn latency(histogram: &Histogram<u64>) -> Option<Latency> {
    let at = |quantile| float(histogram.value_at_quantile(quantile)) / 1e3;
    (!histogram.is_empty()).then(|| Latency {
        p50: at(0.5),
        p90: at(0.9),
        p99: at(0.99),
        p999: at(0.999),
        max: float(histogram.max()) / 1e3,
    })
}

fn memory(first: &State, last: &State, outcome: &Outcome) -> Memory {
    let each = |a: u64, b: u64| (float(b) - float(a)) / float(outcome.messages);
    Memory {
        user: each(first.user, last.user),
        kernel: each(first.kernel, last.kernel),
        connections: outcome.messages,
        broadcast_ms: outcome.broadcast.map(|time| time.as_secs_f64() * 1e3),
    }
}

/// Runs the load again for a short time with system calls counted, which slows the server. `None`
/// if this machine does not allow counting them.
/// machine does not let us count them.
fn syscalls(running: &Running, entry: &Entry<'_>) -> io::Result<Option<f64>> {
    let pid = running.pid();
    let mut counter = None;
    let (mut first, mut last) = (None, None);
    let outcome = load(&plan(running, entry, TRACED), &mut |moment| {
        match (moment, &counter) {
            (Moment::Begin, _) => {
                counter = Syscalls::open(pid).ok();
                first = counter.as_ref().and_then(Syscalls::read);
            }
            (Moment::End, Some(counter)) => last = counter.read(),
            _ => {}
        }
        Ok(())
    })?;
    let calls = first.zip(last).map(|(a, b)| float(b.saturating_sub(a)));
    Ok(calls.filter(|_| outcome.messages > 0).map(|calls| calls / float(outcome.messages)))
}

/// The maximum rate of a server, and the size of its messages on the wire.
pub(crate) fn probe(entry: &Entry<'_>, cores: &[usize]) -> io::Result<Found> {
    let length = Duration::from_millis(300);
    run(entry, &How { cores, length, trace: false, verify: false })
}
