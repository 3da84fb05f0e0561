//! One core's hub: between its connections, the other cores and the programs that publish.

mod answers;
mod client;
mod endpoints;
mod jobs;
mod links;
mod publish;
mod replay;

#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use super::index::Index;
use super::json;
use super::name::{Filter, Topic};
use super::publication::{Publication, Value};
use super::publisher::Inbox;
use super::retained::{Full, Retained, Totals};
use super::route::{Route, route};
use crate::base::{ConnectionId, Millis};
use crate::config::Config;
use crate::mesh::Port;
use crate::protocol::websocket::Opcode;
use crate::protocol::websocket::frame::append_frame;
use crate::protocol::websocket::handshake::{Agreement, Refusal, Request};
use crate::session::{Acceptance, CloseReason, Errands, Handler, Message, Replies, Sink};
use answers::Pending;
use client::{Clients, Kind};
use jobs::Jobs;
pub use links::Parcel;
use links::{Contents, Links};
use publish::Drafts;

/// The tags of connections to the endpoints; those of the application are below.
const RAW: u8 = 254;
const JSON: u8 = 255;
/// How many parcels of each core, and of programs, are taken in one turn.
const MAIL: usize = 256;
/// How soon it is looked again whether another core has room.
const RETRY_MS: u64 = 1;
/// How often it is said that a program's messages are not retained.
const WARN_EVERY: Duration = Duration::from_secs(1);

/// What a hub counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Messages that this core's connections and the programs that it serves have published.
    pub published: u64,
    /// Sends to subscribers of this core, each of one or more messages.
    pub deliveries: u64,
    /// Subscriptions of this core's connections at this moment.
    pub subscriptions: u64,
    /// Filters that this core knows to be wanted, by its own connections or on other cores.
    pub filters: u64,
    /// Retained values at this moment.
    pub retained: u64,
    /// Times a connection was not read from because what it published could not be passed on.
    pub pauses: u64,
    /// Messages of programs that were published but not retained, because of the limits.
    pub not_retained: u64,
}

/// The handler of one core: serves the endpoints, and leaves all else to the application's `H`.
#[derive(Debug)]
pub struct Hub<H> {
    inner: H,
    config: Arc<Config>,
    now: Millis,
    clients: Clients,
    index: Index,
    retained: Retained<Value>,
    drafts: Drafts,
    jobs: Jobs,
    links: Links,
    inbox: Option<Inbox>,
    pending: VecDeque<Pending>,
    replaying: VecDeque<ConnectionId>,
    paused: Vec<ConnectionId>,
    /// Those who were paused may be let go on by what was delivered.
    resume_due: bool,
    /// There was mail, and `turn` has not been called since: a turn can end before that.
    has_news: bool,
    /// It was said that the core sleeps.
    is_asleep: bool,
    /// Subscriptions that have ended in this turn.
    ended: Vec<(ConnectionId, Filter)>,
    /// A connection accepted whose compression is not known yet.
    opening: Option<(ConnectionId, Kind)>,
    errands: Errands,
    mail: Vec<(usize, Parcel)>,
    /// No warning before that.
    warn_again: Millis,
    stats: Stats,
}

impl<H> Hub<H> {
    /// A hub around the application's handler. `port` leads to the hubs of the other cores, which
    /// share `totals`.
    pub fn new(
        inner: H,
        config: Arc<Config>,
        port: Port<Parcel>,
        inbox: Option<Inbox>,
        totals: Totals,
    ) -> Self {
        let core = u16::try_from(port.number()).unwrap_or(u16::MAX);
        Self {
            inner,
            now: Millis::default(),
            clients: Clients::default(),
            index: Index::new(port.cores()),
            retained: Retained::new(totals, core),
            drafts: Drafts::new(u32::from(config.deflate_level.value())),
            jobs: Jobs::default(),
            links: Links::new(port),
            inbox,
            pending: VecDeque::new(),
            replaying: VecDeque::new(),
            paused: Vec::new(),
            resume_due: false,
            has_news: false,
            is_asleep: false,
            ended: Vec::new(),
            opening: None,
            errands: Errands::default(),
            mail: Vec::new(),
            warn_again: Millis::default(),
            stats: Stats::default(),
            config,
        }
    }

    /// The application's handler.
    pub const fn inner(&self) -> &H {
        &self.inner
    }

    /// What it counts.
    #[must_use]
    pub fn stats(&self) -> Stats {
        Stats {
            deliveries: self.jobs.delivered,
            filters: self.index.filters() as u64,
            retained: self.retained.len() as u64,
            ..self.stats
        }
    }

    /// Takes what other cores have left, unless there is too much to do already.
    fn take_mail(&mut self) {
        // Only own deliveries keep a core from its mail, or two cores could wait for each other.
        if self.jobs.bytes() > self.config.pubsub.backlog {
            return;
        }
        let mut mail = std::mem::take(&mut self.mail);
        self.links.port().drain(MAIL, |from, parcel| mail.push((from, parcel)));
        self.has_news |= !mail.is_empty();
        for (from, Parcel(contents)) in mail.drain(..) {
            match contents {
                Contents::Batch(batch) => self.received(batch),
                Contents::Interest(filter, forms) => self.index.set_remote(&filter, from, forms),
                Contents::Told(number) => self.links.confirm(from, number),
                Contents::Known(number) => self.links.set_known(from, number),
            }
        }
        self.mail = mail;
    }

    /// Takes what programs have left, unless there is too much to do already.
    fn take_posted(&mut self) {
        for _ in 0..MAIL {
            if self.is_congested() {
                return;
            }
            let Some(posted) = self.inbox.as_ref().and_then(Inbox::take) else { return };
            let result = self.publish(&Publication {
                topic: &posted.topic,
                opcode: posted.payload.opcode,
                payload: &posted.payload.bytes,
                json: None,
                retain: posted.retain,
                origin: None,
            });
            if let Err(full) = result {
                self.warn_not_retained(&posted.topic, full);
            }
        }
    }
}

impl<H> Hub<H> {
    /// Says so, as the program that published it is not told; but not for each of many.
    fn warn_not_retained(&mut self, topic: &Topic, full: Full) {
        self.stats.not_retained += 1;
        if self.now >= self.warn_again {
            self.warn_again = self.now.after(WARN_EVERY);
            let so_far = self.stats.not_retained;
            tracing::warn!(%topic, so_far, "{full}");
        }
    }
}

impl<H: Handler> Handler for Hub<H> {
    fn open<'a>(
        &mut self,
        id: ConnectionId,
        request: &Request<'a>,
    ) -> Result<Acceptance<'a>, Refusal> {
        let pubsub = &self.config.pubsub;
        let route = if pubsub.endpoints {
            route(request.path, request.query, pubsub.max_topic).map_err(Refusal::bad_request)?
        } else {
            Route::Other
        };
        if route != Route::Other {
            self.inner.admit(request)?;
        }
        match route {
            Route::Raw { topic, role, echo } => {
                self.opening = Some((id, Kind::Raw { topic, role, echo }));
                // Whoever speaks that one has the wrong path, and must not be told it is right.
                let other = request.subprotocols().find(|name| *name != super::PROTOCOL);
                Ok(Acceptance::with_protocol(other).with_tag(RAW))
            }
            Route::Json => {
                self.opening = Some((id, Kind::Json));
                let ours = request.subprotocols().find(|name| *name == super::PROTOCOL);
                Ok(Acceptance::with_protocol(ours).with_tag(JSON))
            }
            Route::Other => {
                self.opening = None;
                let mut acceptance = self.inner.open(id, request)?;
                if self.config.pubsub.endpoints {
                    acceptance.protocol = acceptance.protocol.filter(|it| *it != super::PROTOCOL);
                }
                let tag = acceptance.tag.min(Acceptance::MAX_TAG);
                Ok(acceptance.with_tag(tag))
            }
        }
    }

    fn opened(&mut self, id: ConnectionId, deflate: Option<&Agreement>) {
        match self.opening.take() {
            Some((opening, kind)) if opening == id => {
                // What all share refers to nothing before it, and would confuse a compressor that
                // keeps its window.
                let bits = deflate
                    .filter(|agreed| agreed.server_no_context_takeover)
                    .map(|agreed| agreed.server_max_window_bits);
                self.begin(id, kind, bits);
            }
            _ => self.inner.opened(id, deflate),
        }
    }

    #[inline]
    fn message<'a>(&mut self, id: ConnectionId, message: Message<'a>, replies: &mut Replies<'a>) {
        self.inner.message(id, message, replies);
    }

    fn server_message<'a>(
        &mut self,
        id: ConnectionId,
        message: Message<'a>,
        replies: &mut Replies<'a>,
    ) {
        match message.tag() {
            JSON => self.json_message(id, message, replies),
            _ => self.raw_message(id, message, replies),
        }
    }

    fn closed(&mut self, id: ConnectionId, reason: CloseReason) {
        match self.clients.remove(id) {
            Some(client) => {
                for filter in client.filters {
                    self.unsubscribe(id, filter);
                }
            }
            None => self.inner.closed(id, reason),
        }
    }

    fn turn(&mut self, now: Millis, errands: &mut Errands) {
        self.now = now;
        self.has_news = false;
        self.take_posted();
        // What was published in this turn goes to those who had subscribed before it. So the lists
        // of subscribers change once in a turn.
        self.pass_on();
        self.end_subscriptions();
        self.answer_pending();
        self.links.flush(&mut self.errands.bells);
        self.resume();
        errands.posts.append(&mut self.errands.posts);
        errands.bells.append(&mut self.errands.bells);
        self.inner.turn(now, errands);
    }

    fn deliver<S: Sink>(&mut self, most: usize, sink: &mut S) {
        // What is new goes first: retained values fill up what a connection is given in a turn, and
        // a connection that has got enough stops all that is new. Half of the turn is theirs.
        let left = self.jobs.deliver(most - most / 2, sink);
        let left = self.replay(most / 2 + left, sink);
        self.jobs.deliver(left, sink);
        self.resume_due = !self.paused.is_empty() && !self.has_too_much(2);
        self.inner.deliver(most, sink);
    }

    fn is_busy(&self) -> bool {
        let has_jobs = !self.jobs.is_empty() || !self.replaying.is_empty();
        let is_due = self.resume_due || self.has_news || !self.drafts.is_empty();
        has_jobs || is_due || self.inner.is_busy()
    }

    #[inline]
    fn is_full(&self) -> bool {
        self.is_congested()
    }

    fn deadline(&self) -> Millis {
        if self.links.is_unfinished() {
            Millis(self.now.0 + RETRY_MS)
        } else {
            self.inner.deadline()
        }
    }

    fn try_sleep(&mut self) -> bool {
        if !self.links.port().try_sleep() {
            return false;
        }
        // A core that may not take from its inbox looks again when others have room.
        let has_some = !self.is_congested() && self.inbox.as_ref().is_some_and(|i| !i.is_empty());
        if has_some || !self.inner.try_sleep() {
            self.links.port().wake_up();
            return false;
        }
        self.is_asleep = true;
        true
    }

    fn begin_turn(&mut self) {
        if std::mem::take(&mut self.is_asleep) {
            self.links.port().wake_up();
        }
        // Before what connections say, so that what is said here after it was heard elsewhere is
        // known to come later.
        self.take_mail();
        self.inner.begin_turn();
    }

    fn drained(&mut self, id: ConnectionId) {
        self.replay_on(id);
        self.inner.drained(id);
    }

    fn gap(&mut self, tag: u8, subject: &str, lost: u64, out: &mut Vec<u8>) {
        match tag {
            // Nothing but payloads goes there.
            RAW => {}
            JSON => {
                let mut text = Vec::new();
                json::gap(&mut text, subject, lost);
                append_frame(out, Opcode::Text, false, &text);
            }
            _ => self.inner.gap(tag, subject, lost, out),
        }
    }
}
