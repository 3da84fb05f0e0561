//! Thin wrappers over system calls that the programs here need besides io_uring.

use std::io;
use std::os::fd::RawFd;
use std::ptr;

/// Turns the `-1` convention of libc into an `io::Result`.
fn check(rc: libc::c_int) -> io::Result<()> {
    if rc < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// A length as the `u32` that ring entries carry; every length here is far below the limit.
pub fn len32(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

/// Pins the calling thread to one core.
pub fn pin(core: usize) -> io::Result<()> {
    // SAFETY: an all-zero cpu_set_t is the empty set, a valid value of that plain C struct.
    let mut set: libc::cpu_set_t = unsafe { std::mem::zeroed() };
    // SAFETY: CPU_SET only sets a bit inside `set`, and bounds-checks the core number.
    unsafe { libc::CPU_SET(core, &mut set) };
    let size = size_of::<libc::cpu_set_t>();
    // SAFETY: the pointer and size describe the live local `set`; the kernel only reads it.
    check(unsafe { libc::sched_setaffinity(0, size, &raw const set) })
}

/// CPU time of the calling thread in nanoseconds, user and kernel.
pub fn thread_cpu_ns() -> u64 {
    let mut ts = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `ts` is a live timespec that the kernel fills in.
    unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut ts) };
    let secs = u64::try_from(ts.tv_sec).unwrap_or(0);
    secs * 1_000_000_000 + u64::try_from(ts.tv_nsec).unwrap_or(0)
}

/// Context switches of the calling thread so far, voluntary and involuntary.
pub fn thread_switches() -> u64 {
    // SAFETY: an all-zero rusage is a valid value of that plain C struct.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: `usage` is a live rusage that the kernel fills in.
    unsafe { libc::getrusage(libc::RUSAGE_THREAD, &raw mut usage) };
    u64::try_from(usage.ru_nvcsw + usage.ru_nivcsw).unwrap_or(0)
}

/// Restores the default effect of SIGPIPE, which Rust programs start with ignored.
pub fn default_sigpipe() {
    // SAFETY: the default disposition runs no code of this program.
    unsafe { libc::signal(libc::SIGPIPE, libc::SIG_DFL) };
}

/// Makes `close` send RST, so that thousands of test connections leave no TIME_WAIT behind.
pub fn linger_zero(fd: RawFd) -> io::Result<()> {
    let value = libc::linger { l_onoff: 1, l_linger: 0 };
    let size = libc::socklen_t::try_from(size_of::<libc::linger>()).unwrap_or(8);
    let at = (&raw const value).cast();
    // SAFETY: `at` points at a live linger and `size` is its size; the kernel only reads it.
    check(unsafe { libc::setsockopt(fd, libc::SOL_SOCKET, libc::SO_LINGER, at, size) })
}

/// The release of the running kernel ("6.18.0").
pub fn kernel_release() -> String {
    let text = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    text.trim().to_owned()
}

/// The CPU model as the kernel names it.
pub fn cpu_model() -> String {
    let text = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let line = text.lines().find(|l| l.starts_with("model name"));
    line.and_then(|l| l.split_once(':')).map_or("unknown", |(_, v)| v.trim()).to_owned()
}

/// Page-aligned, zeroed, already faulted-in memory shared with the kernel.
pub struct Region {
    base: *mut u8,
    len: usize,
}

impl Region {
    /// Maps `len` bytes (at least one page).
    pub fn new(len: usize) -> io::Result<Self> {
        let len = len.max(4096);
        let prot = libc::PROT_READ | libc::PROT_WRITE;
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_POPULATE;
        // SAFETY: a fresh anonymous mapping at an address of the kernel's choice aliases nothing.
        let base = unsafe { libc::mmap(ptr::null_mut(), len, prot, flags, -1, 0) };
        if base == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        Ok(Self { base: base.cast(), len })
    }

    /// The address of byte `offset`, which must be inside the region.
    pub fn at(&self, offset: usize) -> *mut u8 {
        assert!(offset <= self.len, "offset {offset} is outside a region of {} bytes", self.len);
        // SAFETY: the assertion keeps the result inside the mapping or one past its end.
        unsafe { self.base.add(offset) }
    }

    /// Copies `bytes` to `offset`.
    pub fn write(&self, offset: usize, bytes: &[u8]) {
        assert!(offset + bytes.len() <= self.len, "write past the end of a region");
        let to = self.at(offset);
        // SAFETY: the destination range is inside the mapping, which cannot overlap `bytes`.
        unsafe { ptr::copy_nonoverlapping(bytes.as_ptr(), to, bytes.len()) };
    }
}

impl Drop for Region {
    fn drop(&mut self) {
        // SAFETY: base and len are those of the mapping made in `new`, unmapped only here.
        unsafe { libc::munmap(self.base.cast(), self.len) };
    }
}
