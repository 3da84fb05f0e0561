//! What an application adds: a [`Handler`] for each core.

use super::accept::Accept;
use super::action::{Action, Denied};
use super::context::{CloseContext, Context};
use super::request::RequestContext;
use super::upgrade::Upgrade;
use crate::authority::Authority;
use crate::protocol::http;
use crate::protocol::websocket::handshake::{Refusal, Request};
use crate::session::{CloseReason, Message};

/// The application on one core: never shared between threads, so it needs no locks.
///
/// A callback must not block: no connection of its core is served until it returns. A callback that
/// panics ends its connection with close code 1011, or with 503 before it is open, and the core
/// goes on (not with `panic = "abort"`, where the process ends). A panic elsewhere, such as in the
/// `Drop` of a [`User`](Self::User), stops the server.
pub trait Handler {
    /// The state of one connection. `()` takes no memory.
    type Connection: 'static;

    /// A client of the server's own endpoints, as [`authorise`](Self::authorise) is given it. The
    /// request of its handshake is not kept, because that would take memory for each connection. So
    /// whatever a later decision needs of it, such as a name from a token or the address of the
    /// peer, is put into this value by [`authorise_connect`](Self::authorise_connect).
    type User: Default + 'static;

    /// Whether the addresses of peers and clients are wanted: [`Context::peer_addr`] and
    /// [`Context::client_addr`], and the same of a [`Request`] in [`upgrade`](Self::upgrade) and
    /// [`authorise_connect`](Self::authorise_connect). They are `None` otherwise, which is the
    /// default, because they take 32 bytes for each connection and an accept of its own for each.
    /// With [`Config::trusted_proxies`](crate::config::Config::trusted_proxies) they are known in
    /// any case.
    const PEER_ADDRESSES: bool = false;

    /// Whether a panic in a callback closes its connection only, with 1011. That is the default.
    /// Otherwise it stops the server, as a panic in the server's own code does, and each message
    /// costs some 10 to 80 instructions less.
    const CATCH_PANICS: bool = true;

    /// Whether the bodies of plain requests are wanted: [`http::Request::body`] in
    /// [`request`](Self::request). By default they are read and discarded.
    const REQUEST_BODIES: bool = false;

    /// The parameters in the query of a request for an endpoint of the server that are for
    /// [`authorise_connect`](Self::authorise_connect), by their names as they are in the request.
    /// Any other name that the endpoint does not know is refused with 400 after that callback has
    /// accepted the client, so that a typing error is noticed. `*` stands for all names: then the
    /// endpoint refuses none but wrong values of its own parameters. By default they are those that
    /// carry credentials: a page cannot set a header of the request, so a token comes in the query
    /// (`access_token` is from RFC 6750 section 2.3).
    const PARAMETERS: &'static [&'static str] = &["token", "access_token"];

    /// Whether a client of a path of the application has to show a token, if the server verifies
    /// tokens (`Server::authority`). Then
    /// [`upgrade`](Self::upgrade) is called for those only whose token is valid, and
    /// [`Accept::authority`] says who they are. The connection does not end with the token; a
    /// handler that wants that sets a timer. By default no token is looked at on these paths.
    const TOKENS: bool = false;

    /// A well-formed request to open a WebSocket, on a path that is no endpoint of the server.
    /// `accept` takes the subprotocol and further headers of the answer. To decide later, such as
    /// after a look into a database, return what [`Accept::decide_later`] makes.
    fn upgrade(&mut self, request: &Request<'_>, accept: &mut Accept) -> Upgrade<Self::Connection>;

    /// A plain request, which opens no WebSocket, of any method but CONNECT, on a path that is no
    /// endpoint of the server. The response is sent as it is, to HEAD without its body, and the
    /// next request of the connection may follow. It is given the CORS headers for the origins that
    /// [`Config::origins`](crate::config::Config::origins) allows, unless it has such headers.
    ///
    /// To answer later, such as after a look into a database, take a
    /// [`Responder`](super::Responder) by
    /// [`answer_later`](RequestContext::answer_later), and return `None`.
    ///
    /// `None` without that, which is the default, leaves the answer to the server: a short text on
    /// `/`, `ok` on `/healthz` (503 while the server drains), the allowed methods to OPTIONS, and
    /// on every other path 426, since it may serve WebSocket. A callback that panics is answered
    /// with 500.
    ///
    /// ```
    /// use corecast::app::RequestContext;
    /// use corecast::protocol::http::{Request, Response, Status};
    /// use corecast::pubsub::Payload;
    ///
    /// /// The body of `Handler::request`.
    /// fn request(request: &Request<'_>, cx: &mut RequestContext<'_>) -> Option<Response> {
    ///     match (request.method, request.path) {
    ///         ("GET" | "HEAD", "/version") => Some(Response::text(Status::OK, "1.0\n")),
    ///         // With `REQUEST_BODIES`.
    ///         ("POST", "/news") => {
    ///             let news = Payload::binary(request.body.to_vec());
    ///             Some(match cx.publish("news", &news) {
    ///                 Ok(()) => Response::new(Status::NO_CONTENT),
    ///                 Err(why) => Response::text(Status::SERVICE_UNAVAILABLE, why.to_string()),
    ///             })
    ///         }
    ///         _ => None,
    ///     }
    /// }
    /// ```
    fn request(
        &mut self,
        request: &http::Request<'_>,
        cx: &mut RequestContext<'_>,
    ) -> Option<http::Response> {
        let _ = (request, cx);
        None
    }

    /// A request to an endpoint of the server, `/topics/...` or `/pubsub`: whether the client may
    /// connect there, and `user` as the later calls of [`authorise`](Self::authorise) need it. The
    /// default accepts every client.
    ///
    /// # Errors
    /// A [`Refusal`] is sent to the client as its status, such as
    /// [`Forbidden`](crate::protocol::websocket::handshake::Rejection::Forbidden).
    fn authorise_connect(
        &mut self,
        request: &Request<'_>,
        user: &mut Self::User,
    ) -> Result<(), Refusal> {
        let _ = (request, user);
        Ok(())
    }

    /// A client of an endpoint of the server has shown a token or a key that is valid, at its
    /// handshake, or on `/pubsub` in the place of an earlier one: `user` may note who it is. Called
    /// after [`authorise_connect`](Self::authorise_connect), and only if the server verifies tokens
    /// (`Server::authority`). What the token does not allow is
    /// denied in any case.
    fn authorised(&mut self, user: &mut Self::User, authority: &Authority) {
        let _ = (user, authority);
    }

    /// A client of an endpoint of the server wants to subscribe or publish: `user` is what
    /// [`authorise_connect`](Self::authorise_connect) has made of the request of its handshake, and
    /// `action` what it asks for now. The default allows everything. Called for each filter of a
    /// request to subscribe and for each message.
    ///
    /// # Errors
    /// If it is denied. On `/pubsub` the request is answered with an `error` that says why, nothing
    /// of it is done, and the connection stays. On `/topics/...` a client that may not subscribe is
    /// refused with 403, and one that publishes without permission is closed with 1008.
    fn authorise(&mut self, user: &Self::User, action: Action<'_>) -> Result<(), Denied> {
        let _ = (user, action);
        Ok(())
    }

    /// What a client of an endpoint of the server is called in the list of connections of an admin
    /// listener. By default it has no name.
    fn user_name(user: &Self::User) -> Option<&str> {
        let _ = user;
        None
    }

    /// The connection is open. What is sent here follows the answer to the handshake.
    fn open(&mut self, connection: &mut Self::Connection, cx: &mut Context<'_, '_>) {
        let _ = (connection, cx);
    }

    /// A whole message: checked, unmasked, decompressed.
    fn message<'a>(
        &mut self,
        connection: &mut Self::Connection,
        message: Message<'a>,
        cx: &mut Context<'_, 'a>,
    );

    /// A ping was received (RFC 6455 section 5.5.2). It has been answered already.
    fn ping(
        &mut self,
        connection: &mut Self::Connection,
        payload: &[u8],
        cx: &mut Context<'_, '_>,
    ) {
        let _ = (connection, payload, cx);
    }

    /// A pong was received (RFC 6455 section 5.5.3), also those to the server's own pings, which
    /// have no payload.
    fn pong(
        &mut self,
        connection: &mut Self::Connection,
        payload: &[u8],
        cx: &mut Context<'_, '_>,
    ) {
        let _ = (connection, payload, cx);
    }

    /// Something had to wait until the peer read on, and now nothing waits any more.
    fn drain(&mut self, connection: &mut Self::Connection, cx: &mut Context<'_, '_>) {
        let _ = (connection, cx);
    }

    /// The time given to [`Context::set_timer`] is over.
    fn timer(&mut self, connection: &mut Self::Connection, cx: &mut Context<'_, '_>) {
        let _ = (connection, cx);
    }

    /// The end of a connection that was accepted. `reason` says which side ended it, and with which
    /// close code; [`CloseContext::text`] is the text of the close frame.
    fn close(
        &mut self,
        connection: Self::Connection,
        reason: CloseReason,
        cx: &mut CloseContext<'_>,
    ) {
        let _ = (connection, reason, cx);
    }
}
