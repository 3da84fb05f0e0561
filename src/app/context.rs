//! What an application can do in a callback.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use super::connection::ConnectionHandle;
use super::core::CoreState;
use super::error::{PublishError, SendError, SubscribeError};
use super::panics::Payload as PanicPayload;
use super::prepared::PreparedMessage;
use crate::base::ConnectionId;
use crate::config::SlowConsumer;
use crate::protocol::websocket::frame::MAX_CONTROL_PAYLOAD;
use crate::protocol::websocket::{CloseCode, Opcode};
use crate::pubsub::Payload;
use crate::session::{CloseReason, Message, Replies};

/// So many bytes may wait before a message that is larger than the limit.
const LITTLE: usize = 16 << 10;
/// The reason in the close frame to a peer that reads too slowly.
const TOO_SLOW: &str = "reads too slowly";

/// One connection in a callback of the [`Handler`](super::Handler), and the topics of its core.
///
/// What is sent counts against the limit of the peer,
/// [`PubSub::queue`](crate::config::PubSub::queue): the bytes that the peer has not taken, and
/// those of this turn. While no more than 16 KiB wait, or half of a smaller limit, one more message
/// may always be sent, however large: in [`Handler::open`](super::Handler::open) the answer to the
/// handshake waits before it. So may the first one in [`Handler::message`](super::Handler::message)
/// while no more than the limit waits.
///
/// A message beyond the limit is dropped and not sent, which the result says:
/// [`SendError::TooSlow`] under the policy [`SlowConsumer::Close`], where the connection is closed
/// with 1013, and [`SendError::Full`] under all others. It is this message that is dropped also
/// where the policy drops the oldest messages of topics, or all but the latest: what was sent here
/// belongs to no topic, later messages may build on it, and `Ok` is a promise that it goes out in
/// its place unless the connection ends. To send more, wait for
/// [`Handler::drain`](super::Handler::drain).
///
/// A client that pipelines messages is not closed for that: it is not read from while more than
/// half of the limit waits.
#[derive(Debug)]
pub struct Context<'c, 'a> {
    id: ConnectionId,
    replies: &'c mut Replies<'a>,
    core: &'c mut CoreState,
    /// The next message is the first reply to one of the client.
    is_first_reply: bool,
}

impl<'c, 'a> Context<'c, 'a> {
    #[inline(always)]
    pub(crate) const fn new(
        id: ConnectionId,
        replies: &'c mut Replies<'a>,
        core: &'c mut CoreState,
    ) -> Self {
        Self { id, replies, core, is_first_reply: false }
    }

    /// The same for the callback that is given a message of the client.
    #[inline(always)]
    pub(crate) const fn for_message(
        id: ConnectionId,
        replies: &'c mut Replies<'a>,
        core: &'c mut CoreState,
    ) -> Self {
        Self { id, replies, core, is_first_reply: true }
    }

    /// The id of the connection on its core.
    #[must_use]
    pub const fn id(&self) -> ConnectionId {
        self.id
    }

    /// The address of the peer, if [`Handler::PEER_ADDRESSES`](super::Handler::PEER_ADDRESSES) says
    /// that it is wanted and the system tells it. Of a client behind a proxy it is that of the
    /// proxy. An IPv4 address is never in IPv6 form.
    #[must_use]
    pub fn peer_addr(&self) -> Option<SocketAddr> {
        self.core.peer_addr(self.id)
    }

    /// The address of the client: that of the peer, or of a client behind proxies that
    /// [`Config::trusted_proxies`](crate::config::Config::trusted_proxies) names what they have
    /// said of it in its handshake.
    #[must_use]
    pub fn client_addr(&self) -> Option<IpAddr> {
        self.core.client_addr(self.id)
    }

    /// Sends the message back, compressed if it came compressed. Without a copy where nothing else
    /// has been sent to this connection in the turn.
    ///
    /// The first echo of a callback is never refused: a client that does not read its echoes is not
    /// read from. Each further echo in the same callback counts as a message sent with
    /// [`text`](Self::text) or [`binary`](Self::binary), and is dropped where they would be
    /// refused.
    #[inline(always)]
    pub fn echo(&mut self, message: Message<'a>) {
        if self.replies.has_echo() {
            // Of a message that is refused the policy has taken care.
            let _ = self.send(message.opcode(), message.payload());
        } else {
            self.replies.echo(message);
        }
    }

    /// Sends a text message; compressed where that was agreed and may make it shorter.
    ///
    /// # Errors
    /// [`SendError::Full`], [`SendError::TooSlow`] or [`SendError::Gone`].
    pub fn text(&mut self, text: &str) -> Result<(), SendError> {
        self.send(Opcode::Text, text.as_bytes())
    }

    /// Sends a binary message; compressed where that was agreed and makes it shorter.
    ///
    /// # Errors
    /// As [`text`](Self::text).
    pub fn binary(&mut self, payload: &[u8]) -> Result<(), SendError> {
        self.send(Opcode::Binary, payload)
    }

    /// Sends a ping. Its payload is cut to 125 bytes (RFC 6455 section 5.5).
    ///
    /// # Errors
    /// As [`text`](Self::text).
    pub fn ping(&mut self, payload: &[u8]) -> Result<(), SendError> {
        self.check(payload.len().min(MAX_CONTROL_PAYLOAD))?;
        self.replies.ping(payload);
        Ok(())
    }

    /// Sends a message that was framed before, uncompressed. A large one is not copied: see
    /// [`PreparedMessage`].
    ///
    /// # Errors
    /// As [`text`](Self::text).
    pub fn prepared(&mut self, message: &PreparedMessage) -> Result<(), SendError> {
        self.check(message.frame().len())?;
        self.replies.append_frames(message.frame());
        self.hold_if_much_waits();
        Ok(())
    }

    /// The bytes that wait to be sent to this connection, those of this turn included.
    #[must_use]
    pub fn queued(&self) -> usize {
        self.replies.queued()
    }

    /// Subscribes the connection to the topics that `filter` matches: those of `/topics` and
    /// `/pubsub`. Each message is sent to it as it was published, uncompressed. The subscription is
    /// in force once every core knows of it, which takes about as long as to wake them. For a
    /// filter without wildcards the retained value comes first; for one with wildcards the retained
    /// values may come after newer messages.
    ///
    /// # Errors
    /// If the filter is not valid, or the connection has too many subscriptions.
    pub fn subscribe(&mut self, filter: &str) -> Result<(), SubscribeError> {
        self.core.subscribe(self.id, filter)
    }

    /// Ends a subscription after what was published before in this turn. Returns whether there was
    /// one.
    ///
    /// # Errors
    /// If the filter is not valid.
    pub fn unsubscribe(&mut self, filter: &str) -> Result<bool, SubscribeError> {
        self.core.unsubscribe(self.id, filter)
    }

    /// Publishes a message to all subscribers of `topic`, this connection included if it is one.
    ///
    /// # Errors
    /// If the message was not published.
    pub fn publish(&mut self, topic: &str, payload: &Payload) -> Result<(), PublishError> {
        self.core.publish(topic, payload, false, None)
    }

    /// The same, but not to this connection.
    ///
    /// # Errors
    /// As [`publish`](Self::publish).
    pub fn publish_to_others(
        &mut self,
        topic: &str,
        payload: &Payload,
    ) -> Result<(), PublishError> {
        self.core.publish(topic, payload, false, Some(self.id))
    }

    /// Publishes a message as [`publish`](Self::publish) does, and retains it for later
    /// subscribers. An empty payload clears the retained message.
    ///
    /// # Errors
    /// As [`publish`](Self::publish); and [`PublishError::NotRetained`], where it is published.
    pub fn retain(&mut self, topic: &str, payload: &Payload) -> Result<(), PublishError> {
        self.core.publish(topic, payload, true, None)
    }

    /// Calls [`Handler::timer`](super::Handler::timer) once, after `wait` and about a tenth of a
    /// second more at most. A connection has one timer: setting it again replaces it.
    pub fn set_timer(&mut self, wait: Duration) {
        self.core.set_timer(self.id, wait);
    }

    /// A handle with which other threads send to this connection.
    #[must_use]
    pub fn handle(&self) -> ConnectionHandle {
        self.core.handle(self.id)
    }

    /// Closes the connection with this code, after what was sent before.
    pub fn close(&mut self, code: CloseCode, reason: &'static str) {
        self.replies.close(code, reason);
    }

    pub(crate) fn send(&mut self, opcode: Opcode, payload: &[u8]) -> Result<(), SendError> {
        self.check(payload.len())?;
        self.replies.send(opcode, payload);
        self.hold_if_much_waits();
        Ok(())
    }

    /// Whether `len` bytes may wait as well; if not, the policy is applied.
    fn check(&mut self, len: usize) -> Result<(), SendError> {
        if self.replies.is_closing() {
            return Err(SendError::Gone);
        }
        let waiting = self.replies.queued();
        let config = &self.core.config.pubsub;
        // What the kernel has not taken is known a turn later, and until then messages of the
        // client are handled that would have waited. It is not to blame for that.
        let is_first_reply = std::mem::take(&mut self.is_first_reply) && waiting <= config.queue;
        let little = waiting <= LITTLE.min(config.queue / 2);
        if little || is_first_reply || waiting.saturating_add(len) <= config.queue {
            return Ok(());
        }
        let is_closed = config.slow == SlowConsumer::Close;
        if is_closed {
            self.core.stats.too_slow += 1;
            self.replies.close_for(CloseReason::TooSlow, TOO_SLOW);
        }
        self.core.set_full(self.id);
        Err(if is_closed { SendError::TooSlow } else { SendError::Full })
    }

    /// What the client has sent behind this message waits until there is room for the replies.
    fn hold_if_much_waits(&mut self) {
        if self.replies.queued() > self.core.config.pubsub.queue / 2 {
            self.replies.hold();
            self.core.hold(self.id);
        }
    }

    /// The callback has panicked.
    #[cold]
    pub(crate) fn panicked(&mut self, callback: &'static str, payload: PanicPayload) {
        self.core.panics.record(callback, self.id, payload);
        self.replies.close(CloseCode::INTERNAL_ERROR, "internal error");
    }
}

/// The topics of a core, as [`Handler::close`](super::Handler::close) is given them.
#[derive(Debug)]
pub struct CloseContext<'c> {
    id: ConnectionId,
    text: &'c str,
    core: &'c mut CoreState,
}

impl<'c> CloseContext<'c> {
    pub(crate) const fn new(id: ConnectionId, text: &'c str, core: &'c mut CoreState) -> Self {
        Self { id, text, core }
    }

    /// The reason in the close frame of the side that closed first, or `""` if it had none
    /// (RFC 6455 section 7.1.6). It says the same to a person as
    /// [`CloseReason::code`](crate::session::CloseReason::code) to a program.
    #[must_use]
    pub const fn text(&self) -> &str {
        self.text
    }

    /// The id that the connection had on its core.
    #[must_use]
    pub const fn id(&self) -> ConnectionId {
        self.id
    }

    /// The address that the peer had, as [`Context::peer_addr`] tells it.
    #[must_use]
    pub fn peer_addr(&self) -> Option<SocketAddr> {
        self.core.peer_addr(self.id)
    }

    /// The address that the client had, as [`Context::client_addr`] tells it.
    #[must_use]
    pub fn client_addr(&self) -> Option<IpAddr> {
        self.core.client_addr(self.id)
    }

    /// Publishes a message to all subscribers of `topic`.
    ///
    /// # Errors
    /// As [`Context::publish`].
    pub fn publish(&mut self, topic: &str, payload: &Payload) -> Result<(), PublishError> {
        self.core.publish(topic, payload, false, None)
    }

    /// Publishes a message and retains it.
    ///
    /// # Errors
    /// As [`Context::retain`].
    pub fn retain(&mut self, topic: &str, payload: &Payload) -> Result<(), PublishError> {
        self.core.publish(topic, payload, true, None)
    }
}
