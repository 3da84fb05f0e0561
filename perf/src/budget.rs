//! Counts user instructions for each message.

#[allow(unsafe_code)]
mod sent;
mod verdict;

use std::fs;
use std::io;
use std::thread;
use std::time::{Duration, Instant};

use crate::load::{self, Moment, Plan, Work};
use crate::results::Stepped;
use crate::step::{Count, Stepper};

pub use verdict::{Budgets, Line, TOLERANCE, Verdict, table};

/// The number and distance of checks in which a process must be asleep to be idle.
const LOOKS: u32 = 4;
const BETWEEN: Duration = Duration::from_millis(8);

/// The time that a stepped server may take for the messages in flight.
const REST_LIMIT: Duration = Duration::from_secs(30);

/// Counts the instructions of process `pid` on `core` for each message of a load. The calling
/// thread is the load; it should run on another core.
///
/// Both readings are taken when the server has handled everything sent so far, so that its work
/// between them is exactly that for the messages sent between them.
pub fn measure(pid: u32, core: usize, plan: &Plan) -> io::Result<Stepped> {
    let mut stepper = None;
    let (mut first, mut last) = (Reading::default(), Reading::default());
    let outcome = load::run(plan, &mut |moment| {
        match moment {
            Moment::Begin => {
                rest(pid, None)?;
                first = Reading::of(pid, stepper.insert(Stepper::attach(pid, core)?), plan)?;
            }
            Moment::End => {
                let stepper: Option<Stepper> = stepper.take();
                let stepper = stepper.ok_or_else(|| io::Error::other("the load never began"))?;
                last = Reading::of(pid, &stepper, plan)?;
                stepper.detach()?;
            }
            Moment::Progress(_) => {}
        }
        Ok(())
    })?;
    // A message counted on arrival may have been sent before, and the other way round.
    let messages = match &plan.work {
        Work::Echo(echo) => float(last.sent - first.sent) / load::request_bytes(plan, echo)?,
        _ => float(outcome.messages),
    };
    let each = |from: u64, to: u64| float(to - from) / messages.max(1.0);
    Ok(Stepped {
        user_instructions: each(first.count.instructions, last.count.instructions),
        syscalls: each(first.count.syscalls, last.count.syscalls),
        // An integer unless messages differ in length.
        messages: messages.round() as u64,
    })
}

#[expect(clippy::cast_precision_loss, reason = "counts far below 2^52")]
fn float(count: u64) -> f64 {
    count as f64
}

/// The work done at an idle moment, and the messages sent by then.
#[derive(Clone, Copy, Default)]
struct Reading {
    count: Count,
    /// The bytes that the load has sent.
    sent: u64,
}

impl Reading {
    fn of(pid: u32, stepper: &Stepper, plan: &Plan) -> io::Result<Self> {
        rest(pid, Some(stepper))?;
        Ok(Self { count: stepper.read(), sent: sent::to(plan.address)? })
    }
}

/// Waits until a process sleeps and has no input left.
fn rest(pid: u32, stepper: Option<&Stepper>) -> io::Result<()> {
    let count = || stepper.map_or_else(Count::default, Stepper::read);
    let (begin, mut last, mut looks) = (Instant::now(), count(), 0);
    while looks < LOOKS {
        if begin.elapsed() > REST_LIMIT {
            let text = format!("process {pid} does not come to rest: does it poll for work?");
            return Err(io::Error::other(text));
        }
        thread::sleep(BETWEEN);
        let now = count();
        looks = if now == last && asleep(pid)? { looks + 1 } else { 0 };
        last = now;
    }
    Ok(())
}

/// Whether all threads of a process sleep. A thread that waits for its next step is in another
/// state.
fn asleep(pid: u32) -> io::Result<bool> {
    for task in fs::read_dir(format!("/proc/{pid}/task"))? {
        // A thread that has ended does no work.
        let stat = fs::read_to_string(task?.path().join("stat")).unwrap_or_default();
        if stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with('S')) {
            return Ok(false);
        }
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_asleep_only_while_it_waits() {
        use std::process::{Command, Stdio};
        let mut child = Command::new("cat").stdin(Stdio::piped()).spawn().unwrap();
        let begin = Instant::now();
        while !asleep(child.id()).unwrap() {
            assert!(begin.elapsed() < Duration::from_secs(10), "it never sleeps");
        }
        drop(child.stdin.take());
        child.wait().unwrap();
        // The current thread is running.
        assert!(!asleep(std::process::id()).unwrap());
    }
}
