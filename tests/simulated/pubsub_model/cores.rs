//! One simulated core, whose sleep can last while other cores run.

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use corecast::app::echo::Echo;
use corecast::app::{Publisher, inbox};
use corecast::base::{ConnectionId, Millis};
use corecast::config::Config;
use corecast::gateway::Gateway;
use corecast::io::sim::{SimNetwork, SimOptions, SimRing, SimWaker};
use corecast::io::{Driver, Wake};
use corecast::mesh::Port;
use corecast::protocol::websocket::Opcode;
use corecast::protocol::websocket::handshake::Request;
use corecast::pubsub::{PeerMessage, Totals};
use corecast::session::{
    CloseReason, EndpointId, Inbound, Message, Outbound, Replies, Service, Terms, Verdict, Wakeup,
};
use corecast::worker::Worker;

/// The gateway of a core whose sleep is simulated in parts. Between the parts the gateway gets
/// neither turns nor messages; only a wake or an event of its network ends the sleep.
#[derive(Debug)]
pub(crate) struct Sleeping {
    gateway: Gateway<Echo>,
    network: SimNetwork,
    is_asleep: bool,
    /// The number of times that there was no room for messages of clients.
    refusals: Cell<u64>,
}

impl Inbound for Sleeping {
    fn upgrade(&mut self, id: ConnectionId, request: &Request<'_>, terms: Terms<'_>) -> Verdict {
        self.gateway.upgrade(id, request, terms)
    }

    fn open(&mut self, id: ConnectionId, endpoint: EndpointId, replies: &mut Replies<'_>) {
        self.gateway.open(id, endpoint, replies);
    }

    fn message<'a, const BUILT_IN: bool>(
        &mut self,
        id: ConnectionId,
        message: Message<'a>,
        replies: &mut Replies<'a>,
    ) {
        assert!(!self.is_asleep, "a message without an event");
        self.gateway.message::<BUILT_IN>(id, message, replies);
    }

    fn has_room(&self) -> bool {
        let has_room = self.gateway.has_room();
        self.refusals.set(self.refusals.get() + u64::from(!has_room));
        has_room
    }

    fn control(
        &mut self,
        id: ConnectionId,
        endpoint: EndpointId,
        opcode: Opcode,
        payload: &[u8],
        replies: &mut Replies<'_>,
    ) {
        self.gateway.control(id, endpoint, opcode, payload, replies);
    }

    fn closed(&mut self, id: ConnectionId, endpoint: EndpointId, reason: CloseReason, text: &str) {
        assert!(!self.is_asleep, "an end without an event");
        self.gateway.closed(id, endpoint, reason, text);
    }

    fn write_gap(&mut self, id: ConnectionId, subject: &str, lost: u64, out: &mut Vec<u8>) {
        self.gateway.write_gap(id, subject, lost, out);
    }
}

impl Service for Sleeping {
    fn start_turn(&mut self, now: Millis, input_waits: bool) {
        if self.network.asleep_until().is_none() {
            self.is_asleep = false;
            self.gateway.start_turn(now, input_waits);
        }
    }

    fn end_turn<O: Outbound>(&mut self, now: Millis, deliveries: usize, out: &mut O) {
        if !self.is_asleep {
            self.gateway.end_turn(now, deliveries, out);
        }
    }

    fn wakeup(&self) -> Wakeup {
        self.gateway.wakeup()
    }

    fn drained(&mut self, id: ConnectionId) {
        self.gateway.drained(id);
    }

    fn may_sleep(&mut self) -> bool {
        self.is_asleep = self.is_asleep || self.gateway.may_sleep();
        self.is_asleep
    }
}

/// One core.
pub(crate) struct Core {
    pub(crate) worker: Worker<SimRing, Sleeping>,
    pub(crate) network: SimNetwork,
    pub(crate) waker: SimWaker,
    pub(crate) publisher: Publisher,
}

impl Core {
    pub(crate) fn new(
        ring: SimRing,
        config: &Arc<Config>,
        port: Port<PeerMessage>,
        peers: Vec<SimWaker>,
        totals: Totals,
        stop: Arc<AtomicBool>,
    ) -> Self {
        let (network, waker) = (ring.network(), ring.waker());
        network.limit(Duration::ZERO);
        let wake = waker.clone();
        let (publisher, inbox) = inbox(config, port.sleep_flag(), Arc::new(move || wake.wake()));
        let gateway = Gateway::new(Echo, Arc::clone(config), port, inbox, totals);
        let service = Sleeping {
            gateway,
            network: network.clone(),
            is_asleep: false,
            refusals: Cell::default(),
        };
        let worker = Worker::new(ring, Arc::clone(config), service, 1, stop).with_peers(peers);
        Self { worker, network, waker, publisher }
    }

    /// A driver for each core, and the wakers of all.
    pub(crate) fn rings(seed: u64, options: &[SimOptions]) -> (Vec<SimRing>, Vec<SimWaker>) {
        let ring =
            |(number, options): (u64, &SimOptions)| SimRing::new(seed ^ number << 56, *options);
        let rings: Vec<SimRing> = (0..).zip(options).map(ring).collect();
        let wakers = rings.iter().map(Driver::waker).collect();
        (rings, wakers)
    }

    /// The time at which its sleep ends; `None` if it runs or was woken.
    pub(crate) fn asleep_until(&self) -> Option<Duration> {
        self.network.asleep_until().filter(|_| !self.waker.is_pending())
    }

    pub(crate) fn stats(&self) -> corecast::pubsub::Stats {
        self.worker.service().gateway.broker().stats()
    }

    /// The number of times that there was no room for messages of clients.
    pub(crate) fn refusals(&self) -> u64 {
        self.worker.service().refusals.get()
    }
}
