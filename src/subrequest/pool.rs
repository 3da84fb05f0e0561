//! The threads that ask.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, Once, PoisonError};
use std::thread;

use rustix::process::nice;

use super::error::SetupError;

/// The most jobs that wait for each thread.
const WAITING: usize = 64;

/// The niceness of the threads. Each has 1.5 % of the share of a loop (sched(7)).
const LEAST: i32 = 19;

/// A job: it is run, or dropped.
pub(super) type Job = Box<dyn FnOnce() + Send>;

/// Threads that run jobs. They end when this is dropped, each after its job.
#[derive(Debug)]
pub(super) struct Pool {
    sender: SyncSender<Job>,
}

impl Pool {
    /// Starts so many threads.
    pub(super) fn start(threads: usize) -> Result<Self, SetupError> {
        let (sender, receiver) = sync_channel(threads * WAITING);
        let receiver = Arc::new(Mutex::new(receiver));
        for _ in 0..threads {
            let receiver = Arc::clone(&receiver);
            let thread = thread::Builder::new().name("corecast-auth".to_owned());
            let run = move || {
                yield_to_loops();
                run(&receiver);
            };
            thread.spawn(run).map_err(SetupError::Thread)?;
        }
        Ok(Self { sender })
    }

    /// Adds a job. Returns it if too many wait.
    pub(super) fn add(&self, job: Job) -> Result<(), Job> {
        self.sender.try_send(job).map_err(|error| match error {
            TrySendError::Full(job) | TrySendError::Disconnected(job) => job,
        })
    }
}

/// Gives the calling thread the least share of a core that others want as well: a loop waits for
/// all connections, and these threads for one handshake each. Not SCHED_IDLE, by which they would
/// hardly run beside other programs that are busy, and clients would be refused.
fn yield_to_loops() {
    // It is the same for all threads.
    static TOLD: Once = Once::new();
    if let Err(error) = nice(LEAST) {
        TOLD.call_once(|| {
            tracing::warn!(
                "the threads that ask the backend of auth-url take as large a share of the cores \
                 as the loops, since their niceness cannot be set: {error}; a seccomp profile has \
                 to allow getpriority and setpriority"
            );
        });
    }
}

fn run(receiver: &Mutex<Receiver<Job>>) {
    loop {
        // One thread waits for a job, and the others for that one.
        let job = receiver.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(job) = job else { return };
        // A job that panics is dropped with its reply, which refuses the client. The hook of
        // panics has told of it.
        let _ = catch_unwind(AssertUnwindSafe(job));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use rustix::process::getpriority_process;

    use super::*;

    #[test]
    fn jobs_run_and_a_panic_ends_no_thread() {
        let pool = Pool::start(1).unwrap();
        let (done, wait) = channel();
        assert!(pool.add(Box::new(|| panic!("on purpose"))).is_ok());
        assert!(pool.add(Box::new(move || done.send(7).unwrap())).is_ok());
        assert_eq!(wait.recv().unwrap(), 7);
    }

    #[test]
    fn its_threads_leave_the_core_to_others() {
        let pool = Pool::start(2).unwrap();
        let (told, tells) = channel();
        assert!(pool.add(Box::new(move || told.send(getpriority_process(None)).unwrap())).is_ok());
        assert_eq!(tells.recv().unwrap(), Ok(LEAST));
        assert_ne!(getpriority_process(None), Ok(LEAST), "this thread is none of them");
    }

    #[test]
    fn so_many_jobs_wait_and_no_more() {
        let pool = Pool::start(1).unwrap();
        let (go, wait) = channel::<()>();
        let (begun, is_begun) = channel();
        let first = move || {
            begun.send(()).unwrap();
            let _ = wait.recv();
        };
        assert!(pool.add(Box::new(first)).is_ok());
        is_begun.recv().unwrap();
        for number in 0..WAITING {
            assert!(pool.add(Box::new(|| {})).is_ok(), "{number}");
        }
        assert!(pool.add(Box::new(|| {})).is_err());
        drop(go);
    }
}
