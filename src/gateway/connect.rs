//! Handshakes of the endpoints of the server: whether a client may come in.

use std::sync::Arc;
use std::time::Duration;

use super::client::{Client, Kind, RESERVED};
use super::endpoint::{Opening, Rules};
use super::gate::{Admitted, DeniedCounts, Gate};
use super::questions::Entering;
use super::service::Gateway;
use super::target::Foreign;
use crate::app::{Action, Handler, catch_if};
use crate::authority::{Authority, TokenError, Verify, forbidden, refuse};
use crate::base::ConnectionId;
use crate::config::{Access, RouteId};
use crate::protocol::websocket::handshake::{Refusal, Rejection, Request};
use crate::session::{self, Terms, Verdict};

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
        terms: Terms<'_>,
    ) -> Result<Verdict, Refusal> {
        let access = self.access_of(terms.route);
        let admitted = self.admit(request, access)?;
        let user = self.authorise_connect(id, request)?;
        // Frames that subscribers share refer to nothing before them, which does not work with a
        // compressor that keeps its window.
        let window_bits = terms
            .deflate
            .filter(|agreed| agreed.server_no_context_takeover)
            .map(|agreed| agreed.server_max_window_bits);
        let foreign = Foreign { app: H::PARAMETERS, has_tokens: self.gate.is_some() };
        let max_topic = self.config.pubsub.max_topic;
        let route = self.config.routes.get(terms.route).map(|route| &route.path);
        let rules = Rules { max_topic, foreign, reserved: RESERVED, route };
        let Opening { client, protocol } = endpoint.open(request, rules)?;
        let accept = session::Accept { endpoint: endpoint.id(), protocol, ..Default::default() };
        let entering = Entering { client, user, window_bits };
        let authority = match admitted {
            Some(Admitted::Later(question)) => {
                return Ok(self.ask_about_client(id, question, entering, accept));
            }
            Some(Admitted::Now(authority)) => Some(authority),
            None => None,
        };
        let is_deferred = self.enter(id, entering, authority)?;
        Ok(if is_deferred { Verdict::Defer(accept) } else { Verdict::Accept(accept) })
    }

    /// Asks the application whether a client may connect, and who it is.
    fn authorise_connect(
        &mut self,
        id: ConnectionId,
        request: &Request<'_>,
    ) -> Result<H::User, Refusal> {
        let app = &mut self.app;
        let authorised = catch_if(H::CATCH_PANICS, || {
            let mut user = H::User::default();
            app.authorise_connect(request, &mut user).map(|()| user)
        });
        match authorised {
            Ok(result) => result,
            Err(panic) => Err(self.refuse_after_panic("authorise_connect", id, panic)),
        }
    }

    /// Lets a client in, if it may do what it asks for by connecting. Returns whether its handshake
    /// is answered later.
    pub(super) fn enter(
        &mut self,
        id: ConnectionId,
        entering: Entering<H::User>,
        authority: Option<Authority>,
    ) -> Result<bool, Refusal> {
        let Entering { client, mut user, window_bits } = entering;
        let mut may_publish = None;
        if let Some(authority) = &authority {
            let app = &mut self.app;
            if let Err(panic) = catch_if(H::CATCH_PANICS, || app.authorised(&mut user, authority)) {
                return Err(self.refuse_after_panic("authorised", id, panic));
            }
            may_publish = check(&client, authority)?;
        }
        if let Some(filter) = client.subscribes_to() {
            self.authorise(id, &user, Action::Subscribe(&filter))?;
        }
        let is_deferred = client.attach(id, window_bits, &mut self.core.broker)?;
        self.clients.insert(id, client, user);
        self.hold(id, authority, may_publish);
        Ok(is_deferred)
    }

    /// The endpoint that serves a path on a route. `None` if it is the application's.
    pub(super) fn endpoint_of(&self, route: RouteId, path: &str) -> Option<Kind> {
        match self.config.routes.get(route) {
            Some(route) => Kind::of_route(route.to),
            None => Kind::of_path(path).filter(|_| self.config.pubsub.endpoints),
        }
    }

    /// Who may connect by a route, if it says so.
    pub(super) fn access_of(&self, route: RouteId) -> Option<Access> {
        self.config.routes.get(route).and_then(|route| route.access)
    }

    /// What the client of a request may do; `None` if that is not limited: no tokens are verified,
    /// or its route needs none.
    pub(super) fn admit(
        &mut self,
        request: &Request<'_>,
        access: Option<Access>,
    ) -> Result<Option<Admitted>, Refusal> {
        if access == Some(Access::Anyone) {
            return Ok(None);
        }
        let Some(gate) = self.gate.as_deref_mut() else {
            return match access {
                // Nobody can have one.
                Some(Access::Token) => Err(refuse(&TokenError::Missing)),
                _ => Ok(None),
            };
        };
        let result = gate.admit(request);
        self.core.broker.charge(gate.take_work());
        result.map(Some)
    }

    /// Keeps what a client may do.
    pub(super) fn hold(
        &mut self,
        id: ConnectionId,
        authority: Option<Authority>,
        may_publish: Option<bool>,
    ) {
        if let Some(gate) = self.gate.as_deref_mut() {
            gate.hold(id, authority, may_publish, self.core.broker.ledger());
            self.core.has_work |= gate.is_waiting();
        }
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

    /// What clients were not allowed by their tokens after their handshakes.
    pub fn denied(&self) -> DeniedCounts {
        self.gate.as_deref().map_or_else(DeniedCounts::default, Gate::denied)
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
