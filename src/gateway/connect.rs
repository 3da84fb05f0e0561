//! Handshakes of the endpoints of the server: whether a client may come in.

use std::sync::Arc;
use std::time::Duration;

use super::client::{Client, Kind, RESERVED};
use super::endpoint::{Opening, Rules};
use super::gate::Gate;
use super::service::{BUILT_IN, Gateway};
use super::target::Foreign;
use crate::app::{Action, Handler, catch_if};
use crate::authority::{Authority, Verify, forbidden};
use crate::base::ConnectionId;
use crate::protocol::websocket::handshake::{Agreement, Refusal, Rejection, Request};
use crate::session::{self, Verdict};

const MAY_NOT_SUBSCRIBE: &str = "The token does not allow to subscribe to this topic.";
const MAY_NOT_PUBLISH: &str = "The token does not allow to publish to this topic.";

impl<H: Handler> Gateway<H> {
    /// A request to an endpoint of the server. First its token is verified, if there are keys, and
    /// the application is asked whether the client may connect; then the rest of the request is
    /// checked.
    pub(super) fn upgrade_client(
        &mut self,
        id: ConnectionId,
        endpoint: Kind,
        request: &Request<'_>,
        deflate: Option<&Agreement>,
    ) -> Result<Verdict, Refusal> {
        let authority = self.admit(request)?;
        let app = &mut self.app;
        let authorised = catch_if(H::CATCH_PANICS, || {
            let mut user = H::User::default();
            let result = app.authorise_connect(request, &mut user);
            if let (Ok(()), Some(authority)) = (&result, &authority) {
                app.authorised(&mut user, authority);
            }
            result.map(|()| user)
        });
        let user = match authorised {
            Ok(result) => result?,
            Err(panic) => return Err(self.refuse_after_panic("authorise_connect", id, panic)),
        };
        // Frames that subscribers share refer to nothing before them, which does not work with a
        // compressor that keeps its window.
        let window_bits = deflate
            .filter(|agreed| agreed.server_no_context_takeover)
            .map(|agreed| agreed.server_max_window_bits);
        let foreign = Foreign { app: H::PARAMETERS, has_tokens: authority.is_some() };
        let max_topic = self.config.pubsub.max_topic;
        let rules = Rules { max_topic, foreign, reserved: RESERVED };
        let Opening { client, protocol } = endpoint.open(request, rules)?;
        let may_publish = match &authority {
            Some(authority) => check(&client, authority)?,
            None => None,
        };
        if let Some(filter) = client.subscribes_to() {
            self.authorise(id, &user, Action::Subscribe(&filter))?;
        }
        let is_deferred = client.attach(id, window_bits, &mut self.core.broker)?;
        self.clients.insert(id, client, user);
        if let (Some(gate), Some(authority)) = (self.gate.as_deref_mut(), authority) {
            gate.hold(id, authority, may_publish, self.core.broker.ledger());
            self.core.has_work |= gate.is_waiting();
        }
        let accept = session::Accept { endpoint: BUILT_IN, protocol, ..Default::default() };
        Ok(if is_deferred { Verdict::Defer(accept) } else { Verdict::Accept(accept) })
    }

    /// What the client of a request may do; `None` if no tokens are verified.
    pub(super) fn admit(&mut self, request: &Request<'_>) -> Result<Option<Authority>, Refusal> {
        let Some(gate) = self.gate.as_deref_mut() else { return Ok(None) };
        let result = gate.admit(request);
        self.core.broker.charge(gate.take_work());
        result.map(Some)
    }

    /// Whether a client may do this before it is connected.
    fn authorise(
        &mut self,
        id: ConnectionId,
        user: &H::User,
        action: Action<'_>,
    ) -> Result<(), Refusal> {
        let app = &mut self.app;
        match catch_if(H::CATCH_PANICS, || app.authorise(user, action)) {
            Ok(Ok(())) => Ok(()),
            Ok(Err(denied)) => Err(Refusal::saying(Rejection::Forbidden, denied.to_string())),
            Err(panic) => Err(self.refuse_after_panic("authorise", id, panic)),
        }
    }

    /// Verifies tokens from now on; `clock` tells the time after the beginning of 1970.
    #[must_use]
    pub fn with_authority(
        mut self,
        verify: Option<Arc<dyn Verify>>,
        clock: fn() -> Duration,
    ) -> Self {
        let max_topic = self.config.pubsub.max_topic;
        self.gate = verify.map(|verify| Box::new(Gate::new(verify, clock, max_topic)));
        self
    }
}

/// Whether a client may do what it asks for by connecting. One that only publishes has to be
/// allowed to; one that subscribes too is closed when it publishes without being allowed to, which
/// is what is returned of it.
fn check(client: &Client, authority: &Authority) -> Result<Option<bool>, Refusal> {
    let may_publish = client.publishes_to().map(|topic| authority.may_publish(topic));
    match client.subscribes_to() {
        Some(filter) if !authority.may_subscribe(&filter) => Err(forbidden(MAY_NOT_SUBSCRIBE)),
        None if may_publish == Some(false) => Err(forbidden(MAY_NOT_PUBLISH)),
        _ => Ok(may_publish),
    }
}
