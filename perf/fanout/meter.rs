//! What a server process has used: CPU time, and instructions where the machine counts them.

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

const HARDWARE: u32 = 0;
const INSTRUCTIONS: u64 = 1;
const EXCLUDE_USER: u64 = 1 << 4;
const EXCLUDE_KERNEL: u64 = 1 << 5;
const EXCLUDE_HYPERVISOR: u64 = 1 << 6;

/// The state of all meters at one moment.
#[derive(Clone, Copy)]
pub(crate) struct Reading {
    pub(crate) at: Instant,
    /// CPU time of all threads, to the nanosecond.
    pub(crate) cpu_ns: u64,
    /// The same in clock ticks, user and system: coarse, good for the share of each.
    pub(crate) ticks: (u64, u64),
    /// Instructions of all threads, user and kernel.
    pub(crate) instructions: Option<(u64, u64)>,
}

/// Reads what one process uses.
pub(crate) struct Meter {
    pid: u32,
    clock: libc::clockid_t,
    /// Two for each thread: user and kernel.
    counters: io::Result<Vec<(File, File)>>,
}

impl Meter {
    /// A meter of all threads that the process has now.
    pub(crate) fn open(pid: u32) -> io::Result<Self> {
        let id = libc::pid_t::try_from(pid).map_err(io::Error::other)?;
        let mut clock = 0;
        // SAFETY: `clock` is a live clock id that the call fills in.
        match unsafe { libc::clock_getcpuclockid(id, &raw mut clock) } {
            0 => Ok(Self { pid, clock, counters: open_counters(pid) }),
            error => Err(io::Error::from_raw_os_error(error)),
        }
    }

    /// Why there are no instruction counters, if there are none.
    pub(crate) fn counter_error(&self) -> Option<&io::Error> {
        self.counters.as_ref().err()
    }

    /// Everything so far.
    pub(crate) fn read(&self) -> io::Result<Reading> {
        let mut ts = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        // SAFETY: `ts` is a live timespec that the kernel fills in.
        if unsafe { libc::clock_gettime(self.clock, &raw mut ts) } != 0 {
            return Err(io::Error::last_os_error());
        }
        let part = |n: i64| u64::try_from(n).unwrap_or(0);
        let sum = |counters: &Vec<(File, File)>| {
            counters
                .iter()
                .fold((0, 0), |sum, (user, kernel)| (sum.0 + value(user), sum.1 + value(kernel)))
        };
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.pid))?;
        Ok(Reading {
            at: Instant::now(),
            cpu_ns: part(ts.tv_sec) * 1_000_000_000 + part(ts.tv_nsec),
            ticks: ticks(&stat).ok_or_else(|| io::Error::other("malformed /proc/PID/stat"))?,
            instructions: self.counters.as_ref().ok().map(sum),
        })
    }
}

/// User and system time in a line of /proc/PID/stat; the name in it may hold anything.
fn ticks(stat: &str) -> Option<(u64, u64)> {
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
    Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
}

fn open_counters(pid: u32) -> io::Result<Vec<(File, File)>> {
    let mut counters = Vec::new();
    for task in fs::read_dir(format!("/proc/{pid}/task"))? {
        let name = task?.file_name().into_string().unwrap_or_default();
        let tid = name.parse().map_err(io::Error::other)?;
        counters.push((open(tid, EXCLUDE_KERNEL)?, open(tid, EXCLUDE_USER)?));
    }
    Ok(counters)
}

fn open(tid: libc::pid_t, exclude: u64) -> io::Result<File> {
    let attr = Attr {
        kind: HARDWARE,
        size: 64,
        config: INSTRUCTIONS,
        flags: exclude | EXCLUDE_HYPERVISOR,
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

fn value(mut file: &File) -> u64 {
    let mut bytes = [0; 8];
    match file.read_exact(&mut bytes) {
        Ok(()) => u64::from_ne_bytes(bytes),
        Err(_) => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_read_behind_any_name() {
        let line = "12 (a b) c) S 1 2 3 4 5 6 7 8 9 10 77 88 0 0 20";
        assert_eq!(ticks(line), Some((77, 88)));
        assert_eq!(ticks("12 (a"), None);
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
}
