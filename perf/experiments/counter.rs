//! Hardware instruction counters of the calling thread, where the machine has them.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::FromRawFd;

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

fn open(exclude: u64) -> io::Result<File> {
    let attr = Attr {
        kind: HARDWARE,
        size: 64,
        config: INSTRUCTIONS,
        flags: exclude | EXCLUDE_HYPERVISOR,
        ..Attr::default()
    };
    let at = &raw const attr;
    // SAFETY: `at` points at a live attribute of the size it states; pid 0 and cpu -1 mean the
    // calling thread on any core, and no group or flags are given.
    let fd = unsafe { libc::syscall(libc::SYS_perf_event_open, at, 0, -1, -1, 0) };
    let fd = i32::try_from(fd).map_err(io::Error::other)?;
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the descriptor was just returned by the kernel and nobody else owns it.
    Ok(unsafe { File::from_raw_fd(fd) })
}

/// Counts retired instructions in user and kernel mode.
pub(crate) struct Counters {
    user: File,
    kernel: File,
}

impl Counters {
    /// Opens both counters; an error means that this machine or its policy has none.
    pub(crate) fn open() -> io::Result<Self> {
        Ok(Self { user: open(EXCLUDE_KERNEL)?, kernel: open(EXCLUDE_USER)? })
    }

    /// The counts so far: (user, kernel).
    pub(crate) fn read(&self) -> (u64, u64) {
        (value(&self.user), value(&self.kernel))
    }
}

fn value(mut file: &File) -> u64 {
    let mut bytes = [0; 8];
    match file.read_exact(&mut bytes) {
        Ok(()) => u64::from_ne_bytes(bytes),
        Err(_) => 0,
    }
}
