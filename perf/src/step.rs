//! Counts the user instructions of a process by stepping it, one instruction at a time.
//!
//! Slow, some 20 us for each instruction, but exact, the same on any machine, and possible where
//! the hardware has no counters to offer.

#[cfg(target_arch = "x86_64")]
mod ptrace;
#[cfg(all(test, target_arch = "x86_64"))]
mod tests;
#[cfg(target_arch = "x86_64")]
mod tracer;

use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;

/// What a process has executed while it was stepped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Count {
    /// User instructions; a repeated string instruction counts once.
    pub instructions: u64,
    /// System calls that have returned.
    pub syscalls: u64,
}

/// How often the instruction at each address was executed.
pub type Profile = HashMap<u64, u64>;

/// What the thread that steps shares with the owner of the [`Stepper`].
#[derive(Default)]
struct Shared {
    instructions: AtomicU64,
    syscalls: AtomicU64,
    stop: AtomicBool,
}

/// Steps all threads of a process, until it is dropped.
pub struct Stepper {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<io::Result<Profile>>>,
}

impl Stepper {
    /// Takes hold of all threads of the process and of those that it starts from now on. The
    /// thread that steps them runs on `core`, best the one where the process runs: then no step
    /// needs another core to wake up.
    #[cfg(target_arch = "x86_64")]
    pub fn attach(pid: u32, core: usize) -> io::Result<Self> {
        let pid = libc::pid_t::try_from(pid).map_err(io::Error::other)?;
        ptrace::prepare_wake()?;
        let shared = Arc::new(Shared::default());
        let (sender, attached) = std::sync::mpsc::channel();
        let of_thread = Arc::clone(&shared);
        let thread = std::thread::Builder::new().name("stepper".to_owned()).spawn(move || {
            match tracer::Tracer::attach(pid, core, &of_thread) {
                Ok(tracer) => {
                    // The receiver waits for it.
                    let _ = sender.send(Ok(()));
                    tracer.run()
                }
                Err(e) => {
                    let _ = sender.send(Err(e));
                    Ok(Profile::new())
                }
            }
        })?;
        let stepper = Self { shared, thread: Some(thread) };
        attached.recv().map_err(|_| io::Error::other("the stepping thread died"))??;
        Ok(stepper)
    }

    /// Only x86-64 has this.
    #[cfg(not(target_arch = "x86_64"))]
    pub fn attach(_pid: u32, _core: usize) -> io::Result<Self> {
        Err(io::Error::new(io::ErrorKind::Unsupported, "instructions are stepped on x86-64 only"))
    }

    /// What has been counted so far.
    pub fn read(&self) -> Count {
        Count {
            instructions: self.shared.instructions.load(Ordering::Relaxed),
            syscalls: self.shared.syscalls.load(Ordering::Relaxed),
        }
    }

    /// Lets go of the process, which runs on as if nothing had been.
    pub fn detach(self) -> io::Result<Count> {
        self.detach_with_profile().map(|(count, _)| count)
    }

    /// The same, and tells where the instructions were.
    pub fn detach_with_profile(mut self) -> io::Result<(Count, Profile)> {
        let profile = self.stop()?;
        Ok((self.read(), profile))
    }

    fn stop(&mut self) -> io::Result<Profile> {
        let Some(thread) = self.thread.take() else { return Ok(Profile::new()) };
        self.shared.stop.store(true, Ordering::Release);
        // Again and again: a wake that comes just before the thread goes to wait is lost.
        #[cfg(target_arch = "x86_64")]
        while !thread.is_finished() {
            ptrace::wake(&thread);
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
        thread.join().unwrap_or_else(|_| Err(io::Error::other("the stepping thread panicked")))
    }
}

impl Drop for Stepper {
    fn drop(&mut self) {
        // An error means that the process is gone or that the kernel lets go of it by itself.
        let _ = self.stop();
    }
}
