//! Messages to the endpoints of the server, and what their clients may do.

use super::clients::Entry;
use super::endpoint::{Guard, Incoming, Renewed};
use super::gate::{Gate, compared_with};
use super::service::Gateway;
use crate::app::{Action, CoreState, Denied, Handler, Panics, catch_if};
use crate::base::ConnectionId;
use crate::protocol::websocket::CloseCode;
use crate::pubsub::{Broker, Filter};
use crate::session::Replies;

const NO_TOKENS: &str = "This server verifies no tokens.";

impl<H: Handler> Gateway<H> {
    #[inline(never)]
    pub(super) fn client_message(
        &mut self,
        id: ConnectionId,
        message: Incoming<'_>,
        replies: &mut Replies<'_>,
    ) {
        let max_topic = self.config.pubsub.max_topic;
        let Some(entry) = self.clients.entry(id) else { return };
        let Entry { client, user, .. } = entry;
        let CoreState { broker, panics, .. } = &mut self.core;
        let undelivered = broker.undelivered();
        let (app, gate, mut has_panicked) = (&mut self.app, self.gate.as_deref_mut(), false);
        let guard = Doorman { id, app, user, gate, panics, has_panicked: &mut has_panicked };
        client.message(id, message, max_topic, broker, replies, guard);
        entry.note_deliveries(broker.undelivered() - undelivered);
        if has_panicked {
            replies.close(CloseCode::INTERNAL_ERROR, "internal error");
        }
        if let Some(gate) = self.gate.as_deref_mut() {
            self.core.broker.charge(gate.take_work());
            self.core.has_work |= gate.is_waiting();
        }
    }
}

/// The one place where the later actions of a client are authorised: by its token, if tokens are
/// verified, and by the application.
struct Doorman<'g, H: Handler> {
    id: ConnectionId,
    app: &'g mut H,
    user: &'g mut H::User,
    gate: Option<&'g mut Gate>,
    panics: &'g mut Panics,
    has_panicked: &'g mut bool,
}

impl<H: Handler> Guard for Doorman<'_, H> {
    fn authorise(&mut self, action: Action<'_>) -> Result<(), Denied> {
        if let Some(gate) = self.gate.as_deref_mut() {
            gate.authorise(self.id, action)?;
        }
        let (app, user) = (&mut *self.app, &*self.user);
        catch_if(H::CATCH_PANICS, || app.authorise(user, action)).unwrap_or_else(|panic| {
            self.panics.record("authorise", self.id, panic);
            *self.has_panicked = true;
            Err(Denied::because("internal error"))
        })
    }

    fn renew(&mut self, token: &str, broker: &mut Broker) -> Result<Renewed, String> {
        let gate = self.gate.as_deref_mut().ok_or(NO_TOKENS)?;
        let (authority, expires) = gate.renew(self.id, token)?;
        let (app, user) = (&mut *self.app, &mut *self.user);
        if let Err(panic) = catch_if(H::CATCH_PANICS, || app.authorised(user, authority)) {
            self.panics.record("authorised", self.id, panic);
            *self.has_panicked = true;
        }
        let (each, mut work) = (compared_with(authority.subscribe()), 0);
        let is_lost = |filter: &&Filter| {
            work += each;
            !authority.may_subscribe(filter)
        };
        let lost = broker.filters(self.id).filter(is_lost).cloned().collect();
        broker.charge(work);
        Ok(Renewed { user: authority.user().into(), expires, lost })
    }
}
