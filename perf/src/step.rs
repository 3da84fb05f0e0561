//! Counts the user instructions of a process by stepping it, one instruction at a time.
//!
//! Slow, some 20 us for each instruction, but exact, the same on any machine, and independent of
//! hardware counters.

#[cfg(target_arch = "x86_64")]
mod ptrace;
mod shared;
#[cfg(all(test, target_arch = "x86_64"))]
mod tests;
#[cfg(target_arch = "x86_64")]
mod tracer;

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;

pub use shared::Profile;
use shared::Shared;

/// The counts of a process while it was stepped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Count {
    /// User instructions; a repeated string instruction counts once.
    pub instructions: u64,
    /// System calls that have returned.
    pub syscalls: u64,
}

/// Steps all threads of a process, until it is dropped.
pub struct Stepper {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<io::Result<Profile>>>,
}

impl Stepper {
    /// Attaches to all threads of the process and to those that it starts from now on. The stepping
    /// thread runs on `core`, which should be the core of the process: then no step needs to wake
    /// another core.
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
                    // The receiver waits for this message.
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

    /// The counts so far.
    pub fn read(&self) -> Count {
        Count {
            instructions: self.shared.instructions.load(Ordering::Relaxed),
            syscalls: self.shared.syscalls.load(Ordering::Relaxed),
        }
    }

    /// Detaches from the process, which continues normally.
    pub fn detach(self) -> io::Result<Count> {
        self.detach_with_profile().map(|(count, _)| count)
    }

    /// The same, and returns the executed addresses as well.
    pub fn detach_with_profile(mut self) -> io::Result<(Count, Profile)> {
        let profile = self.stop()?;
        Ok((self.read(), profile))
    }

    fn stop(&mut self) -> io::Result<Profile> {
        let Some(thread) = self.thread.take() else { return Ok(Profile::new()) };
        self.shared.stop.store(true, Ordering::Release);
        // Repeated, because a wake just before the thread starts to wait is lost.
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
        // An error means that the process has ended or that the kernel detaches by itself.
        let _ = self.stop();
    }
}
