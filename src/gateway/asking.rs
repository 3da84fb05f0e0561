//! Handshakes about which somebody else is asked, such as a backend.

use std::sync::Arc;

use super::questions::{Asking, Entering, Then};
use super::service::Gateway;
use crate::app::{Accept, Decision, Handler, Outcome, Upgrade};
use crate::authority::{Authority, Question, Reply};
use crate::base::ConnectionId;
use crate::config::RouteId;
use crate::protocol::http::HeadLimits;
use crate::protocol::websocket::handshake::{Parsed, Refusal, Rejection, Request, parse};
use crate::session::{self, EndpointId, Inbound, Outbound, Verdict};

/// Takes the answer to the loop of the connection.
struct ToLoop(Decision<Authority>);

impl Reply for ToLoop {
    fn is_open(&self) -> bool {
        self.0.is_open()
    }

    fn answer(self: Box<Self>, answer: Result<Authority, Refusal>) {
        // If the client has left, nobody wants to know.
        let _ = match answer {
            Ok(authority) => self.0.accept(|| authority),
            Err(refusal) => self.0.refuse(refusal),
        };
    }
}

impl<H: Handler> Gateway<H> {
    /// Asks about the client of an endpoint; `accept` answers its handshake if it is allowed in.
    pub(super) fn ask_about_client(
        &mut self,
        id: ConnectionId,
        question: Box<dyn Question>,
        entering: Entering<H::User>,
        accept: session::Accept,
    ) -> Verdict {
        self.ask(id, question, Then::Client(entering), 0);
        Verdict::Defer(accept)
    }

    /// Asks about a client of the application.
    pub(super) fn ask_about_app(
        &mut self,
        id: ConnectionId,
        question: Box<dyn Question>,
        request: &Request<'_>,
        route: RouteId,
    ) -> Verdict {
        let head = request.to_head();
        let bytes = head.len();
        self.ask(id, question, Then::App { head, route }, bytes);
        Verdict::Defer(session::Accept::default())
    }

    fn ask(
        &mut self,
        id: ConnectionId,
        question: Box<dyn Question>,
        then: Then<H::User>,
        bytes: usize,
    ) {
        let accept = Accept::of(id, self.core.inbox.decided());
        let (Upgrade::Later(undecided), decision) = accept.decide_later() else { return };
        let mut charge = self.core.broker.ledger().open();
        charge.set(size_of::<Asking<H::User>>() + question.memory() + bytes);
        self.asking.insert(id, Asking { undecided, then, _charge: charge });
        self.core.has_work = true;
        question.ask(Box::new(ToLoop(decision)));
    }

    /// Goes on with a handshake about which somebody was asked. Returns whether it is one.
    pub(super) fn take_answer<O: Outbound>(&mut self, id: ConnectionId, out: &mut O) -> bool {
        let Some(asking) = self.asking.get(&id) else { return false };
        let Some(outcome) = asking.undecided.take() else { return true };
        let Some(Asking { then, .. }) = self.asking.remove(&id) else { return true };
        let allowed = match outcome {
            Outcome::Accept(_, make) => self.check_end(make()),
            Outcome::Refuse(refusal) => Err(refusal),
        };
        let result = allowed.and_then(|authority| match then {
            Then::Client(entering) => {
                let is_deferred = self.enter(id, entering, Some(authority))?;
                Ok((!is_deferred).then_some(None))
            }
            Then::App { head, route } => Ok(self.enter_app(id, &head, route, authority)?.map(Some)),
        });
        match result {
            // The answer follows.
            Ok(None) => {}
            Ok(Some(answer)) => {
                let is_app = answer.is_some();
                let is_open = out.respond(id, Ok(answer), |replies| {
                    if is_app {
                        self.open(id, EndpointId::APPLICATION, replies);
                    }
                });
                if is_app && !is_open {
                    // It was refused meanwhile, and is not to be told of the end of a connection
                    // that it was not told of.
                    self.states.remove(id);
                }
            }
            Err(refusal) => {
                out.respond(id, Err(refusal), |_| {});
            }
        }
        true
    }

    /// What was allowed, unless its time is over.
    fn check_end(&self, authority: Authority) -> Result<Authority, Refusal> {
        match &self.gate {
            Some(gate) => gate.check_end(authority),
            None => Ok(authority),
        }
    }

    /// Asks the application about a client that is allowed in. `None` if it decides later.
    fn enter_app(
        &mut self,
        id: ConnectionId,
        head: &[u8],
        route: RouteId,
        authority: Authority,
    ) -> Result<Option<session::Accept>, Refusal> {
        // It was parsed before.
        let Ok(Parsed::Upgrade(request)) = parse(head, &HeadLimits::NONE) else {
            return Err(Rejection::Undecided.into());
        };
        let request = match self.uses_peers() {
            true => self.with_addresses(id, &request),
            false => request,
        };
        self.upgrade_app_as(id, &request, route, Some(Arc::new(authority)))
    }
}
