//! The service that a worker drives: it routes requests and messages to endpoints and application.

use std::sync::Arc;
use std::time::Duration;

use super::clients::{Client, Clients};
use super::route::{Route, is_endpoint, route};
use super::states::States;
use super::{json, raw};
use crate::app::{Accept, Context, Handler, Upgrade};
use crate::base::{ConnectionId, Millis};
use crate::config::Config;
use crate::mesh::Port;
use crate::protocol::websocket::handshake::{Agreement, Refusal, Request};
use crate::pubsub::{
    Broker, Established, Event, Form, Inbox, PeerMessage, Publication, RetainLimit, Topic, Totals,
    encode,
};
use crate::session::{
    self, CloseReason, EndpointId, Inbound, Message, Outbound, Replies, Service, Verdict, Wakeup,
};

/// The endpoint `/topics/<topic>`.
const RAW: EndpointId = EndpointId(1);
/// The endpoint `/pubsub`.
const JSON: EndpointId = EndpointId(2);
/// The most publications of programs that are taken in one turn.
const INBOX_BATCH: usize = 256;
/// The least time between two warnings that a message of a program is not retained.
const WARN_EVERY: Duration = Duration::from_secs(1);

/// The service of one core: the endpoints of the server, and the application `H`.
#[derive(Debug)]
pub struct Gateway<H: Handler> {
    app: H,
    states: States<H::Connection>,
    broker: Broker,
    clients: Clients,
    config: Arc<Config>,
    inbox: Option<Inbox>,
    now: Millis,
    /// No warning before this time.
    warn_again: Millis,
    /// Connections whose queue was emptied since the last turn.
    drained: Vec<ConnectionId>,
}

impl<H: Handler> Gateway<H> {
    /// A service around the application. `port` leads to the other cores, which share `totals`.
    pub fn new(
        app: H,
        config: Arc<Config>,
        port: Port<PeerMessage>,
        inbox: Option<Inbox>,
        totals: Totals,
    ) -> Self {
        Self {
            app,
            states: States::new(),
            broker: Broker::new(Arc::clone(&config), port, totals),
            clients: Clients::default(),
            config,
            inbox,
            now: Millis::default(),
            warn_again: Millis::default(),
            drained: Vec::new(),
        }
    }

    /// The application.
    pub const fn app(&self) -> &H {
        &self.app
    }

    /// The broker of this core.
    pub const fn broker(&self) -> &Broker {
        &self.broker
    }

    /// A request to an endpoint of the server. The application is asked first whether the client
    /// may connect, then the rest of the request is checked.
    fn upgrade_client(
        &mut self,
        id: ConnectionId,
        request: &Request<'_>,
        deflate: Option<&Agreement>,
    ) -> Result<Verdict, Refusal> {
        self.app.admit(request)?;
        // Frames that subscribers share refer to nothing before them, which does not work with a
        // compressor that keeps its window.
        let window_bits = deflate
            .filter(|agreed| agreed.server_no_context_takeover)
            .map(|agreed| agreed.server_max_window_bits);
        let max_topic = self.config.pubsub.max_topic;
        match route(request.path, request.query, max_topic).map_err(Refusal::bad_request)? {
            Route::Raw { topic, role, echo } => {
                let protocol = raw::subprotocol(request);
                let client = Client::Raw { topic, role, echo };
                let is_deferred = raw::open(id, &client, window_bits, &mut self.broker);
                self.clients.insert(id, client);
                let accept = session::Accept { endpoint: RAW, protocol };
                Ok(if is_deferred { Verdict::Defer(accept) } else { Verdict::Accept(accept) })
            }
            Route::Json => {
                let protocol = json::subprotocol(request)?;
                json::open(id, window_bits, &mut self.broker);
                self.clients.insert(id, Client::Json { answer: None });
                Ok(Verdict::Accept(session::Accept { endpoint: JSON, protocol }))
            }
            Route::Application => self.upgrade_app(id, request),
        }
    }

    fn upgrade_app(&mut self, id: ConnectionId, request: &Request<'_>) -> Result<Verdict, Refusal> {
        let mut accept = Accept::default();
        match self.app.upgrade(request, &mut accept) {
            Upgrade::Accept(state) => {
                self.states.insert(id, state);
                let has_endpoints = self.config.pubsub.endpoints;
                // That subprotocol belongs to /pubsub. A client that is answered with it here would
                // not find out that its path is wrong.
                let protocol =
                    accept.protocol.filter(|it| !has_endpoints || **it != *json::PROTOCOL);
                let endpoint = EndpointId::APPLICATION;
                Ok(Verdict::Accept(session::Accept { endpoint, protocol }))
            }
            Upgrade::Refuse(refusal) => Err(refusal),
        }
    }

    #[inline(never)]
    fn client_message(
        &mut self,
        id: ConnectionId,
        message: Message<'_>,
        replies: &mut Replies<'_>,
    ) {
        let max_topic = self.config.pubsub.max_topic;
        match self.clients.get(id) {
            Some(Client::Json { answer }) => {
                json::message(id, answer, message, max_topic, &mut self.broker, replies);
            }
            Some(client) => raw::message(id, client, message, &mut self.broker, replies),
            None => {}
        }
    }

    /// Takes publications of programs, as far as the broker has room.
    fn take_inbox(&mut self) {
        for _ in 0..INBOX_BATCH {
            if !self.broker.has_room() {
                return;
            }
            let Some(queued) = self.inbox.as_ref().and_then(Inbox::take) else { return };
            let result = self.broker.publish(&Publication {
                topic: &queued.topic,
                opcode: queued.payload.opcode,
                payload: &queued.payload.bytes,
                json: None,
                retain: queued.retain,
                origin: None,
            });
            if let Err(limit) = result {
                self.warn_not_retained(&queued.topic, limit);
            }
        }
    }

    /// Logs that a message is not retained, since the program that published it does not learn of
    /// it. The log is limited to one line in [`WARN_EVERY`].
    fn warn_not_retained(&mut self, topic: &Topic, limit: RetainLimit) {
        if self.now >= self.warn_again {
            self.warn_again = self.now.after(WARN_EVERY);
            let so_far = self.broker.stats().not_retained;
            tracing::warn!(%topic, so_far, "{limit}");
        }
    }

    /// Answers the clients whose subscriptions every core has acknowledged, and starts their
    /// deliveries.
    fn establish<O: Outbound>(&mut self, out: &mut O) {
        while let Some(established) = self.broker.take_established() {
            established.into_iter().for_each(|one| self.establish_one(one, out));
        }
    }

    fn establish_one<O: Outbound>(&mut self, established: Established, out: &mut O) {
        let id = established.id;
        match self.clients.get(id) {
            Some(Client::Json { answer }) => json::answer(id, answer, out),
            Some(Client::Raw { .. }) => out.respond(id, Ok(())),
            None => {}
        }
        self.broker.put_in_force(established, out);
    }
}

impl<H: Handler> Inbound for Gateway<H> {
    fn upgrade(
        &mut self,
        id: ConnectionId,
        request: &Request<'_>,
        deflate: Option<&Agreement>,
    ) -> Verdict {
        let verdict = if self.config.pubsub.endpoints && is_endpoint(request.path) {
            self.upgrade_client(id, request, deflate)
        } else {
            self.upgrade_app(id, request)
        };
        verdict.unwrap_or_else(Verdict::Refuse)
    }

    fn open(&mut self, id: ConnectionId, endpoint: EndpointId, replies: &mut Replies<'_>) {
        if !endpoint.is_built_in()
            && let Some(state) = self.states.get_mut(id)
        {
            self.app.open(state, &mut Context::new(id, replies, &mut self.broker));
        }
    }

    #[inline(always)]
    fn message<'a, const BUILT_IN: bool>(
        &mut self,
        id: ConnectionId,
        message: Message<'a>,
        replies: &mut Replies<'a>,
    ) {
        if BUILT_IN {
            self.client_message(id, message, replies);
        } else if let Some(state) = self.states.get_mut(id) {
            self.app.message(state, message, &mut Context::new(id, replies, &mut self.broker));
        }
    }

    fn closed(&mut self, id: ConnectionId, endpoint: EndpointId, reason: CloseReason) {
        if endpoint.is_built_in() {
            self.clients.remove(id);
            self.broker.detach(id);
        } else if let Some(state) = self.states.remove(id) {
            self.app.close(state, reason);
        }
    }

    fn write_gap(&mut self, endpoint: EndpointId, subject: &str, lost: u64, out: &mut Vec<u8>) {
        encode(Form::new(endpoint == JSON, None), Event::Gap { topic: subject, lost }, out);
    }
}

impl<H: Handler> Service for Gateway<H> {
    fn start_turn(&mut self) {
        self.broker.start_turn();
    }

    fn end_turn<O: Outbound>(&mut self, now: Millis, deliveries: usize, out: &mut O) {
        self.now = now;
        for id in self.drained.drain(..) {
            self.broker.resume_replay(id);
        }
        self.take_inbox();
        self.broker.distribute(now);
        self.establish(out);
        self.broker.flush(out);
        self.broker.deliver(deliveries, out);
        while let Some(id) = self.broker.take_ended() {
            if let Some(Client::Json { answer }) = self.clients.get(id) {
                json::answer(id, answer, out);
            }
        }
    }

    fn wakeup(&self) -> Wakeup {
        if self.drained.is_empty() { self.broker.wakeup() } else { Wakeup::Now }
    }

    #[inline]
    fn has_room(&self) -> bool {
        self.broker.has_room()
    }

    fn drained(&mut self, id: ConnectionId) {
        self.drained.push(id);
    }

    fn may_sleep(&mut self) -> bool {
        if !self.broker.try_sleep() {
            return false;
        }
        // A core without room takes nothing from its inbox, so the inbox must not keep it awake.
        let has_some = self.inbox.as_ref().is_some_and(|inbox| !inbox.is_empty());
        if has_some && self.broker.has_room() {
            self.broker.cancel_sleep();
            return false;
        }
        true
    }
}
