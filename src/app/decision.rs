//! Opening handshakes that an application decides about later, from any thread.

use std::fmt;
use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::accept::Accept;
use super::decided::Decided;
use super::error::SendError;
use crate::base::ConnectionId;
use crate::protocol::websocket::handshake::{Refusal, Rejection};

/// Decides about an opening handshake, from any thread and any runtime. Made by
/// [`Accept::decide_later`].
///
/// The client waits meanwhile, and so does what it sends behind its request. It is answered with
/// 503 if nothing is decided within
/// [`Timeouts::handshake`](crate::config::Timeouts::handshake), counted from the beginning of the
/// connection, and also if this value is dropped undecided.
///
/// [`is_open`](Self::is_open) says whether the client still waits. The server notices that a client
/// leaves at once if it has sent nothing behind its request, as RFC 6455 section 4.1 demands; and
/// otherwise if it resets the connection, or when the time is over.
#[must_use = "dropped, it refuses the handshake"]
pub struct Decision<C> {
    /// The subprotocol and the headers of an accepting answer: as they were when `decide_later` was
    /// called, and to be changed here.
    pub answer: Accept,
    /// The handshake, and the list of its core.
    handshake: Option<(ConnectionId, Arc<Decided>)>,
    cell: Arc<Cell<C>>,
    is_made: bool,
}

/// A handshake that a [`Decision`] will decide about, as
/// [`Handler::upgrade`](super::Handler::upgrade) returns it in
/// [`Upgrade::Later`](super::Upgrade::Later).
pub struct Undecided<C> {
    /// The connection; `None` if it is that of no handshake.
    id: Option<ConnectionId>,
    cell: Arc<Cell<C>>,
}

/// What was decided.
pub(crate) enum Outcome<C> {
    /// Accepted, with the state of the connection, to be made on its core.
    Accept(Accept, Box<dyn FnOnce() -> C + Send>),
    Refuse(Refusal),
}

enum State<C> {
    Waiting,
    Decided(Outcome<C>),
    /// The core does not wait for a decision any more.
    Gone,
}

/// What a decision and its core share.
struct Cell<C>(Mutex<State<C>>);

impl<C> Cell<C> {
    fn lock(&self) -> MutexGuard<'_, State<C>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The two ends of a handshake that is decided later.
pub(super) fn pair<C>(answer: &Accept) -> (Undecided<C>, Decision<C>) {
    let cell = Arc::new(Cell(Mutex::new(State::Waiting)));
    let mut answer = answer.clone();
    let handshake = answer.handshake.take();
    let id = handshake.as_ref().map(|(id, _)| *id);
    let undecided = Undecided { id, cell: Arc::clone(&cell) };
    (undecided, Decision { answer, handshake, cell, is_made: false })
}

impl<C> Decision<C> {
    /// Whether the client was known to wait for the answer a moment ago. It does not once it has
    /// left or was answered because the time was over or the server stops.
    #[must_use]
    pub fn is_open(&self) -> bool {
        !matches!(*self.cell.lock(), State::Gone)
    }

    /// Accepts the handshake with [`answer`](Self::answer). `state` makes the state of the
    /// connection, on the thread of its core, so that it need not be `Send`; if it panics the
    /// client is answered with 503. [`Handler::open`](super::Handler::open) follows.
    ///
    /// `Ok` says that the core is told. If the client leaves at this very moment, the connection is
    /// not opened, and the state, if it was made, is dropped.
    ///
    /// # Errors
    /// [`SendError::Gone`] if the client does not wait any more, or the server has stopped.
    pub fn accept(mut self, state: impl FnOnce() -> C + Send + 'static) -> Result<(), SendError> {
        let answer = mem::take(&mut self.answer);
        self.decide(Outcome::Accept(answer, Box::new(state)))
    }

    /// Refuses the handshake: with a [`Rejection`], with a line of its own ([`Refusal::saying`]),
    /// or with any [`Response`](crate::protocol::http::Response). The connection is closed after
    /// it.
    ///
    /// # Errors
    /// As [`accept`](Self::accept).
    pub fn refuse(mut self, refusal: impl Into<Refusal>) -> Result<(), SendError> {
        self.decide(Outcome::Refuse(refusal.into()))
    }

    fn decide(&mut self, outcome: Outcome<C>) -> Result<(), SendError> {
        self.is_made = true;
        let handshake = self.handshake.take();
        let mut state = self.cell.lock();
        if matches!(*state, State::Gone) {
            return Err(SendError::Gone);
        }
        *state = State::Decided(outcome);
        drop(state);
        match handshake {
            Some((id, decided)) => decided.push(id),
            None => return Err(SendError::Gone),
        }
        Ok(())
    }
}

impl<C> Drop for Decision<C> {
    fn drop(&mut self) {
        if !self.is_made {
            // Nobody is there to be told that the client is gone.
            let _ = self.decide(Outcome::Refuse(Rejection::Undecided.into()));
        }
    }
}

impl<C> Undecided<C> {
    /// The connection.
    pub(crate) const fn id(&self) -> Option<ConnectionId> {
        self.id
    }

    /// What was decided, once. A later decision finds the client gone.
    pub(crate) fn take(&self) -> Option<Outcome<C>> {
        let mut state = self.cell.lock();
        match mem::replace(&mut *state, State::Gone) {
            State::Decided(outcome) => Some(outcome),
            State::Waiting => {
                *state = State::Waiting;
                None
            }
            State::Gone => None,
        }
    }

    /// No decision is waited for any more.
    pub(crate) fn withdraw(&self) {
        // What was decided is dropped after the lock is released: it is the application's.
        let _earlier = mem::replace(&mut *self.cell.lock(), State::Gone);
    }
}

impl<C> Drop for Undecided<C> {
    fn drop(&mut self) {
        self.withdraw();
    }
}

impl<C> fmt::Debug for Decision<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Decision").field("answer", &self.answer).finish_non_exhaustive()
    }
}

impl<C> fmt::Debug for Undecided<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Undecided").field("id", &self.id).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::mesh::{Limits, mesh};

    const ID: ConnectionId = ConnectionId { slot: 3, generation: 5 };

    /// The answer to a handshake of a core that sleeps, its list, and how often it was woken.
    fn handshake() -> (Accept, Arc<Decided>, Arc<AtomicUsize>) {
        let mut port = mesh::<()>(1, Limits::default()).remove(0);
        let woken = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&woken);
        let wake = Arc::new(move || {
            count.fetch_add(1, Ordering::Relaxed);
        });
        let decided = Arc::new(Decided::new(port.sleep_flag(), wake));
        assert!(port.try_sleep());
        (Accept::of(ID, &decided), decided, woken)
    }

    #[test]
    fn any_thread_decides_about_a_state_that_stays_on_its_core() {
        const fn is_send<T: Send + Sync>(_: &T) {}
        let (accept, decided, woken) = handshake();
        let (undecided, decision) = pair::<Rc<u8>>(&accept);
        is_send(&decision);
        assert!(undecided.take().is_none() && decision.is_open() && decided.is_empty());
        std::thread::spawn(|| decision.accept(|| Rc::new(7)).unwrap()).join().unwrap();
        assert_eq!((woken.load(Ordering::Relaxed), decided.take()), (1, vec![ID]));
        assert!(decided.is_empty() && decided.take().is_empty());
        let Some(Outcome::Accept(_, state)) = undecided.take() else { panic!("not accepted") };
        assert_eq!(*state(), 7);
        assert!(undecided.take().is_none(), "once");
    }

    #[test]
    fn a_decision_that_is_dropped_refuses() {
        let (accept, decided, woken) = handshake();
        let (undecided, decision) = pair::<()>(&accept);
        drop(decision);
        assert_eq!((woken.load(Ordering::Relaxed), decided.take()), (1, vec![ID]));
        let Some(Outcome::Refuse(refusal)) = undecided.take() else { panic!("not refused") };
        assert_eq!(refusal.rejection, Rejection::Undecided);
    }

    #[test]
    fn a_decision_that_nobody_waits_for_leaves_nothing_behind() {
        let (accept, decided, woken) = handshake();
        let state = Arc::new(());
        for is_dropped in [false, true] {
            let (undecided, decision) = pair::<Arc<()>>(&accept);
            if is_dropped {
                drop(undecided);
            } else {
                undecided.withdraw();
            }
            assert!(!decision.is_open());
            let mine = Arc::clone(&state);
            assert_eq!(decision.accept(|| mine), Err(SendError::Gone));
        }
        // A decision that comes too early for the core to take it.
        let (undecided, decision) = pair::<Arc<()>>(&accept);
        let mine = Arc::clone(&state);
        decision.accept(|| mine).unwrap();
        undecided.withdraw();
        assert!(undecided.take().is_none());
        assert_eq!(Arc::strong_count(&state), 1);
        assert_eq!((woken.load(Ordering::Relaxed), decided.take().len()), (1, 1));
        // An answer that the application has made itself is to no handshake.
        let (undecided, decision) = pair::<()>(&Accept::default());
        assert_eq!((undecided.id(), decision.accept(|| ())), (None, Err(SendError::Gone)));
    }
}
