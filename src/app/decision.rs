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
