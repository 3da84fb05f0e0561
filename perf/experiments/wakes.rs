//! `experiments wakes`: the cost of waking another core, through an eventfd or with MSG_RING.
//!
//! Two threads on two cores, each asleep in its own ring until the other wakes it. One round trip
//! is two wakes and two sleeps. A MSG_RING is submitted with the call in which its sender goes to
//! sleep, as in the server's loop. Variants alternate; CPU time is that of both threads.

use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use io_uring::squeue::Flags;
use io_uring::types::Fd;
use io_uring::{IoUring, cqueue, opcode};
use rustix::event::{EventfdFlags, eventfd};
use rustix::fd::OwnedFd;
use rustix::io::{read, write};

use crate::sys;

const ROUNDS: usize = 10;
const WINDOW: Duration = Duration::from_millis(500);
const WAKE: u64 = 1;
const WAKING: u64 = 2;
/// The message that ends a run.
const STOP: i32 = 7;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    EventFd,
    MsgRing,
}

/// One side: its ring, and the eventfd through which it is woken.
struct Side {
    ring: IoUring,
    eventfd: OwnedFd,
    way: Way,
}

/// The descriptors with which a side is woken.
struct Target {
    ring: RawFd,
    eventfd: OwnedFd,
}

/// The round trips of a run, and the CPU time of both threads.
struct Used {
    trips: u64,
    cpu_ns: u64,
}

impl Side {
    fn new(way: Way) -> io::Result<Self> {
        let ring = IoUring::builder()
            .setup_single_issuer()
            .setup_defer_taskrun()
            .setup_taskrun_flag()
            .build(64)?;
        let eventfd = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        let mut side = Self { ring, eventfd, way };
        if way == Way::EventFd {
            const READABLE: u32 = 1;
            let poll = opcode::PollAdd::new(Fd(side.eventfd.as_raw_fd()), READABLE).multi(true);
            side.push(&poll.build().user_data(WAKE))?;
        }
        side.ring.submit()?;
        Ok(side)
    }

    fn target(&self) -> io::Result<Target> {
        Ok(Target { ring: self.ring.as_raw_fd(), eventfd: self.eventfd.try_clone()? })
    }

    fn push(&mut self, entry: &io_uring::squeue::Entry) -> io::Result<()> {
        // SAFETY: none of the entries used here refers to memory.
        unsafe { self.ring.submission().push(entry) }.map_err(io::Error::other)
    }

    /// Wakes the other side. With MSG_RING that happens in the next call into the kernel.
    fn wake(&mut self, other: &Target, message: i32) -> io::Result<()> {
        if self.way == Way::MsgRing || message == STOP {
            let entry = opcode::MsgRingData::new(Fd(other.ring), message, WAKE, None).build();
            return self.push(&entry.flags(Flags::SKIP_SUCCESS).user_data(WAKING));
        }
        write(&other.eventfd, &1_u64.to_ne_bytes())?;
        Ok(())
    }

    /// Sleeps until it is woken; `false` if the message is `STOP`.
    fn sleep(&mut self) -> io::Result<bool> {
        loop {
            self.ring.submit_and_wait(1)?;
            let (mut woken, mut last) = (false, false);
            for cqe in self.ring.completion() {
                if cqe.user_data() == WAKE {
                    woken = true;
                    last |= cqe.result() == STOP && !cqueue::more(cqe.flags());
                }
            }
            if woken && self.way == Way::EventFd {
                let _ = read(&self.eventfd, &mut [0; 8]);
            }
            if woken {
                return Ok(!last);
            }
        }
    }
}

/// The side that only answers.
fn answer(way: Way, targets: &Sender<Target>, other: &Receiver<Target>) -> io::Result<u64> {
    sys::pin(1)?;
    let mut side = Side::new(way)?;
    targets.send(side.target()?).map_err(io::Error::other)?;
    let other = other.recv().map_err(io::Error::other)?;
    let start = sys::thread_cpu_ns();
    while side.sleep()? {
        side.wake(&other, 0)?;
    }
    Ok(sys::thread_cpu_ns() - start)
}

/// One run, on the side that counts.
fn run(way: Way) -> io::Result<(Used, Duration)> {
    let (targets, answerer) = channel();
    let (mine, asker) = channel();
    let thread = std::thread::spawn(move || answer(way, &targets, &asker));
    let mut side = Side::new(way)?;
    mine.send(side.target()?).map_err(io::Error::other)?;
    let other: Target = answerer.recv().map_err(io::Error::other)?;
    let (start, cpu) = (Instant::now(), sys::thread_cpu_ns());
    let mut trips = 0;
    while trips % 64 != 0 || start.elapsed() < WINDOW {
        side.wake(&other, 0)?;
        side.sleep()?;
        trips += 1;
    }
    let (took, own) = (start.elapsed(), sys::thread_cpu_ns() - cpu);
    side.wake(&other, STOP)?;
    side.ring.submit()?;
    let answered = thread.join().map_err(|_| io::Error::other("a side panicked"))??;
    Ok((Used { trips, cpu_ns: own + answered }, took))
}

/// Measures both ways and prints a table.
pub(crate) fn main() -> io::Result<()> {
    sys::pin(0)?;
    let names = [(Way::EventFd, "eventfd"), (Way::MsgRing, "MSG_RING")];
    let mut figures = [Vec::new(), Vec::new()];
    for round in 0..ROUNDS {
        for step in 0..2 {
            let index = (round + step) % 2;
            let (used, took) = run(names[index].0)?;
            #[allow(clippy::cast_precision_loss, reason = "far below 2^52")]
            let per = |ns: f64| ns / used.trips as f64 / 2.0;
            #[allow(clippy::cast_precision_loss, reason = "far below 2^52")]
            let (cpu, wall) = (per(used.cpu_ns as f64), per(took.as_nanos() as f64));
            figures[index].push((cpu, wall, 0.0));
        }
    }
    for at in 0..ROUNDS {
        let base = figures[0][at].0;
        figures.iter_mut().for_each(|rounds| rounds[at].2 = rounds[at].0 / base);
    }
    println!("Kernel {}, {}.", sys::kernel_release(), sys::cpu_model());
    println!("Waking a sleeping core; {ROUNDS} interleaved rounds; medians.\n");
    println!("| wake | CPU ns | x eventfd (min..max) | one way, ns |\n|---|---:|---:|---:|");
    for ((_, name), rounds) in names.iter().zip(&mut figures) {
        let mut ratios: Vec<f64> = rounds.iter().map(|round| round.2).collect();
        ratios.sort_unstable_by(f64::total_cmp);
        let median = |pick: fn(&(f64, f64, f64)) -> f64| {
            let mut values: Vec<f64> = rounds.iter().map(pick).collect();
            values.sort_unstable_by(f64::total_cmp);
            values[ROUNDS / 2]
        };
        println!(
            "| {name} | {:.0} | {:.2} ({:.2}..{:.2}) | {:.0} |",
            median(|round| round.0),
            ratios[ROUNDS / 2],
            ratios[0],
            ratios[ROUNDS - 1],
            median(|round| round.1),
        );
    }
    Ok(())
}
