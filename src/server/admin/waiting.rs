//! Answers that are made of what several loops tell.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use super::answers;
use super::lists::{Held, Permit};
use crate::app::Responder;
use crate::protocol::http::Response;
use crate::server::control::CoreControl;
use crate::server::view::Visit;

/// The one who waits for an answer, until there is one.
#[derive(Debug)]
pub(super) struct Client(Mutex<Option<Responder>>);

impl Client {
    pub(super) const fn new(responder: Responder) -> Self {
        Self(Mutex::new(Some(responder)))
    }

    /// Answers, unless that is done.
    pub(super) fn answer(&self, response: impl FnOnce() -> Response) {
        let responder = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(responder) = responder.filter(Responder::is_open) {
            // An error says that the client has left.
            let _ = responder.respond(response());
        }
    }

    /// Whether it does not wait any more.
    pub(super) fn is_gone(&self) -> bool {
        let responder = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        !responder.as_ref().is_some_and(Responder::is_open)
    }
}

/// Something that is waited for.
pub(super) trait Pending: fmt::Debug + Send + Sync {
    /// The time is over: answers with what is there.
    fn give_up(&self);

    /// Whether nobody waits for it any more.
    fn is_over(&self) -> bool;
}

/// What each loop tells, by its number; `None` if it has not told anything.
pub(super) type Parts<T> = Vec<Option<T>>;

/// The parts of an answer.
pub(super) struct Gathered<T> {
    client: Client,
    parts: Mutex<Parts<T>>,
    finish: Box<dyn Fn(Parts<T>) -> Response + Send + Sync>,
    /// Given back with the answer, or once nobody waits for it.
    permit: Held,
}

impl<T> fmt::Debug for Gathered<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gathered").field("client", &self.client).finish_non_exhaustive()
    }
}

/// Tells the part of one loop.
pub(super) struct Teller<T> {
    gathered: Arc<Gathered<T>>,
    number: usize,
}

impl<T: Send + 'static> Gathered<T> {
    /// Has each loop visited by what `visit` makes, which tells the part of the loop. `finish`
    /// makes the answer once all parts are there.
    pub(super) fn ask(
        loops: &[Arc<CoreControl>],
        responder: Responder,
        visit: impl Fn(Teller<T>) -> Box<dyn Visit>,
        finish: impl Fn(Parts<T>) -> Response + Send + Sync + 'static,
    ) -> Arc<Self> {
        let gathered = Self::new(loops.len(), responder, finish);
        Arc::clone(&gathered).begin(loops, None, visit);
        gathered
    }

    /// An answer that waits until it may [`begin`](Self::begin).
    pub(super) fn new(
        loops: usize,
        responder: Responder,
        finish: impl Fn(Parts<T>) -> Response + Send + Sync + 'static,
    ) -> Arc<Self> {
        let parts = Mutex::new((0..loops).map(|_| None).collect());
        let (client, finish) = (Client::new(responder), Box::new(finish));
        Arc::new(Self { client, parts, finish, permit: Held::default() })
    }

    /// Has each loop visited, as [`ask`](Self::ask) does, unless nobody waits any more.
    pub(super) fn begin(
        self: Arc<Self>,
        loops: &[Arc<CoreControl>],
        permit: Option<Permit>,
        visit: impl Fn(Teller<T>) -> Box<dyn Visit>,
    ) {
        self.permit.begin(permit);
        if self.is_over() {
            return self.permit.give_back();
        }
        for (number, control) in loops.iter().enumerate() {
            control.visit(visit(Teller { gathered: Arc::clone(&self), number }));
        }
    }

    fn finish(&self) {
        let parts = &self.parts;
        let take = || std::mem::take(&mut *parts.lock().unwrap_or_else(PoisonError::into_inner));
        self.client.answer(|| (self.finish)(take()));
        self.permit.give_back();
    }
}

impl<T: Send + 'static> Pending for Gathered<T> {
    fn give_up(&self) {
        if self.permit.has_waited() {
            return self.client.answer(answers::not_begun);
        }
        self.finish();
    }

    fn is_over(&self) -> bool {
        self.client.is_gone()
    }
}

impl<T> Drop for Teller<T> {
    fn drop(&mut self) {
        // Who has left is told nothing, so no answer gives the permit back.
        if self.gathered.client.is_gone() {
            self.gathered.permit.give_back();
        }
    }
}

impl<T: Send + 'static> Teller<T> {
    /// Whether nobody waits for the part any more.
    pub(super) fn is_over(&self) -> bool {
        self.gathered.is_over()
    }

    /// Tells the part. The last one answers.
    pub(super) fn tell(self, part: T) {
        let mut parts = self.gathered.parts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(place) = parts.get_mut(self.number) {
            *place = Some(part);
        }
        let is_complete = !parts.is_empty() && parts.iter().all(Option::is_some);
        drop(parts);
        if is_complete {
            self.gathered.finish();
        }
    }
}
