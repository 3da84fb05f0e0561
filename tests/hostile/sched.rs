//! What the scheduler says about threads: how long each ran, and how long each was runnable and
//! waited for a processor. This distinguishes waits that a busy machine causes from waits that the
//! server causes.

use std::fs::{self, File};
use std::hint::black_box;
use std::os::unix::fs::FileExt;
use std::time::{Duration, Instant};

use rustix::thread::{CpuSet, sched_setaffinity};

/// The loops of a server that are looked at. A server has one or two in these tests.
const MOST_LOOPS: usize = 2;

/// The `schedstat` of a thread: nanoseconds on the processor, nanoseconds of waiting for it.
fn read(file: &File) -> (u64, u64) {
    let mut text = [0; 96];
    let len = file.read_at(&mut text, 0).unwrap_or(0);
    let text = std::str::from_utf8(&text[..len]).unwrap_or_default();
    let mut numbers = text.split_whitespace().map(|number| number.parse().unwrap_or(0));
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
}

/// The numbers of the threads of a process.
fn threads(pid: u32) -> Vec<String> {
    let Ok(entries) = fs::read_dir(format!("/proc/{pid}/task")) else { return Vec::new() };
    entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
}

/// Whether the thread is one of the server's loops, which are named `corecast-` and a number.
fn is_loop(pid: u32, thread: &str) -> bool {
    let name = fs::read_to_string(format!("/proc/{pid}/task/{thread}/comm")).unwrap_or_default();
    name.trim().strip_prefix("corecast-").is_some_and(|number| number.parse::<u32>().is_ok())
}

/// Reads how long the server's loops and the calling thread have waited for a processor.
pub(crate) struct Clock {
    own: File,
    loops: Vec<File>,
}

impl Clock {
    /// For the calling thread and the server `pid`.
    pub(crate) fn new(pid: u32) -> Self {
        let own = File::open("/proc/thread-self/schedstat").expect("a kernel with schedstat");
        let loops: Vec<File> = threads(pid)
            .iter()
            .filter(|thread| is_loop(pid, thread))
            .map(|thread| File::open(format!("/proc/{pid}/task/{thread}/schedstat")).unwrap())
            .collect();
        assert!(!loops.is_empty() && loops.len() <= MOST_LOOPS, "{} loops", loops.len());
        Self { own, loops }
    }

    /// Now.
    pub(crate) fn now(&self) -> Moment {
        let mut loops = [0; MOST_LOOPS];
        for (delay, file) in loops.iter_mut().zip(&self.loops) {
            *delay = read(file).1;
        }
        Moment { at: Instant::now(), own: read(&self.own).1, loops }
    }
}

/// A point in time, with the sums of waiting for a processor up to it, in nanoseconds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moment {
    pub(crate) at: Instant,
    pub(crate) own: u64,
    pub(crate) loops: [u64; MOST_LOOPS],
}

impl Moment {
    /// How long it was from `earlier` to this, less the time that the measuring thread, or the
    /// loop of the server that got the least, was runnable and had no processor.
    pub(crate) fn since(&self, earlier: &Self) -> Duration {
        let pairs = self.loops.iter().zip(&earlier.loops);
        let server = pairs.map(|(now, then)| now.saturating_sub(*then)).max().unwrap_or(0);
        let own = self.own.saturating_sub(earlier.own);
        let wall = self.at.saturating_duration_since(earlier.at);
        wall.saturating_sub(Duration::from_nanos(server + own))
    }
}

/// Processor time of all threads of the process so far, user and kernel.
pub(crate) fn cpu_time(pid: u32) -> Duration {
    let threads = threads(pid);
    let files = threads.iter().map(|thread| format!("/proc/{pid}/task/{thread}/schedstat"));
    Duration::from_nanos(files.flat_map(File::open).map(|file| read(&file).0).sum())
}

/// Time that the machine below this one took from its processors so far; in steps of 10 ms.
pub(crate) fn stolen() -> Duration {
    let text = fs::read_to_string("/proc/stat").unwrap_or_default();
    let ticks = text.lines().next().and_then(|line| line.split_whitespace().nth(8));
    Duration::from_millis(10 * ticks.and_then(|ticks| ticks.parse::<u64>().ok()).unwrap_or(0))
}

/// How many rounds `slowness` does, and how long they take where the bounds were set.
const ROUNDS: u32 = 8_000_000;
const USUAL: Duration = Duration::from_micros(10_500);

/// How many times longer than usual the processor takes for a piece of work; at least 1. The same
/// machine is sometimes three times slower than a minute before, without any time being stolen.
pub(crate) fn slowness() -> f64 {
    let start = Instant::now();
    let end = (0..ROUNDS).fold(1_u64, |state, round| {
        black_box(state.wrapping_mul(6_364_136_223_846_793_005).rotate_left(17) ^ u64::from(round))
    });
    black_box(end);
    (start.elapsed().as_secs_f64() / USUAL.as_secs_f64()).max(1.0)
}

/// Lets the calling thread run on these cores only. On some machines that is refused, and then the
/// thread runs where it may.
pub(crate) fn pin(cores: &[usize]) {
    let mut set = CpuSet::new();
    cores.iter().for_each(|core| set.set(*core));
    let _ = sched_setaffinity(None, &set);
}
