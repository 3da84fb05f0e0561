//! The calls of `ptrace` that stepping needs.

use std::io;
use std::os::unix::thread::JoinHandleExt;
use std::ptr;
use std::thread::JoinHandle;

use libc::{c_int, c_long, c_void, pid_t};

/// `si_code` of SIGTRAP after a system call that was stepped over.
pub(super) const TRAP_BRKPT: c_int = 1;
/// `si_code` of SIGTRAP after any other instruction.
pub(super) const TRAP_TRACE: c_int = 2;

/// An event of a thread.
pub(super) enum Event {
    /// It has ended.
    Gone,
    /// It stopped for a signal, which it gets only if that is passed on.
    Signal(c_int),
    /// It stopped because the whole process stops, as after SIGSTOP.
    GroupStop,
    /// It has executed another program.
    Exec,
    /// It stopped for an event that needs no reaction: an interruption by the tracer, a new thread.
    Notice,
}

fn call(request: libc::c_uint, tid: pid_t, data: c_long) -> io::Result<()> {
    let nowhere = ptr::null_mut::<c_void>();
    // SAFETY: the requests that come here take a number as data and write no memory of ours.
    match unsafe { libc::ptrace(request, tid, nowhere, data) } {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}

/// Becomes the tracer of a thread, which continues.
pub(super) fn seize(tid: pid_t) -> io::Result<()> {
    let options = libc::PTRACE_O_TRACECLONE | libc::PTRACE_O_TRACEEXEC;
    call(libc::PTRACE_SEIZE, tid, c_long::from(options))
}

/// Interrupts a thread, inside or outside the kernel.
pub(super) fn interrupt(tid: pid_t) -> io::Result<()> {
    call(libc::PTRACE_INTERRUPT, tid, 0)
}

/// Makes a stopped thread execute one instruction, with a signal if that is not 0.
pub(super) fn step(tid: pid_t, signal: c_int) -> io::Result<()> {
    call(libc::PTRACE_SINGLESTEP, tid, c_long::from(signal))
}

/// Continues a stopped thread.
pub(super) fn resume(tid: pid_t) -> io::Result<()> {
    call(libc::PTRACE_CONT, tid, 0)
}

/// Leaves a thread in the group-stop of its process.
pub(super) fn listen(tid: pid_t) -> io::Result<()> {
    call(libc::PTRACE_LISTEN, tid, 0)
}

/// Detaches from a stopped thread.
pub(super) fn detach(tid: pid_t, signal: c_int) -> io::Result<()> {
    call(libc::PTRACE_DETACH, tid, c_long::from(signal))
}

/// The `si_code` and the address in the signal that a thread has stopped for. For the traps of
/// stepping the address is that of the next instruction.
pub(super) fn trap(tid: pid_t) -> io::Result<(c_int, u64)> {
    // SAFETY: an all-zero siginfo_t is a valid value of that plain C struct.
    let mut info: libc::siginfo_t = unsafe { std::mem::zeroed() };
    let (nowhere, at) = (ptr::null_mut::<c_void>(), &raw mut info);
    // SAFETY: `at` points at a live siginfo_t, which is what this request fills in.
    if unsafe { libc::ptrace(libc::PTRACE_GETSIGINFO, tid, nowhere, at) } == -1 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: `info` is of SIGTRAP, whose siginfo has room for an address, filled in or zero.
    let address = unsafe { info.si_addr() };
    Ok((info.si_code, address.addr() as u64))
}

/// The address of the next instruction of a stopped thread.
pub(super) fn address(tid: pid_t) -> io::Result<u64> {
    peek(libc::PTRACE_PEEKUSER, tid, std::mem::offset_of!(libc::user_regs_struct, rip))
}

/// Eight bytes of code, padded with zeros if less is mapped.
pub(super) fn code(tid: pid_t, address: u64) -> io::Result<[u8; 8]> {
    let address = usize::try_from(address).map_err(io::Error::other)?;
    let word = peek(libc::PTRACE_PEEKTEXT, tid, address).or_else(|_| {
        let skip = address % 8;
        peek(libc::PTRACE_PEEKTEXT, tid, address - skip).map(|word| word >> (8 * skip))
    });
    word.map(u64::to_le_bytes)
}

fn peek(request: libc::c_uint, tid: pid_t, address: usize) -> io::Result<u64> {
    let mut word = 0_u64;
    let (from, to) = (ptr::without_provenance_mut::<c_void>(address), &raw mut word);
    // The libc wrapper would return the word as its result, where it cannot be told from an error;
    // the system call writes it to memory.
    // SAFETY: `to` points at a live word for the result; `from` is an address in the tracee.
    match unsafe { libc::syscall(libc::SYS_ptrace, request, tid, from, to) } {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(word),
    }
}

/// Waits for an event of a thread that the calling thread traces. `Interrupted` if [`wake`] was
/// called.
pub(super) fn wait() -> io::Result<(pid_t, Event)> {
    let mut status = 0;
    // Without __WNOTHREAD this would also reap children of other threads.
    let options = libc::__WALL | libc::__WNOTHREAD;
    // SAFETY: `status` is a live integer that the kernel fills in.
    let tid = unsafe { libc::waitpid(-1, &raw mut status, options) };
    if tid == -1 {
        return Err(io::Error::last_os_error());
    }
    if !libc::WIFSTOPPED(status) {
        return Ok((tid, Event::Gone));
    }
    let signal = libc::WSTOPSIG(status);
    let event = match status >> 16 {
        0 => Event::Signal(signal),
        libc::PTRACE_EVENT_STOP if signal != libc::SIGTRAP => Event::GroupStop,
        libc::PTRACE_EVENT_EXEC => Event::Exec,
        _ => Event::Notice,
    };
    Ok((tid, event))
}

/// The signal that interrupts a [`wait`]; programs have no other use for it.
fn wake_signal() -> c_int {
    libc::SIGRTMIN() + 5
}

extern "C" fn on_wake(_: c_int) {}

/// Installs the handler for [`wake`].
pub(super) fn prepare_wake() -> io::Result<()> {
    // SAFETY: an all-zero sigaction is valid: no flags, so that waiting is not taken up again.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    action.sa_sigaction = on_wake as extern "C" fn(c_int) as libc::sighandler_t;
    let (at, old) = (&raw const action, ptr::null_mut());
    // SAFETY: `at` points at a live action, whose handler does nothing and lives forever.
    match unsafe { libc::sigaction(wake_signal(), at, old) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Interrupts the [`wait`] of a thread.
pub(super) fn wake<T>(thread: &JoinHandle<T>) {
    // SAFETY: a thread that has not been joined has a valid id, even if it has ended.
    unsafe { libc::pthread_kill(thread.as_pthread_t(), wake_signal()) };
}
