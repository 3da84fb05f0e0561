//! The resources used by a server process: CPU time, context switches, and the kernel's counters:
//! instructions and cycles if the hardware has such counters, system calls if tracing is permitted.
//! They are read with `perf_event_open`, as in `perf stat`, so that program is not needed.

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::fd::FromRawFd;
use std::time::Instant;

/// The first published layout of `struct perf_event_attr` (64 bytes), enough for counting.
#[repr(C)]
#[derive(Default)]
struct Attr {
    kind: u32,
    size: u32,
    config: u64,
    sample: u64,
    sample_type: u64,
    read_format: u64,
    flags: u64,
    wakeup: u32,
    bp_type: u32,
    config1: u64,
}

/// One event to be counted.
#[derive(Clone, Copy)]
struct Event {
    kind: u32,
    config: u64,
    exclude: u64,
}

const HARDWARE: u32 = 0;
const TRACEPOINT: u32 = 2;
const CYCLES: u64 = 0;
const INSTRUCTIONS: u64 = 1;
const EXCLUDE_USER: u64 = 1 << 4;
const EXCLUDE_KERNEL: u64 = 1 << 5;
const EXCLUDE_HYPERVISOR: u64 = 1 << 6;

/// A counter returns its value, then the time for which it was enabled, then the time for which it
/// counted.
const TIMES: u64 = 1 | 1 << 1;

/// The file with the number of the tracepoint of system calls.
const SYSCALL_ID: [&str; 2] = [
    "/sys/kernel/tracing/events/raw_syscalls/sys_enter/id",
    "/sys/kernel/debug/tracing/events/raw_syscalls/sys_enter/id",
];

/// The readings of all meters at one moment.
#[derive(Clone, Copy, Debug)]
pub struct Reading {
    pub at: Instant,
    /// CPU time of all threads, in nanoseconds.
    pub cpu_ns: u64,
    /// The same in clock ticks, user and system: coarse, used for the share of each.
    pub ticks: (u64, u64),
    /// Context switches of all threads.
    pub switches: Option<u64>,
    /// Instructions of all threads, user and kernel.
    pub instructions: Option<(u64, u64)>,
    /// Cycles of all threads, user and kernel together.
    pub cycles: Option<u64>,
}

/// Reads the resources used by one process.
pub struct Meter {
    pid: u32,
    clock: libc::clockid_t,
    user: io::Result<Counter>,
    kernel: io::Result<Counter>,
    cycles: io::Result<Counter>,
}

impl Meter {
    /// A meter of all threads that the process has at this moment.
    pub fn open(pid: u32) -> io::Result<Self> {
        let id = libc::pid_t::try_from(pid).map_err(io::Error::other)?;
        let mut clock = 0;
        // SAFETY: `clock` is a live clock id that the call fills in.
        let error = unsafe { libc::clock_getcpuclockid(id, &raw mut clock) };
        if error != 0 {
            return Err(io::Error::from_raw_os_error(error));
        }
        let hardware =
            |config, exclude| Counter::open(pid, Event { kind: HARDWARE, config, exclude });
        Ok(Self {
            pid,
            clock,
            user: hardware(INSTRUCTIONS, EXCLUDE_KERNEL),
            kernel: hardware(INSTRUCTIONS, EXCLUDE_USER),
            cycles: hardware(CYCLES, 0),
        })
    }

    /// The reason why there are no instruction counters, if there are none.
    pub fn counter_error(&self) -> Option<&io::Error> {
        self.user.as_ref().err().or(self.kernel.as_ref().err())
    }

    /// The reason why there is no counter of cycles, if there is none.
    pub fn cycles_error(&self) -> Option<&io::Error> {
        self.cycles.as_ref().err()
    }

    /// The readings since the start.
    pub fn read(&self) -> io::Result<Reading> {
        let mut ts = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        // SAFETY: `ts` is a live timespec that the kernel fills in.
        if unsafe { libc::clock_gettime(self.clock, &raw mut ts) } != 0 {
            return Err(io::Error::last_os_error());
        }
        let part = |n: i64| u64::try_from(n).unwrap_or(0);
        let value = |counter: &io::Result<Counter>| counter.as_ref().ok().and_then(Counter::value);
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.pid))?;
        Ok(Reading {
            at: Instant::now(),
            cpu_ns: part(ts.tv_sec) * 1_000_000_000 + part(ts.tv_nsec),
            ticks: ticks(&stat).ok_or_else(|| io::Error::other("malformed /proc/PID/stat"))?,
            switches: switches(self.pid),
            instructions: value(&self.user).zip(value(&self.kernel)),
            cycles: value(&self.cycles),
        })
    }
}

/// Counts the system calls of a process. This slows each call down, so nothing else should be
/// measured at the same time.
pub struct Syscalls(Counter);

impl Syscalls {
    /// Counts those of all threads that the process has at this moment.
    pub fn open(pid: u32) -> io::Result<Self> {
        let read = |path| fs::read_to_string(path);
        let id = read(SYSCALL_ID[0]).or_else(|_| read(SYSCALL_ID[1]))?;
        let config = id.trim().parse().map_err(io::Error::other)?;
        Counter::open(pid, Event { kind: TRACEPOINT, config, exclude: 0 }).map(Self)
    }

    /// The number of system calls so far; `None` if the kernel did not count.
    pub fn read(&self) -> Option<u64> {
        self.0.value()
    }
}

/// One event of all threads of a process.
struct Counter(Vec<File>);

impl Counter {
    fn open(pid: u32, event: Event) -> io::Result<Self> {
        let mut threads = Vec::new();
        for task in fs::read_dir(format!("/proc/{pid}/task"))? {
            let name = task?.file_name().into_string().unwrap_or_default();
            threads.push(open(name.parse().map_err(io::Error::other)?, event)?);
        }
        Ok(Self(threads))
    }

    fn value(&self) -> Option<u64> {
        self.0.iter().map(value).sum()
    }
}

/// Counts instructions of the calling thread only.
pub struct ThreadCounters {
    user: File,
    kernel: File,
}

impl ThreadCounters {
    /// Returns an error if the machine has no such counter or does not permit it.
    pub fn open() -> io::Result<Self> {
        // Number 0 is the calling thread.
        let count = |exclude| open(0, Event { kind: HARDWARE, config: INSTRUCTIONS, exclude });
        Ok(Self { user: count(EXCLUDE_KERNEL)?, kernel: count(EXCLUDE_USER)? })
    }

    /// The counts so far, user and kernel; 0 if the counter never ran.
    pub fn read(&self) -> (u64, u64) {
        (value(&self.user).unwrap_or(0), value(&self.kernel).unwrap_or(0))
    }
}

/// The size of a page of memory in bytes.
pub fn page_size() -> u64 {
    // SAFETY: the call takes a number and touches no memory of ours.
    let size = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    u64::try_from(size).unwrap_or(4096)
}

/// User and system time in a line of /proc/PID/stat; the name in it may contain any character.
fn ticks(stat: &str) -> Option<(u64, u64)> {
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
    Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
}

/// Context switches of all threads that the process has at this moment.
fn switches(pid: u32) -> Option<u64> {
    let mut sum = 0;
    for task in fs::read_dir(format!("/proc/{pid}/task")).ok()? {
        // A thread that has ended since it was listed adds nothing.
        let Ok(status) = fs::read_to_string(task.ok()?.path().join("status")) else { continue };
        sum += switches_in(&status)?;
    }
    Some(sum)
}

/// Voluntary and involuntary switches in the status of a thread.
fn switches_in(status: &str) -> Option<u64> {
    let field = |name: &str| -> Option<u64> {
        status.lines().find_map(|line| line.strip_prefix(name))?.trim().parse().ok()
    };
    Some(field("voluntary_ctxt_switches:")? + field("nonvoluntary_ctxt_switches:")?)
}

fn open(tid: libc::pid_t, event: Event) -> io::Result<File> {
    let attr = Attr {
        kind: event.kind,
        size: 64,
        config: event.config,
        read_format: TIMES,
        flags: event.exclude | EXCLUDE_HYPERVISOR,
        ..Attr::default()
    };
    let at = &raw const attr;
    // SAFETY: `at` points at a live attribute of the size it states; cpu -1 means the thread on
    // any core, and no group or flags are given.
    let fd = unsafe { libc::syscall(libc::SYS_perf_event_open, at, tid, -1, -1, 0) };
    let fd = i32::try_from(fd).map_err(io::Error::other)?;
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the descriptor was just returned by the kernel and nobody else owns it.
    Ok(unsafe { File::from_raw_fd(fd) })
}

/// The value of a counter; extrapolated if it shared the hardware with others.
fn value(mut file: &File) -> Option<u64> {
    let mut bytes = [0; 24];
    file.read_exact(&mut bytes).ok()?;
    let word = |i: usize| bytes[i * 8..].first_chunk().map_or(0, |word| u64::from_ne_bytes(*word));
    scaled(word(0), word(1), word(2))
}

fn scaled(count: u64, wanted: u64, counted: u64) -> Option<u64> {
    match (wanted, counted) {
        (0, _) => Some(0),
        // Enabled, but it never ran.
        (_, 0) => None,
        _ => u64::try_from(u128::from(count) * u128::from(wanted) / u128::from(counted)).ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_read_after_any_name() {
        let line = "12 (a b) c) S 1 2 3 4 5 6 7 8 9 10 77 88 0 0 20";
        assert_eq!(ticks(line), Some((77, 88)));
        assert_eq!(ticks("12 (a"), None);
    }

    #[test]
    fn both_kinds_of_switches_are_counted() {
        let status = "Name:\tx\nvoluntary_ctxt_switches:\t12\nnonvoluntary_ctxt_switches:\t30\n";
        assert_eq!(switches_in(status), Some(42));
        assert_eq!(switches_in("Name:\tx\n"), None);
        assert!(switches(std::process::id()).is_some());
    }

    #[test]
    fn a_counter_that_shared_the_hardware_is_extrapolated() {
        assert_eq!(scaled(100, 50, 50), Some(100));
        assert_eq!(scaled(100, 50, 25), Some(200));
        assert_eq!(scaled(0, 50, 0), None);
        assert_eq!(scaled(0, 0, 0), Some(0));
    }

    #[test]
    fn a_busy_process_is_seen_to_be_busy() {
        let meter = Meter::open(std::process::id()).unwrap();
        let first = meter.read().unwrap();
        let mut last = first;
        while last.at.duration_since(first.at).as_millis() < 50 {
            last = meter.read().unwrap();
        }
        assert!(last.cpu_ns > first.cpu_ns);
    }

    #[test]
    fn system_calls_are_counted_where_they_can_be() {
        // The machine may refuse a counter; one that opens must count.
        let Ok(calls) = Syscalls::open(std::process::id()) else { return };
        let before = calls.read().unwrap();
        for _ in 0..10 {
            File::open("/proc/self/stat").unwrap();
        }
        assert!(calls.read().unwrap() >= before + 10);
    }
}
