//! The handle of a running server, for any thread.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::io::Errno;

use super::control::{self, CoreControl, Request, Stop};
use super::ending::Ending;
use super::holding::Holding;
use super::listen::Listening;
use super::offered::Ready;
use super::reloads::Reloads;
use super::token::Token;
use super::view::CoreStats;
use crate::app::{ConnectionHandle, PublishError, Publisher};
use crate::config::Backend;
use crate::error::Error;
use crate::io::uring::Features;
use crate::pubsub::Payload;
#[cfg(feature = "tls")]
use crate::transport::tls::Certificates;
use crate::worker::Stats;

/// The time that a core may take to answer a request.
pub(super) const ANSWER_TIMEOUT: Duration = Duration::from_secs(1);

/// A running server. All clones are the same server, and every method may be called from any
/// thread.
///
/// Dropping the handles does not stop the server. It runs until [`drain`](Self::drain) or
/// [`stop`](Self::stop) is called or the process ends. A process ends when `main` returns, so
/// `main` usually ends with [`join`](Self::join).
#[derive(Clone, Debug)]
pub struct ServerHandle(pub(super) Arc<Shared>);

#[derive(Debug)]
pub(super) struct Shared {
    pub(super) parts: Parts,
    /// The addresses of TCP among what it listens on.
    addresses: Vec<SocketAddr>,
    serving: OnceLock<Serving>,
    next_publisher: AtomicUsize,
    pub(super) ending: Ending,
    /// Held while it is decided how the loops drain.
    pub(super) deciding: Mutex<()>,
    joined: Mutex<Joined>,
    /// What a successor may take.
    pub(super) ready: Mutex<Option<Ready>>,
    reloads: Reloads,
}

/// The parts of a handle.
#[derive(Debug)]
pub(super) struct Parts {
    pub(super) listening: Vec<Listening>,
    /// Whether each of these has TLS.
    pub(super) has_tls: Vec<bool>,
    /// Whether each of these takes headers of the PROXY protocol.
    pub(super) is_proxied: Vec<bool>,
    /// Whether each of these is for administration.
    pub(super) is_admin: Vec<bool>,
    pub(super) cores: Vec<usize>,
    pub(super) publishers: Vec<Publisher>,
    pub(super) controls: Vec<Arc<CoreControl>>,
    pub(super) stop: Arc<Stop>,
    #[cfg(feature = "tls")]
    pub(super) certificates: Option<Arc<Certificates>>,
    pub(super) admin_token: Option<Token>,
    /// The settings that hold.
    pub(super) config: Holding,
    /// The listening sockets are those of a predecessor.
    pub(super) succeeds: bool,
}

/// What a loop tells once it serves. It is the same for all.
#[derive(Debug)]
pub(super) struct Serving {
    /// The features of io_uring, unless it is epoll.
    pub(super) features: Option<Features>,
    /// The limit of connections of each loop.
    pub(super) connections: u32,
}

/// The threads that are not joined yet, and the results of those that are.
#[derive(Debug, Default)]
struct Joined {
    threads: Vec<(Arc<CoreControl>, CoreJoin)>,
    stats: Vec<Stats>,
    failure: Option<Failure>,
}

/// The handle of a core's thread, with the result of the loop.
pub(super) type CoreJoin = JoinHandle<Result<Stats, Failure>>;

/// The reason why the thread of a core failed.
#[derive(Clone, Debug)]
pub(super) enum Failure {
    Loop(Errno),
    Panic(String),
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Loop(errno) => Self::Worker(errno),
            Failure::Panic(text) => Self::Panic(text),
        }
    }
}

impl Parts {
    /// Where it listens, but for administration.
    fn places_of_clients(&self) -> impl Iterator<Item = &Listening> {
        let all = self.listening.iter().zip(&self.is_admin);
        all.filter(|(_, is_admin)| !**is_admin).map(|(place, _)| place)
    }
}

impl ServerHandle {
    pub(super) fn new(parts: Parts) -> Self {
        let address = |listening: &Listening| match listening {
            Listening::Tcp(address) => Some(*address),
            Listening::Unix(_) => None,
        };
        let mut addresses: Vec<_> = parts.places_of_clients().filter_map(address).collect();
        // Of a predecessor with more loops there are more sockets than places.
        addresses.dedup();
        Self(Arc::new(Shared {
            addresses,
            parts,
            serving: OnceLock::new(),
            next_publisher: AtomicUsize::new(0),
            ending: Ending::default(),
            deciding: Mutex::default(),
            joined: Mutex::default(),
            ready: Mutex::default(),
            reloads: Reloads::default(),
        }))
    }

    pub(super) fn add_thread(&self, control: &Arc<CoreControl>, thread: CoreJoin) {
        self.joined().threads.push((Arc::clone(control), thread));
    }

    /// The thread of a core ends.
    pub(super) fn end_core(&self, control: &CoreControl, has_failed: bool) {
        control.end();
        // Subscriptions on every core wait for the acknowledgement of this one, so the whole
        // server stops.
        if has_failed {
            self.stop();
        }
        self.0.ending.notify();
    }

    pub(super) fn set_serving(&self, serving: Serving) {
        let _ = self.0.serving.set(serving);
    }

    pub(super) fn stop_flags(&self) -> &Stop {
        &self.0.parts.stop
    }

    pub(super) fn parts(&self) -> &Parts {
        &self.0.parts
    }

    /// How often the settings were read again.
    pub(super) fn reloads(&self) -> &Reloads {
        &self.0.reloads
    }

    /// Whether each listener takes headers of the PROXY protocol.
    pub(super) fn proxied(&self) -> &[bool] {
        &self.0.parts.is_proxied
    }

    /// What the loops share with other threads, by their numbers.
    pub(super) fn controls(&self) -> &[Arc<CoreControl>] {
        &self.0.parts.controls
    }

    /// Whether each listener is for administration.
    pub(super) fn admin(&self) -> &[bool] {
        &self.0.parts.is_admin
    }

    /// Stops the threads of a server of which the start failed. Returns the cause.
    pub(super) fn end_failed_start(&self, error: Error) -> Error {
        self.stop();
        match (error, self.join()) {
            (Error::Usage(_), Err(cause)) => cause,
            (error, _) => error,
        }
    }

    fn joined(&self) -> std::sync::MutexGuard<'_, Joined> {
        self.0.joined.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The addresses of TCP on which the server listens, with the ports that the system chose, but
    /// for administration.
    #[must_use]
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.0.addresses
    }

    /// Everything on which the server listens, in the order in which it was given.
    #[must_use]
    pub fn listening(&self) -> &[Listening] {
        &self.0.parts.listening
    }

    /// Whether the place of this number in [`listening`](Self::listening) has TLS.
    #[must_use]
    pub fn has_tls(&self, number: usize) -> bool {
        self.0.parts.has_tls.get(number) == Some(&true)
    }

    /// Whether the place of this number in [`listening`](Self::listening) takes headers of the
    /// PROXY protocol.
    #[must_use]
    pub fn has_proxy_protocol(&self, number: usize) -> bool {
        self.0.parts.is_proxied.get(number) == Some(&true)
    }

    /// Whether the place of this number in [`listening`](Self::listening) is for administration.
    #[must_use]
    pub fn is_for_admin(&self, number: usize) -> bool {
        self.0.parts.is_admin.get(number) == Some(&true)
    }

    /// The cores that serve.
    #[must_use]
    pub fn cores(&self) -> &[usize] {
        &self.0.parts.cores
    }

    /// The limit of connections of each loop: the configured one, or the number of descriptors
    /// that it may have if that is lower. On io_uring each loop may have as many as the process; on
    /// epoll they share them. 0 until the server has started.
    #[must_use]
    pub fn max_connections(&self) -> u32 {
        self.0.serving.get().map_or(0, |serving| serving.connections)
    }

    /// The backend in use, [`Backend::Uring`] or [`Backend::Epoll`]; [`Backend::Auto`] until the
    /// server has started.
    #[must_use]
    pub fn backend(&self) -> Backend {
        match self.0.serving.get() {
            None => Backend::Auto,
            Some(Serving { features: Some(_), .. }) => Backend::Uring,
            Some(Serving { features: None, .. }) => Backend::Epoll,
        }
    }

    /// The features of io_uring in use. `None` on epoll, and until the server has started.
    #[must_use]
    pub fn features(&self) -> Option<&Features> {
        self.0.serving.get()?.features.as_ref()
    }

    /// A handle that publishes to topics. Successive calls return handles of different cores, so
    /// that several publishers share the work. Messages of one handle and its clones keep their
    /// order.
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

    /// The current counters of each loop. Loops that have ended, or do not answer within 1 s, are
    /// left out. Empty if called in a callback, which cannot wait.
    #[must_use]
    pub fn stats(&self) -> Vec<CoreStats> {
        let mut stats = self.ask(Request::Stats);
        stats.sort_by_key(|stats| stats.core);
        stats
    }

    /// Whether each loop that has not ended answers within 1 s. False in a callback, which cannot
    /// wait.
    #[must_use]
    pub fn all_loops_answer(&self) -> bool {
        let running = self.0.parts.controls.iter().filter(|control| !control.has_ended()).count();
        self.ask(Request::Stats).len() >= running
    }

    /// The open connections of the application, in no particular order. As in
    /// [`stats`](Self::stats), loops that do not answer are left out.
    #[must_use]
    pub fn connections(&self) -> Vec<ConnectionHandle> {
        self.ask(Request::Connections).into_iter().flatten().collect()
    }

    /// Sends a request to every core, and returns the answers that came in time.
    fn ask<T>(&self, request: impl Fn(Sender<T>) -> Request) -> Vec<T> {
        if control::is_core_thread() {
            return Vec::new();
        }
        let (sender, answers) = channel();
        for control in self.0.parts.controls.iter().filter(|control| !control.has_ended()) {
            control.request(request(sender.clone()));
        }
        drop(sender);
        let deadline = Instant::now() + ANSWER_TIMEOUT;
        let next = || {
            let left = deadline.saturating_duration_since(Instant::now());
            answers.recv_timeout(left).ok()
        };
        std::iter::from_fn(next).collect()
    }

    /// Waits until every loop has ended after [`drain`](Self::drain) or [`stop`](Self::stop).
    /// Returns the counters of each loop; later calls return the same.
    ///
    /// # Errors
    /// The first failure of a loop, which stops all others: its ring failed, or the server's own
    /// code panicked. [`Error::Hung`] if a loop has not ended 5 s after it should have, because a
    /// callback or the kernel holds its thread; a later call looks again. [`Error::Usage`] if
    /// called in a callback, which cannot wait for its own loop.
    pub fn join(&self) -> Result<Vec<Stats>, Error> {
        if control::is_core_thread() {
            return Err(Error::Usage("a callback cannot wait for the end of its own server"));
        }
        let controls = &self.0.parts.controls;
        self.0.ending.wait(|| controls.iter().all(|control| control.has_ended()));
        let mut joined = self.joined();
        let (ended, hung): (Vec<_>, Vec<_>) =
            std::mem::take(&mut joined.threads).into_iter().partition(|(core, _)| core.has_ended());
        joined.threads = hung;
        for (_, thread) in ended {
            match thread.join() {
                Ok(Ok(stats)) => joined.stats.push(stats),
                Ok(Err(failure)) => {
                    joined.failure.get_or_insert(failure);
                }
                Err(_) => {
                    let failure = Failure::Panic("while the thread was ending".to_owned());
                    joined.failure.get_or_insert(failure);
                }
            }
        }
        let hung = joined.threads.iter().map(|(core, _)| core.core).collect::<Vec<_>>();
        match &joined.failure {
            Some(failure) => Err(failure.clone().into()),
            None if !hung.is_empty() => Err(Error::Hung { cores: hung }),
            None => Ok(joined.stats.clone()),
        }
    }
}
