//! A server that runs, for any thread.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::io::Errno;

use super::control::{self, CoreControl, CoreStats, Request, Stop};
use crate::app::{ConnectionHandle, PublishError, Publisher};
use crate::error::Error;
use crate::io::Wake;
use crate::io::uring::Features;
use crate::pubsub::Payload;
use crate::worker::Stats;

/// How long a core may take to answer a question.
const PATIENCE: Duration = Duration::from_secs(1);

/// A running server. All clones are the same server, and every method may be called from any
/// thread.
///
/// Dropping the handles does not stop the server: its threads serve on until [`drain`](Self::drain)
/// or [`stop`](Self::stop) is called or the process ends. A process ends when `main` returns, so
/// `main` usually ends with [`join`](Self::join).
#[derive(Clone, Debug)]
pub struct ServerHandle(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    parts: Parts,
    features: OnceLock<Features>,
    next_publisher: AtomicUsize,
    joined: Mutex<Joined>,
}

/// What a handle is made of.
#[derive(Debug)]
pub(super) struct Parts {
    pub(super) addresses: Vec<SocketAddr>,
    pub(super) cores: Vec<usize>,
    pub(super) connections: u32,
    pub(super) publishers: Vec<Publisher>,
    pub(super) controls: Vec<Arc<CoreControl>>,
    pub(super) stop: Arc<Stop>,
}

/// The threads that still run or were not waited for, and how the others have ended.
#[derive(Debug, Default)]
struct Joined {
    threads: Vec<JoinHandle<Result<Stats, Failure>>>,
    stats: Vec<Stats>,
    failure: Option<Failure>,
}

/// Why the thread of a core has failed.
#[derive(Clone, Debug)]
pub(super) enum Failure {
    Ring(Errno),
    Panic(String),
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Ring(errno) => Self::Worker(errno),
            Failure::Panic(text) => Self::Panic(text),
        }
    }
}

impl ServerHandle {
    pub(super) fn new(parts: Parts) -> Self {
        Self(Arc::new(Shared {
            parts,
            features: OnceLock::new(),
            next_publisher: AtomicUsize::new(0),
            joined: Mutex::default(),
        }))
    }

    pub(super) fn add_thread(&self, thread: JoinHandle<Result<Stats, Failure>>) {
        self.joined().threads.push(thread);
    }

    pub(super) fn set_features(&self, features: Features) {
        let _ = self.0.features.set(features);
    }

    pub(super) fn stop_flags(&self) -> &Stop {
        &self.0.parts.stop
    }

    pub(super) fn is_halting(&self) -> bool {
        self.0.parts.stop.halt.load(Ordering::Acquire)
    }

    /// Ends what has been started of a server that cannot start. Returns why it cannot.
    pub(super) fn end_failed_start(&self, error: Error) -> Error {
        self.stop();
        match (error, self.join()) {
            (Error::Nothing(_), Err(cause)) => cause,
            (error, _) => error,
        }
    }

    fn joined(&self) -> std::sync::MutexGuard<'_, Joined> {
        self.0.joined.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The addresses that are listened on, with the ports that the system chose.
    #[must_use]
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.0.parts.addresses
    }

    /// The cores that serve.
    #[must_use]
    pub fn cores(&self) -> &[usize] {
        &self.0.parts.cores
    }

    /// The most connections of each loop, fitted to the descriptors that a ring may have.
    #[must_use]
    pub fn max_connections(&self) -> u32 {
        self.0.parts.connections
    }

    /// The features of io_uring in use. `None` until the server has started.
    #[must_use]
    pub fn features(&self) -> Option<&Features> {
        self.0.features.get()
    }

    /// A handle that publishes to topics. Each call gives one for another core, so that several
    /// share the work; what is published by one and its clones keeps its order.
    #[must_use]
    pub fn publisher(&self) -> Publisher {
        let next = self.0.next_publisher.fetch_add(1, Ordering::Relaxed);
        let publishers = &self.0.parts.publishers;
        publishers[next % publishers.len()].clone()
    }

    /// Publishes a message through the first core, so that the messages of all handles keep one
    /// order. See [`Publisher::publish`].
    ///
    /// # Errors
    /// As [`Publisher::publish`].
    pub fn publish(&self, topic: &str, payload: Payload) -> Result<(), PublishError> {
        self.0.parts.publishers[0].publish(topic, payload)
    }

    /// Publishes a message as [`publish`](Self::publish) does, and retains it. See
    /// [`Publisher::retain`].
    ///
    /// # Errors
    /// As [`Publisher::retain`].
    pub fn retain(&self, topic: &str, payload: Payload) -> Result<(), PublishError> {
        self.0.parts.publishers[0].retain(topic, payload)
    }

    /// The counters of each loop at this moment. A loop that does not answer within a second is
    /// left out, as is one that has ended. Empty if called in a callback, which cannot wait.
    #[must_use]
    pub fn stats(&self) -> Vec<CoreStats> {
        let mut stats = self.ask(Request::Stats);
        stats.sort_by_key(|stats| stats.core);
        stats
    }

    /// The open connections of the application, in no order. As [`stats`](Self::stats), without
    /// those of loops that do not answer.
    #[must_use]
    pub fn connections(&self) -> Vec<ConnectionHandle> {
        self.ask(Request::Connections).into_iter().flatten().collect()
    }

    /// Asks every core, and returns what was answered in time.
    fn ask<T>(&self, question: impl Fn(Sender<T>) -> Request) -> Vec<T> {
        if control::is_core_thread() {
            return Vec::new();
        }
        let (sender, answers) = channel();
        for control in self.0.parts.controls.iter().filter(|control| !control.has_ended()) {
            control.ask(question(sender.clone()));
        }
        drop(sender);
        let deadline = Instant::now() + PATIENCE;
        let next = || {
            let left = deadline.saturating_duration_since(Instant::now());
            answers.recv_timeout(left).ok()
        };
        std::iter::from_fn(next).collect()
    }

    /// Begins to stop: no new connections, close 1001 to all there are, and after
    /// [`Timeouts::drain`](crate::config::Timeouts::drain) an end to those that have not left.
    pub fn drain(&self) {
        self.0.parts.stop.drain.store(true, Ordering::Release);
        for control in &self.0.parts.controls {
            control.waker.wake();
        }
    }

    /// Stops at once: connections are cut without a close frame.
    pub fn stop(&self) {
        self.0.parts.stop.halt.store(true, Ordering::Release);
        self.0.parts.controls.iter().for_each(|control| control.call());
    }

    /// Waits until every loop has ended, which they do once the server is drained or stopped.
    /// Returns the counters of each loop; a later call returns the same. A callback cannot wait for
    /// its own loop, so there it is an error.
    ///
    /// # Errors
    /// The first failure of a loop, which has stopped all others: its ring failed, or the server's
    /// own code panicked.
    pub fn join(&self) -> Result<Vec<Stats>, Error> {
        if control::is_core_thread() {
            return Err(Error::Nothing("a callback cannot wait for the end of its own server"));
        }
        let mut joined = self.joined();
        for thread in std::mem::take(&mut joined.threads) {
            match thread.join() {
                Ok(Ok(stats)) => joined.stats.push(stats),
                Ok(Err(failure)) => {
                    joined.failure.get_or_insert(failure);
                }
                Err(_) => {
                    let failure = Failure::Panic("while it was ending".to_owned());
                    joined.failure.get_or_insert(failure);
                }
            }
        }
        match &joined.failure {
            Some(failure) => Err(failure.clone().into()),
            None => Ok(joined.stats.clone()),
        }
    }
}
