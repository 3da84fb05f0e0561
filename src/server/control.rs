//! State that a running core shares with other threads: requests for its counters, the stop flags,
//! and the number of its turns.

use std::cell::Cell;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::view::{Core, CoreStats, CoreView, Visit};
use crate::app::{ConnectionHandle, Handler};
use crate::gateway::Gateway;
use crate::io::{Driver, LoopWaker, Wake};
use crate::mesh::SleepFlag;
use crate::worker;

/// A core answers requests for so long after a turn. The last one may take longer: at most the
/// answer of one page of 1,000 topics, which takes some milliseconds.
const TIME: Duration = Duration::from_micros(500);

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

/// A request to a core, which answers at the end of a turn.
pub(super) enum Request {
    Stats(Sender<CoreStats>),
    Connections(Sender<Vec<ConnectionHandle>>),
    Visit(Box<dyn Visit>),
}

/// The flags that stop a server.
#[derive(Debug, Default)]
pub(super) struct Stop {
    /// Begin to drain.
    pub(super) drain: Arc<AtomicBool>,
    /// Do not end once it has drained.
    pub(super) stays: Arc<AtomicBool>,
    /// A successor has the listening sockets.
    pub(super) hands_over: Arc<AtomicBool>,
    /// A successor is being started with the listening sockets; it is not known yet whether it will
    /// serve.
    pub(super) lends: AtomicBool,
    /// End at once.
    pub(super) halt: AtomicBool,
}

/// The state that a core shares with other threads. On cache lines of its own, because the core
/// writes it in every turn.
#[repr(align(128))]
pub(super) struct CoreControl {
    pub(super) core: usize,
    /// The number of the loop.
    pub(super) number: usize,
    /// The number of turns so far.
    turns: AtomicU64,
    /// Set when there are requests or the server must end at once.
    attention: AtomicBool,
    has_ended: AtomicBool,
    requests: Mutex<VecDeque<Request>>,
    pub(super) waker: LoopWaker,
    sleep_flag: SleepFlag,
}

impl CoreControl {
    pub(super) const fn new(
        core: usize,
        number: usize,
        waker: LoopWaker,
        sleep_flag: SleepFlag,
    ) -> Self {
        Self {
            core,
            number,
            turns: AtomicU64::new(0),
            attention: AtomicBool::new(false),
            has_ended: AtomicBool::new(false),
            requests: Mutex::new(VecDeque::new()),
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
        self.lock().push_back(request);
        self.notify();
    }

    /// Has the core visited after this turn or the next one.
    pub(super) fn visit(&self, visit: Box<dyn Visit>) {
        self.request(Request::Visit(visit));
    }

    /// Counts a turn that has ended. Returns whether another thread asked for attention.
    #[inline]
    pub(super) fn count_turn(&self) -> bool {
        // Only the core itself writes it.
        let turns = self.turns.load(Ordering::Relaxed);
        self.turns.store(turns.wrapping_add(1), Ordering::Relaxed);
        self.attention.load(Ordering::Relaxed)
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Request>> {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Answers requests in their order until the time for them is over; the others are answered
    /// after the next turns, before those that go on. So however many there are, connections do not
    /// wait for all of them.
    pub(super) fn answer<D: Driver, H: Handler>(&self, worker: &mut worker::Worker<D, Gateway<H>>) {
        // The swap comes first: a request queued after it sets the flag again.
        self.attention.swap(false, Ordering::AcqRel);
        let mut view = Core { number: self.number, core: self.core, worker };
        let begun = Instant::now();
        // Those that are queued meanwhile wait for the next turn.
        let mut left = self.lock().len();
        while left > 0 && begun.elapsed() < TIME {
            left -= 1;
            let Some(request) = self.lock().pop_front() else { return };
            // The requesting thread may have given up waiting.
            let _ = match request {
                Request::Stats(to) => to.send(view.stats()).is_ok(),
                Request::Connections(to) => {
                    let service = view.worker.service();
                    let ids = view.worker.open_connections();
                    to.send(ids.map(|id| service.handle(id)).collect()).is_ok()
                }
                Request::Visit(visit) => {
                    if let Some(visit) = visit.visit(&mut view) {
                        // After the others.
                        self.request(Request::Visit(visit));
                    }
                    true
                }
            };
        }
        if left > 0 {
            self.notify();
        }
    }

    /// Marks the core as ended. Requests without an answer are dropped.
    pub(super) fn end(&self) {
        self.has_ended.store(true, Ordering::Release);
        // They are dropped without the lock: another list may begin then, which visits a core.
        let left = std::mem::take(&mut *self.lock());
        drop(left);
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
