//! The stepping thread: it waits for stops of the traced threads and continues them.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use libc::{c_int, pid_t};

use super::ptrace::{self, Event, TRAP_BRKPT, TRAP_TRACE};
use super::shared::{Profile, Shared};
use crate::sys;

/// The time that the threads of the process may take to stop when the tracer detaches.
const LEAVE_LIMIT: Duration = Duration::from_secs(10);

pub(super) struct Tracer<'a> {
    pid: pid_t,
    shared: &'a Shared,
    /// The traced threads with the address of the instruction that each is executing.
    threads: HashMap<pid_t, u64>,
    profile: Profile,
    /// The deadline for detaching.
    leave_by: Option<Instant>,
}

impl<'a> Tracer<'a> {
    /// Traces all threads of the process, for the calling thread, which moves to `core`.
    pub(super) fn attach(pid: pid_t, core: usize, shared: &'a Shared) -> io::Result<Self> {
        sys::pin(core)?;
        let mut threads = HashMap::new();
        // A thread may start others during this loop; those of a traced thread are traced
        // automatically.
        loop {
            let known = threads.len();
            for tid in tids(pid)? {
                if !threads.contains_key(&tid) && seize(pid, tid)? {
                    threads.insert(tid, 0);
                }
            }
            if threads.len() == known {
                break;
            }
        }
        for tid in threads.keys() {
            unless_gone(ptrace::interrupt(*tid))?;
        }
        Ok(Self { pid, shared, threads, profile: Profile::new(), leave_by: None })
    }

    /// Steps until it is stopped or the process has ended.
    pub(super) fn run(mut self) -> io::Result<Profile> {
        loop {
            if self.leave_by.is_none() && self.shared.stop.load(Ordering::Acquire) {
                self.leave_by = Some(Instant::now() + LEAVE_LIMIT);
                for tid in self.threads.keys() {
                    unless_gone(ptrace::interrupt(*tid))?;
                }
            }
            if self.threads.is_empty() {
                return Ok(self.profile);
            }
            match ptrace::wait() {
                Ok((tid, event)) => unless_gone(self.on_event(tid, event))?,
                Err(e) if e.raw_os_error() == Some(libc::ECHILD) => return Ok(self.profile),
                Err(e) if e.kind() != io::ErrorKind::Interrupted => return Err(e),
                Err(_) if self.leave_by.is_some_and(|end| Instant::now() > end) => {
                    return Err(io::Error::other("a thread of the stepped process does not stop"));
                }
                Err(_) => {}
            }
        }
    }

    fn on_event(&mut self, tid: pid_t, event: Event) -> io::Result<()> {
        match event {
            Event::Gone => {
                self.threads.remove(&tid);
                Ok(())
            }
            Event::Signal(libc::SIGTRAP) => self.on_trap(tid),
            Event::Signal(signal) => self.go_on(tid, ptrace::address(tid)?, signal),
            Event::GroupStop if self.leave_by.is_none() => {
                self.threads.entry(tid).or_default();
                ptrace::listen(tid)
            }
            Event::Exec => {
                // The addresses now have other code, and one thread is left, the first.
                self.profile.clear();
                self.threads.retain(|known, _| *known == tid);
                self.go_on(tid, ptrace::address(tid)?, 0)
            }
            Event::GroupStop | Event::Notice => {
                // The trap of a last step may be pending after this stop. It would kill an untraced
                // process.
                if self.leave_by.is_some() && trap_is_pending(self.pid, tid) {
                    return ptrace::resume(tid);
                }
                self.go_on(tid, ptrace::address(tid)?, 0)
            }
        }
    }

    fn on_trap(&mut self, tid: pid_t) -> io::Result<()> {
        match ptrace::trap(tid)? {
            (code @ (TRAP_BRKPT | TRAP_TRACE), next) => {
                let at = self.threads.get(&tid).copied().unwrap_or_default();
                // A repeated string instruction keeps its address until it is done.
                if at != next || !repeats(ptrace::code(tid, at)?) {
                    self.shared.instructions.fetch_add(1, Ordering::Relaxed);
                    *self.profile.entry(at).or_default() += 1;
                }
                if code == TRAP_BRKPT {
                    self.shared.syscalls.fetch_add(1, Ordering::Relaxed);
                }
                self.go_on(tid, next, 0)
            }
            // The kernel reports the start of a signal handler in this way.
            (libc::SIGTRAP, _) => self.go_on(tid, ptrace::address(tid)?, 0),
            // A breakpoint or a signal from elsewhere: passed on.
            _ => self.go_on(tid, ptrace::address(tid)?, libc::SIGTRAP),
        }
    }

    /// Makes a stopped thread execute the instruction at `next`, or detaches from it.
    fn go_on(&mut self, tid: pid_t, next: u64, signal: c_int) -> io::Result<()> {
        if self.leave_by.is_some() {
            self.threads.remove(&tid);
            return ptrace::detach(tid, signal);
        }
        self.threads.insert(tid, next);
        ptrace::step(tid, signal)
    }
}

/// The threads of a process.
fn tids(pid: pid_t) -> io::Result<Vec<pid_t>> {
    let entries = fs::read_dir(format!("/proc/{pid}/task")).map_err(|e| {
        io::Error::new(e.kind(), format!("there is no process {pid} to step ({e})"))
    })?;
    let names = entries.map_while(Result::ok).map(|entry| entry.file_name());
    Ok(names.filter_map(|name| name.to_str()?.parse().ok()).collect())
}

/// Traces one thread. `false` if it has ended or is an io_uring worker inside the kernel, which
/// executes no user instructions and cannot be traced.
fn seize(pid: pid_t, tid: pid_t) -> io::Result<bool> {
    let Err(error) = ptrace::seize(tid) else { return Ok(true) };
    let name = fs::read_to_string(format!("/proc/{pid}/task/{tid}/comm")).unwrap_or_default();
    if error.raw_os_error() == Some(libc::ESRCH) || name.starts_with("iou-") {
        return Ok(false);
    }
    if error.kind() != io::ErrorKind::PermissionDenied {
        return Err(error);
    }
    Err(io::Error::new(
        error.kind(),
        format!(
            "the kernel refuses to trace process {pid} ({error}). Another tracer may have it (see \
             TracerPid in /proc/{pid}/status); else run as root, or allow it with `sysctl \
             kernel.yama.ptrace_scope=0`; a container needs `--cap-add SYS_PTRACE`"
        ),
    ))
}

/// Calls for a thread that is killed while stopped fail; its end is reported later.
fn unless_gone(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(e) if e.raw_os_error() == Some(libc::ESRCH) => Ok(()),
        other => other,
    }
}

/// Whether SIGTRAP is pending for a thread.
fn trap_is_pending(pid: pid_t, tid: pid_t) -> bool {
    let status = fs::read_to_string(format!("/proc/{pid}/task/{tid}/status")).unwrap_or_default();
    let set = status.lines().find_map(|line| line.strip_prefix("SigPnd:"));
    let set = set.and_then(|text| u64::from_str_radix(text.trim(), 16).ok());
    set.is_some_and(|set| set & 1 << (libc::SIGTRAP - 1) != 0)
}

/// Whether the code begins with a repeated string instruction.
fn repeats(code: [u8; 8]) -> bool {
    let prefix = |byte: &u8| matches!(byte, 0x40..=0x4f | 0x66 | 0x67 | 0xf2 | 0xf3);
    let prefixes = code.iter().take_while(|byte| prefix(byte)).count();
    let opcode = code.get(prefixes).copied().unwrap_or_default();
    code[..prefixes].iter().any(|byte| matches!(byte, 0xf2 | 0xf3))
        && matches!(opcode, 0x6c..=0x6f | 0xa4..=0xa7 | 0xaa..=0xaf)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repeated_string_instructions_are_recognised() {
        for code in [&[0xf3, 0xa4][..], &[0xf3, 0x48, 0xab], &[0xf2, 0xae], &[0x66, 0xf3, 0xa5]] {
            let mut bytes = [0x90; 8];
            bytes[..code.len()].copy_from_slice(code);
            assert!(repeats(bytes), "{code:x?}");
        }
        // movsb alone, pause, endbr64, a jump to itself.
        for code in [&[0xa4][..], &[0xf3, 0x90], &[0xf3, 0x0f, 0x1e, 0xfa], &[0xeb, 0xfe]] {
            let mut bytes = [0x90; 8];
            bytes[..code.len()].copy_from_slice(code);
            assert!(!repeats(bytes), "{code:x?}");
        }
    }
}
