//! What other threads ask of a running core beside its inbox, and what they see of it.

use std::cell::Cell;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, PoisonError};

use crate::app::{AppStats, ConnectionHandle, Handler};
use crate::gateway::Gateway;
use crate::io::Wake;
use crate::io::uring::{UringRing, UringWaker};
use crate::mesh::SleepFlag;
use crate::{pubsub, worker};

thread_local! {
    static IS_CORE: Cell<bool> = const { Cell::new(false) };
}

/// From now on this thread is that of a core.
pub(super) fn set_core_thread() {
    IS_CORE.set(true);
}

/// Whether this is the thread of a core, which cannot wait for itself.
pub(super) fn is_core_thread() -> bool {
    IS_CORE.get()
}

/// The counters of one core.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CoreStats {
    /// The core.
    pub core: usize,
    /// Connections at this moment.
    pub connections: usize,
    /// What its loop counts.
    pub worker: worker::Stats,
    /// What its broker counts.
    pub topics: pubsub::Stats,
    /// What is counted for the connections of the application.
    pub app: AppStats,
}

/// A question to a core. It answers at the end of a turn.
pub(super) enum Request {
    Stats(Sender<CoreStats>),
    Connections(Sender<Vec<ConnectionHandle>>),
}

/// Whether the server is to stop.
#[derive(Debug, Default)]
pub(super) struct Stop {
    /// Begin to drain.
    pub(super) drain: Arc<AtomicBool>,
    /// End at once.
    pub(super) halt: AtomicBool,
}

/// What a core and other threads share. On cache lines of its own, since the core writes it in
/// every turn.
#[repr(align(128))]
pub(super) struct CoreControl {
    pub(super) core: usize,
    /// The turns so far.
    turns: AtomicU64,
    /// There are requests, or the server is to end at once.
    attention: AtomicBool,
    has_ended: AtomicBool,
    requests: Mutex<Vec<Request>>,
    pub(super) waker: UringWaker,
    sleep_flag: SleepFlag,
}

impl CoreControl {
    pub(super) const fn new(core: usize, waker: UringWaker, sleep_flag: SleepFlag) -> Self {
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

    /// Has the core look up from its loop.
    pub(super) fn call(&self) {
        self.attention.store(true, Ordering::Release);
        self.waker.wake();
    }

    /// Asks the core a question.
    pub(super) fn ask(&self, request: Request) {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner).push(request);
        self.call();
    }

    /// A turn has ended. Returns whether another thread wants something.
    #[inline]
    pub(super) fn count_turn(&self) -> bool {
        // Only the core itself writes it.
        let turns = self.turns.load(Ordering::Relaxed);
        self.turns.store(turns.wrapping_add(1), Ordering::Relaxed);
        self.attention.load(Ordering::Relaxed)
    }

    /// Answers all questions.
    pub(super) fn answer<H: Handler>(&self, worker: &worker::Worker<UringRing, Gateway<H>>) {
        // The swap comes first: a question that comes later calls again.
        self.attention.swap(false, Ordering::AcqRel);
        let requests =
            std::mem::take(&mut *self.requests.lock().unwrap_or_else(PoisonError::into_inner));
        let service = worker.service();
        for request in requests {
            // The thread that has asked may not wait any more.
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

    /// The core serves no longer. Questions without an answer are dropped.
    pub(super) fn end(&self) {
        self.has_ended.store(true, Ordering::Release);
        self.requests.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    pub(super) fn has_ended(&self) -> bool {
        self.has_ended.load(Ordering::Acquire)
    }

    /// The number of the turn that the core is in; `None` while it sleeps.
    pub(super) fn turn(&self) -> Option<u64> {
        (!self.sleep_flag.is_asleep()).then(|| self.turns.load(Ordering::Relaxed))
    }
}

impl std::fmt::Debug for CoreControl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CoreControl").field("core", &self.core).finish_non_exhaustive()
    }
}
