//! The service that a worker drives: it routes requests and messages to endpoints and application.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::admission::Admission;
use super::clients::Clients;
use super::endpoint::Incoming;
use super::gate::Gate;
use super::questions::Asking;
use super::states::States;
use super::stopping::Stopping;
use super::waiting::Waiting;
use crate::app::{
    Admin, AppStats, ConnectionHandle, Context, CoreState, Handler, Inbox, OnPanic, Undecided,
    catch,
};
use crate::base::{ConnectionId, Ledger, Millis};
use crate::config::Config;
use crate::mesh::Port;
use crate::protocol::http;
use crate::protocol::websocket::Opcode;
use crate::protocol::websocket::handshake::Request;
use crate::pubsub::{Broker, Event, PeerMessage, Totals, encode};
use crate::session::{
    Admitted, CloseReason, EndpointId, Inbound, Message, Outbound, Replies, Service, Terms,
    Verdict, Wakeup,
};

/// The service of one core: the endpoints of the server, and the application `H`.
#[derive(Debug)]
pub struct Gateway<H: Handler> {
    pub(super) app: H,
    pub(super) states: States<H::Connection>,
    /// What the callbacks of the application work with, the broker included.
    pub(super) core: CoreState,
    pub(super) clients: Clients<H::User>,
    pub(super) config: Arc<Config>,
    pub(super) now: Millis,
    /// No warning before this time.
    pub(super) warn_again: Millis,
    /// Handshakes that the application decides about later, until they are accepted or their
    /// connections have ended.
    pub(super) undecided: HashMap<ConnectionId, Undecided<H::Connection>>,
    /// Handshakes about which somebody else is asked, until the answer is there or their
    /// connections have ended.
    pub(super) asking: HashMap<ConnectionId, Asking<H::User>>,
    /// Requests that the application answers later.
    pub(super) unanswered: HashMap<ConnectionId, Waiting>,
    /// Answers what comes to listeners for administration.
    pub(super) admin: Option<Box<dyn Admin>>,
    /// Connections whose queue was emptied since the last turn.
    pub(super) drained: Vec<ConnectionId>,
    /// The tokens of clients, if any are verified.
    pub(super) gate: Option<Box<Gate>>,
    /// What connections may begin by their addresses, if that is limited.
    pub(super) admission: Option<Box<Admission>>,
    /// Whether the server stops.
    pub(super) stopping: Stopping,
}

impl<H: Handler> Gateway<H> {
    /// A service around the application. `port` leads to the other cores, which share `totals`.
    pub fn new(
        app: H,
        config: Arc<Config>,
        port: Port<PeerMessage>,
        inbox: Inbox,
        totals: Totals,
    ) -> Self {
        let broker = Broker::new(Arc::clone(&config), port, totals);
        Self {
            app,
            states: States::new(),
            core: CoreState::new(broker, Arc::clone(&config), inbox),
            clients: Clients::default(),
            config,
            now: Millis::default(),
            warn_again: Millis::default(),
            undecided: HashMap::new(),
            asking: HashMap::new(),
            unanswered: HashMap::new(),
            admin: None,
            drained: Vec::new(),
            gate: None,
            admission: None,
            stopping: Stopping::default(),
        }
    }

    /// Has `hook` called with each panic in a callback.
    #[must_use]
    pub fn with_panic_hook(mut self, hook: Option<OnPanic>) -> Self {
        self.core.panics.hook = hook;
        self
    }

    /// What is counted for the connections of the application.
    pub fn stats(&self) -> AppStats {
        self.core.stats()
    }

    /// A handle of an open connection of the application.
    pub fn handle(&self, id: ConnectionId) -> ConnectionHandle {
        self.core.handle(id)
    }

    /// The application.
    pub const fn app(&self) -> &H {
        &self.app
    }

    /// The broker of this core.
    pub const fn broker(&self) -> &Broker {
        &self.core.broker
    }
}

impl<H: Handler> Inbound for Gateway<H> {
    fn upgrade(&mut self, id: ConnectionId, request: &Request<'_>, terms: Terms<'_>) -> Verdict {
        let mut with_peer = None;
        let request = match self.uses_peers() {
            true => with_peer.insert(self.with_addresses(id, request)),
            false => request,
        };
        if self.admission.is_some()
            && let Err(refusal) = self.admit_client(id, &request.headers())
        {
            return Verdict::Refuse(refusal);
        }
        let verdict = match self.endpoint_of(terms.route, request.path) {
            Some(endpoint) => self.upgrade_client(id, endpoint, request, terms),
            None => self.upgrade_app(id, request, terms.route),
        };
        verdict.unwrap_or_else(Verdict::Refuse)
    }

    fn request(&mut self, id: ConnectionId, request: &http::Request<'_>) -> Option<http::Response> {
        self.answer(id, request)
    }

    fn admin_request(
        &mut self,
        id: ConnectionId,
        request: &http::Request<'_>,
    ) -> Option<http::Response> {
        self.answer_admin(id, request)
    }

    fn wants_admin_body(&self, request: &http::Request<'_>) -> bool {
        self.admin.as_ref().is_some_and(|admin| admin.allows(request))
    }

    fn wants_body(&self, request: &http::Request<'_>) -> bool {
        self.app_wants_body(request)
    }

    fn open(&mut self, id: ConnectionId, endpoint: EndpointId, replies: &mut Replies<'_>) {
        if !endpoint.is_built_in() {
            self.call("open", id, replies, |app, state, cx| app.open(state, cx));
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
            self.client_message(id, Incoming { message, memory: None }, replies);
        } else if let Some(state) = self.states.get_mut(id) {
            let mut cx = Context::for_message(id, replies, &mut self.core);
            let app = &mut self.app;
            if !H::CATCH_PANICS {
                // Without a closure, which the compiler may not inline.
                app.message(state, message, &mut cx);
            } else if let Err(panic) = catch(|| app.message(state, message, &mut cx)) {
                cx.panicked("message", panic);
            }
        }
    }

    fn large_message<'a>(
        &mut self,
        id: ConnectionId,
        message: Message<'a>,
        memory: &Bytes,
        replies: &mut Replies<'a>,
    ) {
        self.client_message(id, Incoming { message, memory: Some(memory) }, replies);
    }

    fn assembling(&mut self, id: ConnectionId, opcode: Opcode, so_far: &[u8]) -> usize {
        let Some(client) = self.clients.get(id) else { return 0 };
        client.assembling(opcode, so_far, &mut self.core.broker)
    }

    fn control(
        &mut self,
        id: ConnectionId,
        endpoint: EndpointId,
        opcode: Opcode,
        payload: &[u8],
        replies: &mut Replies<'_>,
    ) {
        match opcode {
            _ if endpoint.is_built_in() => {}
            Opcode::Ping => self.call("ping", id, replies, |app, state, cx| {
                app.ping(state, payload, cx);
            }),
            _ => self.call("pong", id, replies, |app, state, cx| app.pong(state, payload, cx)),
        }
    }

    #[inline]
    fn has_room(&self) -> bool {
        self.core.broker.has_room()
    }

    fn has_room_for_few(&self, deliveries: u32) -> bool {
        self.core.broker.has_room_for_few(deliveries)
    }

    fn undelivered(&self) -> usize {
        self.core.broker.undelivered()
    }

    fn usual_deliveries(&self, id: ConnectionId) -> Option<u32> {
        self.clients.usual_deliveries(id)
    }

    fn take_work(&mut self) -> u64 {
        self.core.broker.take_work()
    }

    fn closed(&mut self, id: ConnectionId, endpoint: EndpointId, reason: CloseReason, text: &str) {
        if let Some(gate) = &mut self.gate {
            gate.remove(id);
        }
        if !self.asking.is_empty() && self.asking.remove(&id).is_some() {
            return;
        }
        if endpoint.is_built_in() {
            self.clients.remove(id);
            self.core.broker.detach(id);
        } else {
            self.close_app(id, reason, text);
        }
    }

    fn write_gap(&mut self, id: ConnectionId, subject: &str, lost: u64, out: &mut Vec<u8>) {
        if let Some(form) = self.core.broker.form(id) {
            encode(form, Event::Gap { topic: subject, lost }, out);
        }
    }
}

impl<H: Handler> Service for Gateway<H> {
    fn wants_peers(&self) -> bool {
        self.uses_peers()
    }

    fn connected(&mut self, id: ConnectionId, peer: Option<SocketAddr>) {
        self.note_peer(id, peer);
    }

    fn admit(&mut self, id: ConnectionId, now: Millis) -> Admitted {
        self.admit_peer(id, now)
    }

    fn left(&mut self, id: ConnectionId) {
        self.note_left(id);
    }

    fn client_addr(&self, id: ConnectionId) -> Option<IpAddr> {
        self.core.client_addr(id)
    }

    fn reconfigure(&mut self, config: &Arc<Config>) {
        self.core.reconfigure(config);
        self.config = Arc::clone(config);
    }

    fn use_ledger(&mut self, ledger: &Ledger) {
        self.core.broker.use_ledger(ledger);
    }

    #[inline]
    fn clock(&mut self, now: Duration) {
        self.core.broker.set_clock(now);
    }

    #[inline]
    fn has_written(&self) -> bool {
        self.core.broker.has_written()
    }

    fn written(&mut self, now: Duration) {
        self.core.broker.written(now);
    }

    fn start_turn(&mut self, now: Millis, input_waits: bool) {
        self.begin_turn(now, input_waits);
    }

    fn end_turn<O: Outbound>(&mut self, now: Millis, deliveries: usize, out: &mut O) {
        self.now = now;
        if !self.drained.is_empty() {
            self.tell_drained(out);
        }
        if self.core.has_work {
            self.do_work(out);
        }
        self.take_inbox(out);
        while let Some((id, result)) = self.core.broker.take_accepted() {
            if let Some(client) = self.clients.get(id) {
                client.accepted(id, result, out);
            }
        }
        self.core.broker.distribute(now);
        self.establish(out);
        self.core.broker.flush(out);
        self.core.broker.deliver(deliveries, out);
        while let Some(id) = self.core.broker.take_ended() {
            if let Some(client) = self.clients.get(id) {
                client.confirm(id, out);
            }
        }
        self.core.broker.charge_memory();
    }

    fn wakeup(&self) -> Wakeup {
        if !self.drained.is_empty() {
            return Wakeup::Now;
        }
        if self.core.has_work { self.wakeup_with_work() } else { self.core.broker.wakeup() }
    }

    fn has_room_for(&self, bytes: usize) -> bool {
        self.core.broker.has_room_for(bytes)
    }

    fn may_publish(&mut self, id: ConnectionId) -> bool {
        self.clients.get(id).is_some_and(|client| client.may_publish())
    }

    fn newcomers_cost_much(&self) -> bool {
        self.gate.as_ref().is_some_and(|gate| gate.is_costly())
    }

    fn undecided(&mut self, id: ConnectionId) {
        self.withdraw(id);
    }

    fn drained(&mut self, id: ConnectionId) {
        self.drained.push(id);
    }

    fn may_sleep(&mut self) -> bool {
        if !self.core.broker.try_sleep() {
            return false;
        }
        // A core without room takes nothing from its inbox, so the inbox must not keep it awake.
        let inbox = &self.core.inbox;
        let broker = &self.core.broker;
        let is_asked = inbox.has_others() || inbox.has_publications() && broker.has_room();
        if is_asked || self.core.has_work && !inbox.decided().is_empty() {
            self.core.broker.cancel_sleep();
            return false;
        }
        true
    }
}
