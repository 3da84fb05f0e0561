//! What an application adds: a [`Handler`] for each core.

use super::context::Context;
use crate::protocol::websocket::handshake::{Refusal, Request};
use crate::session::{CloseReason, Message};

/// How an accepted handshake is answered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Accept {
    /// The subprotocol to answer with. Left out if the client did not offer it (RFC 6455 section
    /// 4.2.2).
    pub protocol: Option<Box<str>>,
}

impl Accept {
    /// Answers with the first subprotocol that the client offered, if it offered any: what clients
    /// that offer some expect of a server that knows none.
    pub fn first_protocol(&mut self, request: &Request<'_>) {
        self.protocol = request.subprotocols().next().map(Into::into);
    }
}

/// What an application decides about an opening handshake.
#[derive(Debug)]
pub enum Upgrade<C> {
    /// The connection becomes a WebSocket with this state.
    Accept(C),
    /// The request is answered with the status of the refusal.
    Refuse(Refusal),
}

/// The application on one core: never shared between threads, so it needs no locks.
pub trait Handler {
    /// The state of one connection. `()` takes no memory.
    type Connection: 'static;

    /// A well-formed request to open a WebSocket, on a path that is no endpoint of the server.
    fn upgrade(&mut self, request: &Request<'_>, accept: &mut Accept) -> Upgrade<Self::Connection>;

    /// A request to an endpoint of the server, `/topics/...` or `/pubsub`: whether the client may
    /// connect there. The default accepts every client.
    ///
    /// # Errors
    /// A [`Refusal`] is sent to the client as its status, such as
    /// [`Forbidden`](crate::protocol::websocket::handshake::Rejection::Forbidden).
    fn admit(&mut self, request: &Request<'_>) -> Result<(), Refusal> {
        let _ = request;
        Ok(())
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

    /// The end of a connection that [`upgrade`](Self::upgrade) had accepted.
    fn close(&mut self, connection: Self::Connection, reason: CloseReason) {
        let _ = (connection, reason);
    }
}
