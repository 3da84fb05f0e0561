//! Listeners for administration: their requests, and what is told of connections there.

use std::net::SocketAddr;
use std::time::Duration;

use super::client::Kind;
use super::service::Gateway;
use super::waiting::Waiting;
use crate::app::{Admin, Handler, RequestContext};
use crate::base::ConnectionId;
use crate::config::{RouteId, RouteTo};
use crate::protocol::http::{Request, Response};
use crate::protocol::websocket::handshake::Rejection;
use crate::session::EndpointId;

/// The time that other cores have to tell what is asked of them.
const WAIT: Duration = Duration::from_secs(1);

/// The endpoint of the application, as it is called in metrics and lists.
const APPLICATION: &str = "app";

/// The endpoints to which WebSockets are open, with their names.
pub fn endpoints() -> impl Iterator<Item = (EndpointId, &'static str)> {
    let all = Kind::ALL.iter().map(|kind| (kind.id(), kind.name()));
    std::iter::once((EndpointId::APPLICATION, APPLICATION)).chain(all)
}

/// The endpoint that a route leads to; `None` if it leads to no WebSocket.
pub fn endpoint_of(to: RouteTo) -> Option<EndpointId> {
    match to {
        RouteTo::Application => Some(EndpointId::APPLICATION),
        to => Kind::of_route(to).map(Kind::id),
    }
}

/// What the service knows of a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Described {
    /// The name of its endpoint.
    pub endpoint: &'static str,
    /// The pattern of its route, if it came by one.
    pub route: Option<String>,
    /// The address of its peer, if it is known.
    pub peer: Option<SocketAddr>,
    /// The address of its client, if that is another one.
    pub client: Option<std::net::IpAddr>,
    /// What the application calls its user, or the user of its token.
    pub user: Option<String>,
}

impl<H: Handler> Gateway<H> {
    /// Has `admin` answer what comes to listeners for administration.
    #[must_use]
    pub(crate) fn with_admin(mut self, admin: Option<Box<dyn Admin>>) -> Self {
        if admin.is_some() {
            self.core.broker.list_filters();
        }
        Self { admin, ..self }
    }

    /// What is known of a WebSocket to this endpoint that came by this route.
    pub fn describe(&self, id: ConnectionId, endpoint: EndpointId, route: RouteId) -> Described {
        let name = endpoints().find(|(other, _)| *other == endpoint).map_or("", |(_, name)| name);
        let peer = self.core.peer_addr(id);
        let client = self.core.client_addr(id).filter(|ip| peer.map(|peer| peer.ip()) != Some(*ip));
        let by_token = || self.gate.as_deref().and_then(|gate| gate.user(id));
        let user = self.clients.user(id).and_then(H::user_name).or_else(by_token);
        let user = user.filter(|user| !user.is_empty()).map(str::to_owned);
        let route = self.config.routes.get(route).map(|route| route.path.to_string());
        Described { endpoint: name, route, peer, client, user }
    }

    pub(super) fn answer_admin(
        &mut self,
        id: ConnectionId,
        request: &Request<'_>,
    ) -> Option<Response> {
        let Self { admin, core, .. } = self;
        let Some(admin) = admin else { return Some(Rejection::NotFound.response()) };
        let mut cx = RequestContext::new(id, core);
        let response = admin.request(request, &mut cx);
        if response.is_some() {
            return response;
        }
        let later = Waiting::for_nobody_else(cx.into_later()?);
        self.unanswered.insert(id, later);
        self.core.set_timer(id, WAIT);
        None
    }

    /// The time for an answer is over.
    #[cold]
    pub(super) fn admin_overdue(&mut self, id: ConnectionId) {
        if let Some(admin) = &mut self.admin {
            admin.overdue(id);
        }
    }
}
