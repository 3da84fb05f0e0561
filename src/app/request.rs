//! What an application can do when it answers a plain request.

use std::net::{IpAddr, SocketAddr};

use super::core::CoreState;
use super::error::PublishError;
use super::responder::{self, Responder, Unanswered};
use crate::base::ConnectionId;
use crate::config::Config;
use crate::pubsub::{Payload, Topic};

/// The connection of a plain request and the topics of its core, as
/// [`Handler::request`](super::Handler::request) is given them.
#[derive(Debug)]
pub struct RequestContext<'c> {
    id: ConnectionId,
    core: &'c mut CoreState,
    later: Option<Unanswered>,
}

impl<'c> RequestContext<'c> {
    pub(crate) const fn new(id: ConnectionId, core: &'c mut CoreState) -> Self {
        Self { id, core, later: None }
    }

    /// The id of the connection.
    pub(crate) const fn id(&self) -> ConnectionId {
        self.id
    }

    /// The request, if it is to be answered later.
    pub(crate) fn into_later(self) -> Option<Unanswered> {
        self.later
    }

    /// Puts off the answer to this request: the callback returns `None` then, and the value that is
    /// returned here answers, from any thread. If the callback returns a response after all, that
    /// counts. Each call makes a new value; all but the last find their client gone.
    ///
    /// ```
    /// use corecast::app::RequestContext;
    /// use corecast::protocol::http::{Request, Response, Status};
    ///
    /// /// The body of `Handler::request`.
    /// fn request(request: &Request<'_>, cx: &mut RequestContext<'_>) -> Option<Response> {
    ///     let path = request.path.to_owned();
    ///     let responder = cx.answer_later();
    ///     std::thread::spawn(move || {
    ///         // An error says that the client has left.
    ///         let _ = responder.respond(match look_up(&path) {
    ///             Some(page) => Response::text(Status::OK, page),
    ///             None => Response::new(Status::NOT_FOUND),
    ///         });
    ///     });
    ///     None
    /// }
    /// # fn look_up(_: &str) -> Option<String> { None }
    /// ```
    pub fn answer_later(&mut self) -> Responder {
        let (later, responder) = responder::pair(self.id, self.core);
        self.later = Some(later);
        responder
    }

    /// Retained values behind the topic `after`, in the order of their topics, with the bytes that
    /// they count for; at most `most`.
    pub(crate) fn retained(&self, after: Option<&str>, most: usize) -> Vec<(Topic, usize)> {
        self.core.broker.retained_after(after, most)
    }

    /// The settings of the server.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.core.config
    }

    /// The address of the peer, as [`Context::peer_addr`](super::Context::peer_addr) tells it.
    #[must_use]
    pub fn peer_addr(&self) -> Option<SocketAddr> {
        self.core.peer_addr(self.id)
    }

    /// The address of the client, as [`Context::client_addr`](super::Context::client_addr) tells it
    /// of its handshake.
    #[must_use]
    pub fn client_addr(&self) -> Option<IpAddr> {
        self.core.client_addr(self.id)
    }

    /// Publishes a message to all subscribers of `topic`.
    ///
    /// # Errors
    /// If the message was not published.
    pub fn publish(&mut self, topic: &str, payload: &Payload) -> Result<(), PublishError> {
        self.core.publish(topic, payload, false, None)
    }

    /// Publishes a message and retains it, as [`Context::retain`](super::Context::retain) does.
    ///
    /// # Errors
    /// If the message was not published, or not retained.
    pub fn retain(&mut self, topic: &str, payload: &Payload) -> Result<(), PublishError> {
        self.core.publish(topic, payload, true, None)
    }
}
