//! The machine of the measurements, and its memory in use.

use std::fs;
use std::io;
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use rustix::process::{Resource, getrlimit};

use crate::meter::{Meter, page_size};
use crate::results::Machine;
use crate::sys;

/// The fields of /proc/meminfo in which the kernel counts memory of connections.
const KERNEL_FIELDS: [&str; 4] = ["Slab:", "KernelStack:", "PageTables:", "Percpu:"];

/// Describes this machine.
pub fn describe(notes: Vec<String>) -> Machine {
    let counters = match Meter::open(std::process::id()) {
        Ok(meter) => meter.counter_error().map(without_counters),
        Err(e) => Some(without_counters(&e)),
    };
    Machine {
        kernel: sys::kernel_release(),
        cpu: sys::cpu_model(),
        cores: std::thread::available_parallelism().map_or(1, Into::into),
        rustc: first_line(Command::new("rustc").arg("--version")).unwrap_or_default(),
        counters,
        max_files: max_files(),
        notes,
    }
}

/// The reason why instructions are not counted, with a remedy.
fn without_counters(e: &io::Error) -> String {
    match e.raw_os_error() {
        Some(libc::ENOENT | libc::EOPNOTSUPP) => {
            format!("this machine has no counters to offer (perf_event_open: {e})")
        }
        Some(libc::EACCES | libc::EPERM) => format!(
            "perf_event_open is not allowed ({e}); be root, or set kernel.perf_event_paranoid to -1"
        ),
        _ => format!("perf_event_open: {e}"),
    }
}

/// The hard limit of open files.
pub fn max_files() -> u64 {
    getrlimit(Resource::Nofile).maximum.unwrap_or(u64::MAX)
}

/// The first line of a program's output, if it runs.
pub fn first_line(command: &mut Command) -> Option<String> {
    let output = command.output().ok().filter(|output| output.status.success())?;
    Some(String::from_utf8_lossy(&output.stdout).lines().next()?.trim().to_owned())
}

/// Today in UTC, such as 2026-01-31.
pub fn today() -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    date(now.as_secs() / 86_400)
}

/// The date that is this number of days after 1 January 1970.
fn date(days: u64) -> String {
    let leap =
        |year: u64| year.is_multiple_of(4) && !year.is_multiple_of(100) || year.is_multiple_of(400);
    let (mut year, mut rest) = (1970, days);
    while rest >= 365 + u64::from(leap(year)) {
        rest -= 365 + u64::from(leap(year));
        year += 1;
    }
    let february = 28 + u64::from(leap(year));
    let mut month = 1;
    for length in [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] {
        if rest < length {
            break;
        }
        rest -= length;
        month += 1;
    }
    format!("{year}-{month:02}-{:02}", rest + 1)
}

/// The resident memory of a process in bytes.
pub fn resident(pid: u32) -> io::Result<u64> {
    // This file is computed page by page; /proc/PID/statm may be some hundred KiB off.
    let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup"))?;
    let kib = fields(&text, &["Rss:"]);
    if kib == 0 { Err(io::Error::other("malformed smaps_rollup")) } else { Ok(kib * 1024) }
}

/// The kernel's memory for its own objects and for socket buffers in bytes.
pub fn kernel_memory() -> io::Result<u64> {
    let objects = fields(&fs::read_to_string("/proc/meminfo")?, &KERNEL_FIELDS) * 1024;
    let sockets = socket_pages(&fs::read_to_string("/proc/net/sockstat")?);
    Ok(objects + sockets * page_size())
}

/// The sum of some fields of a file of /proc, most of which count in KiB. A kernel may lack any of
/// them.
fn fields(text: &str, names: &[&str]) -> u64 {
    let values = text.lines().filter_map(|line| {
        let value = names.iter().find_map(|name| line.strip_prefix(name))?;
        value.split_whitespace().next()?.parse::<u64>().ok()
    });
    values.sum()
}

/// The number of pages that TCP sockets hold.
fn socket_pages(sockstat: &str) -> u64 {
    let tcp = sockstat.lines().find(|line| line.starts_with("TCP:"));
    let mut words = tcp.unwrap_or_default().split_whitespace().skip_while(|word| *word != "mem");
    words.nth(1).and_then(|pages| pages.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_become_dates() {
        for (days, expected) in [
            (0, "1970-01-01"),
            (31, "1970-02-01"),
            (11_016, "2000-02-29"),
            (11_017, "2000-03-01"),
            (20_453, "2025-12-31"),
            (20_454, "2026-01-01"),
        ] {
            assert_eq!(date(days), expected);
        }
    }

    #[test]
    fn memory_of_the_kernel_is_summed() {
        let meminfo = "MemTotal:  9 kB\nSlab:  10 kB\nKernelStack:  2 kB\nPageTables: 3 kB\n";
        assert_eq!(fields(meminfo, &KERNEL_FIELDS), 15);
        let sockstat = "sockets: used 3\nTCP: inuse 1 orphan 0 tw 5 alloc 1 mem 7\nUDP: mem 9\n";
        assert_eq!((socket_pages(sockstat), socket_pages("")), (7, 0));
    }

    #[test]
    fn this_process_is_somewhere_in_memory() {
        assert!(resident(std::process::id()).unwrap() > 0);
        assert!(kernel_memory().unwrap() > 0);
        assert_eq!(today().len(), 10);
    }
}
