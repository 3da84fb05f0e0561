//! The callbacks of the application, beside that of messages.

use std::any::Any;
use std::sync::Arc;

use super::client::RESERVED;
use super::gate::Admitted;
use super::service::Gateway;
use crate::app::{Accept, CloseContext, Context, Handler, Outcome, Undecided, Upgrade, catch_if};
use crate::authority::Authority;
use crate::base::{ConnectionId, Millis};
use crate::config::{Access, RouteId};
use crate::protocol::websocket::handshake::{Refusal, Rejection, Request};
use crate::session::{self, CloseReason, EndpointId, Inbound, Outbound, Replies, Verdict, Wakeup};

impl<H: Handler> Gateway<H> {
    pub(super) fn upgrade_app(
        &mut self,
        id: ConnectionId,
        request: &Request<'_>,
        route: RouteId,
    ) -> Result<Verdict, Refusal> {
        let access = self.access_of(route);
        let authority = match H::TOKENS || access == Some(Access::Token) {
            true => self.admit(request, access)?,
            false => None,
        };
        let authority = match authority {
            Some(Admitted::Later(question)) => {
                return Ok(self.ask_about_app(id, question, request, route));
            }
            Some(Admitted::Now(authority)) => Some(Arc::new(authority)),
            None => None,
        };
        Ok(match self.upgrade_app_as(id, request, route, authority)? {
            Some(accept) => Verdict::Accept(accept),
            None => Verdict::Defer(session::Accept::default()),
        })
    }

    /// Asks the application about a client of which is known what it may do. `None` if it decides
    /// later.
    pub(super) fn upgrade_app_as(
        &mut self,
        id: ConnectionId,
        request: &Request<'_>,
        route: RouteId,
        authority: Option<Arc<Authority>>,
    ) -> Result<Option<session::Accept>, Refusal> {
        let mut accept = Accept::of(id, self.core.inbox.decided());
        accept.authority = authority;
        let is_by_route = self.access_of(route) == Some(Access::Token);
        let by_route = accept.authority.clone().filter(|_| is_by_route);
        let accepted = self.ask_upgrade(id, request, accept)?;
        // Its end ends the connection, as on routes to topics.
        if let Some(authority) = by_route {
            self.hold(id, Some(Authority::clone(&authority)), None);
        }
        Ok(accepted)
    }

    fn ask_upgrade(
        &mut self,
        id: ConnectionId,
        request: &Request<'_>,
        mut accept: Accept,
    ) -> Result<Option<session::Accept>, Refusal> {
        let app = &mut self.app;
        match catch_if(H::CATCH_PANICS, || app.upgrade(request, &mut accept)) {
            Ok(Upgrade::Accept(state)) => {
                self.states.insert(id, state);
                Ok(Some(self.accept(accept)))
            }
            Ok(Upgrade::Refuse(refusal)) => Err(refusal),
            Ok(Upgrade::Later(undecided)) if undecided.id() == Some(id) => {
                self.undecided.insert(id, undecided);
                self.core.has_work = true;
                Ok(None)
            }
            // It belongs to another handshake.
            Ok(Upgrade::Later(_)) => Err(Rejection::Undecided.into()),
            Err(panic) => Err(self.refuse_after_panic("upgrade", id, panic)),
        }
    }

    /// The answer that the application wants to be given.
    fn accept(&self, accept: Accept) -> session::Accept {
        let has_endpoints = self.config.serves_topics();
        let (protocol, headers) = accept.into_parts();
        // A client that is answered with the subprotocol of an endpoint here would not find out
        // that its path is wrong.
        let protocol = protocol.filter(|it| !has_endpoints || !RESERVED.contains(it));
        session::Accept { endpoint: EndpointId::APPLICATION, protocol, headers }
    }

    /// Answers a handshake that another thread has decided about, or a request.
    fn decide<O: Outbound>(&mut self, id: ConnectionId, out: &mut O) {
        if !out.is_deciding(id) {
            // It was closed meanwhile: nobody is to be told of a client that is not served.
            return self.withdraw(id);
        }
        if self.answer_late(id, out) || self.take_answer(id, out) {
            return;
        }
        let outcome = self.undecided.get(&id).and_then(Undecided::take);
        let refusal = match outcome {
            None => return,
            Some(Outcome::Refuse(refusal)) => refusal,
            Some(Outcome::Accept(answer, make)) => match catch_if(H::CATCH_PANICS, make) {
                Ok(state) => {
                    let answer = self.accept(answer);
                    out.respond(id, Ok(Some(answer)), |replies| {
                        self.undecided.remove(&id);
                        self.states.insert(id, state);
                        self.open(id, EndpointId::APPLICATION, replies);
                    });
                    return;
                }
                Err(panic) => self.refuse_after_panic("the state of a decision", id, panic),
            },
        };
        out.respond(id, Err(refusal), |_| {});
    }

    /// A connection was answered with 503, because nothing was decided in time.
    pub(super) fn withdraw(&self, id: ConnectionId) {
        if let Some(undecided) = self.undecided.get(&id) {
            undecided.withdraw();
        }
        if let Some(unanswered) = self.unanswered.get(&id) {
            unanswered.withdraw();
        }
        if let Some(asking) = self.asking.get(&id) {
            asking.withdraw();
        }
    }

    /// A callback that decides about a handshake has panicked: the answer is 503.
    #[cold]
    pub(super) fn refuse_after_panic(
        &mut self,
        callback: &'static str,
        id: ConnectionId,
        panic: Box<dyn Any + Send>,
    ) -> Refusal {
        self.core.panics.record(callback, id, panic);
        Rejection::Failed.into()
    }

    /// Calls back into the application for one connection.
    pub(super) fn call<'a>(
        &mut self,
        name: &'static str,
        id: ConnectionId,
        replies: &mut Replies<'a>,
        callback: impl FnOnce(&mut H, &mut H::Connection, &mut Context<'_, 'a>),
    ) {
        let Some(state) = self.states.get_mut(id) else { return };
        let mut cx = Context::new(id, replies, &mut self.core);
        let app = &mut self.app;
        if let Err(panic) = catch_if(H::CATCH_PANICS, || callback(app, state, &mut cx)) {
            cx.panicked(name, panic);
        }
    }

    /// A connection of the application has ended.
    pub(super) fn close_app(&mut self, id: ConnectionId, reason: CloseReason, text: &str) {
        // Then it was never opened.
        if !self.undecided.is_empty() && self.undecided.remove(&id).is_some() {
            return;
        }
        if !self.unanswered.is_empty() && self.unanswered.remove(&id).is_some() {
            self.core.timers.clear(id);
            return;
        }
        self.core.closed(id);
        let Some(state) = self.states.remove(id) else { return };
        let (app, core) = (&mut self.app, &mut self.core);
        if let Err(panic) = catch_if(H::CATCH_PANICS, || {
            app.close(state, reason, &mut CloseContext::new(id, text, core))
        }) {
            self.core.panics.record("close", id, panic);
        }
    }

    /// Goes on with the connections for which nothing waits any more.
    #[cold]
    pub(super) fn tell_drained<O: Outbound>(&mut self, out: &mut O) {
        for id in std::mem::take(&mut self.drained) {
            self.core.broker.resume_replay(id);
            if self.clients.get(id).is_some() {
                continue;
            }
            if self.core.drained(id) {
                out.set_reading(id, true);
            }
            let is_open = out.with_replies(id, |replies| {
                self.call("drain", id, replies, |app, state, cx| app.drain(state, cx));
            });
            if !is_open {
                // It is closing: what handles send now would be lost.
                self.core.set_gone(id);
            }
        }
    }

    /// Calls the timers that are due, and lets connections go on whose input has waited.
    #[cold]
    pub(super) fn do_work<O: Outbound>(&mut self, out: &mut O) {
        if self.waits_for_tokens_only() {
            return;
        }
        // What was sent in the turn before is with the kernel now, or in the queue.
        for id in std::mem::take(&mut self.core.resuming) {
            if out.has_backlog(id) {
                self.core.paused.insert(id);
            } else {
                self.core.set_open(id);
                out.set_reading(id, true);
            }
        }
        self.core.resuming = std::mem::take(&mut self.core.held);
        for id in self.core.inbox.decided().take() {
            self.decide(id, out);
        }
        for id in self.core.timers.expire(self.now) {
            if self.unanswered.contains_key(&id) {
                self.admin_overdue(id);
                continue;
            }
            out.with_replies(id, |replies| {
                self.call("timer", id, replies, |app, state, cx| app.timer(state, cx));
            });
        }
        self.expire_tokens(out);
        // Callbacks of this turn may have set timers again.
        let core = &mut self.core;
        let has_input = !core.resuming.is_empty() || !core.held.is_empty();
        let is_asking = !self.undecided.is_empty() || !self.asking.is_empty();
        let is_waiting = is_asking || !self.unanswered.is_empty();
        let is_timed = self.gate.as_ref().is_some_and(|gate| gate.is_waiting());
        core.has_work = has_input || !core.timers.is_empty() || is_waiting || is_timed;
    }

    /// Whether nothing is to be done but to wait until a token ends, as in most turns of a server
    /// that verifies tokens.
    fn waits_for_tokens_only(&self) -> bool {
        let core = &self.core;
        let is_idle = core.resuming.is_empty() && core.held.is_empty() && core.timers.is_empty();
        is_idle
            && self.undecided.is_empty()
            && self.asking.is_empty()
            && self.unanswered.is_empty()
            && core.inbox.decided().is_empty()
            && self.gate.as_ref().is_some_and(|gate| gate.is_waiting() && gate.wakeup() > self.now)
    }

    #[cold]
    pub(super) fn wakeup_with_work(&self) -> Wakeup {
        let has_input = !self.core.resuming.is_empty() || !self.core.held.is_empty();
        if has_input || !self.core.inbox.decided().is_empty() {
            return Wakeup::Now;
        }
        match self.core.broker.wakeup() {
            Wakeup::Now => Wakeup::Now,
            Wakeup::At(time) => {
                let token = self.gate.as_ref().map_or(Millis::NEVER, |gate| gate.wakeup());
                Wakeup::At(time.min(self.core.timers.next()).min(token))
            }
        }
    }
}
