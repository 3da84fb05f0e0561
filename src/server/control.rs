//! State that a running core shares with other threads: requests for its counters, the stop flags,
//! and the number of its turns.

use std::cell::Cell;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, PoisonError};

use crate::app::{AppStats, ConnectionHandle, Handler};
use crate::gateway::Gateway;
use crate::io::{Driver, LoopWaker, Wake};
use crate::mesh::SleepFlag;
use crate::{pubsub, worker};

thread_local! {
    static IS_CORE: Cell<bool> = const { Cell::new(false) };
}

/// Marks the calling thread as the thread of a core.
pub(super) fn set_core_thread() {
    IS_CORE.set(true);
}

/// Whether the calling thread is that of a core. Such a thread must not wait for a core.
pub(super) fn is_core_thread() -> bool {
    IS_CORE.get()
}

/// The counters of one core.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CoreStats {
    /// The core.
    pub core: usize,
    /// The number of connections.
    pub connections: usize,
    /// The counters of its loop.
    pub worker: worker::Stats,
    /// The counters of its broker.
    pub topics: pubsub::Stats,
    /// The counters of the application's connections.
    pub app: AppStats,
}

/// A request to a core, which answers at the end of a turn.
pub(super) enum Request {
    Stats(Sender<CoreStats>),
    Connections(Sender<Vec<ConnectionHandle>>),
}

/// The flags that stop a server.
#[derive(Debug, Default)]
pub(super) struct Stop {
    /// Begin to drain.
    pub(super) drain: Arc<AtomicBool>,
    /// End at once.
    pub(super) halt: AtomicBool,
}

/// The state that a core shares with other threads. On cache lines of its own, because the core
/// writes it in every turn.
#[repr(align(128))]
pub(super) struct CoreControl {
    pub(super) core: usize,
    /// The number of turns so far.
    turns: AtomicU64,
    /// Set when there are requests or the server must end at once.
    attention: AtomicBool,
    has_ended: AtomicBool,
    requests: Mutex<Vec<Request>>,
    pub(super) waker: LoopWaker,
    sleep_flag: SleepFlag,
}

impl CoreControl {
    pub(super) const fn new(core: usize, waker: LoopWaker, sleep_flag: SleepFlag) -> Self {
        Self {
            core,
            turns: AtomicU64::new(0),
            attention: AtomicBool::new(false),
            has_ended: AtomicBool::new(false),
            requests: Mutex::new(Vec::new()),
            waker,
            sleep_flag,
        }
    }

    /// Makes the core check `requests` and the stop flags at the end of its turn, and wakes it.
    pub(super) fn notify(&self) {
        self.attention.store(true, Ordering::Release);
        self.waker.wake();
    }

    /// Queues a request to the core.
    pub(super) fn request(&self, request: Request) {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner).push(request);
        self.notify();
    }

    /// Counts a turn that has ended. Returns whether another thread asked for attention.
    #[inline]
    pub(super) fn count_turn(&self) -> bool {
        // Only the core itself writes it.
        let turns = self.turns.load(Ordering::Relaxed);
        self.turns.store(turns.wrapping_add(1), Ordering::Relaxed);
        self.attention.load(Ordering::Relaxed)
    }

    /// Answers all requests.
    pub(super) fn answer<D: Driver, H: Handler>(&self, worker: &worker::Worker<D, Gateway<H>>) {
        // The swap comes first: a request queued after it sets the flag again.
        self.attention.swap(false, Ordering::AcqRel);
        let requests =
            std::mem::take(&mut *self.requests.lock().unwrap_or_else(PoisonError::into_inner));
        let service = worker.service();
        for request in requests {
            // The requesting thread may have given up waiting.
            let _ = match request {
                Request::Stats(to) => {
                    let stats = CoreStats {
                        core: self.core,
                        connections: worker.connections(),
                        worker: worker.stats(),
                        topics: service.broker().stats(),
                        app: service.stats(),
                    };
                    to.send(stats).is_ok()
                }
                Request::Connections(to) => {
                    let list = worker.open_connections().map(|id| service.handle(id)).collect();
                    to.send(list).is_ok()
                }
            };
        }
    }

    /// Marks the core as ended. Requests without an answer are dropped.
    pub(super) fn end(&self) {
        self.has_ended.store(true, Ordering::Release);
        self.requests.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    pub(super) fn has_ended(&self) -> bool {
        self.has_ended.load(Ordering::Acquire)
    }

    /// Declares for the other cores that this one hangs, or that it goes on.
    pub(super) fn set_hung(&self, is_hung: bool) {
        self.sleep_flag.set_hung(is_hung);
    }

    /// The number of the current turn; `None` while the core sleeps.
    pub(super) fn turn(&self) -> Option<u64> {
        (!self.sleep_flag.is_asleep()).then(|| self.turns.load(Ordering::Relaxed))
    }
}

impl std::fmt::Debug for CoreControl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CoreControl").field("core", &self.core).finish_non_exhaustive()
    }
}
