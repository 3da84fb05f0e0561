//! One simulated core, and a sleep that lasts while other cores run.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use corecast::app::echo::Echo;
use corecast::base::{ConnectionId, Millis};
use corecast::config::Config;
use corecast::io::sim::{SimNetwork, SimOptions, SimRing, SimWaker};
use corecast::io::{Driver, Wake};
use corecast::mesh::Port;
use corecast::protocol::websocket::handshake::{Agreement, Refusal, Request};
use corecast::pubsub::{Hub, Parcel, Publisher, Totals, inbox};
use corecast::session::{
    Acceptance, CloseReason, Errands, Handler, Message, Replies, Shared, Sink,
};
use corecast::worker::Worker;

/// The hub, from which it is hidden that its core's sleep is simulated in parts: in between it has
/// neither turns nor mail, and only a bell or an event ends its sleep.
#[derive(Debug)]
pub(crate) struct Sleeping {
    pub(crate) hub: Hub<Echo>,
    network: SimNetwork,
    is_asleep: bool,
}

impl Handler for Sleeping {
    fn open<'a>(
        &mut self,
        id: ConnectionId,
        request: &Request<'a>,
    ) -> Result<Acceptance<'a>, Refusal> {
        self.hub.open(id, request)
    }

    fn opened(&mut self, id: ConnectionId, deflate: Option<&Agreement>) {
        self.hub.opened(id, deflate);
    }

    fn message<'a>(&mut self, id: ConnectionId, message: Message<'a>, replies: &mut Replies<'a>) {
        assert!(!self.is_asleep, "a message without an event");
        self.hub.message(id, message, replies);
    }

    fn server_message<'a>(
        &mut self,
        id: ConnectionId,
        message: Message<'a>,
        replies: &mut Replies<'a>,
    ) {
        assert!(!self.is_asleep, "a message without an event");
        self.hub.server_message(id, message, replies);
    }

    fn closed(&mut self, id: ConnectionId, reason: CloseReason) {
        assert!(!self.is_asleep, "an end without an event");
        self.hub.closed(id, reason);
    }

    fn turn(&mut self, now: Millis, errands: &mut Errands) {
        if !self.is_asleep {
            self.hub.turn(now, errands);
        }
    }

    fn deliver<S: Sink>(&mut self, most: usize, sink: &mut S) {
        assert!(!self.is_asleep, "a core with deliveries sleeps");
        self.hub.deliver(most, sink);
    }

    fn is_busy(&self) -> bool {
        self.hub.is_busy()
    }

    fn is_full(&self) -> bool {
        self.hub.is_full()
    }

    fn deadline(&self) -> Millis {
        self.hub.deadline()
    }

    fn try_sleep(&mut self) -> bool {
        self.is_asleep = self.is_asleep || self.hub.try_sleep();
        self.is_asleep
    }

    fn begin_turn(&mut self) {
        if self.network.asleep_until().is_none() {
            self.is_asleep = false;
            self.hub.begin_turn();
        }
    }

    fn drained(&mut self, id: ConnectionId) {
        self.hub.drained(id);
    }

    fn gap(&mut self, tag: u8, subject: &str, lost: u64, out: &mut Vec<u8>) {
        self.hub.gap(tag, subject, lost, out);
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
        port: Port<Parcel>,
        peers: Vec<SimWaker>,
        totals: Totals,
        stop: Arc<AtomicBool>,
    ) -> Self {
        let (network, waker) = (ring.network(), ring.waker());
        network.limit(Duration::ZERO);
        let bell = waker.clone();
        let (publisher, inbox) = inbox(config, port.sleeper(), Arc::new(move || bell.wake()));
        let hub = Hub::new(Echo, Arc::clone(config), port, Some(inbox), totals);
        let handler = Sleeping { hub, network: network.clone(), is_asleep: false };
        let shared = Shared::new(Arc::clone(config), handler);
        let worker = Worker::new(ring, shared, 1, stop).with_peers(peers);
        Self { worker, network, waker, publisher }
    }

    /// A ring for each core, with the wakers of all.
    pub(crate) fn rings(seed: u64, options: &[SimOptions]) -> (Vec<SimRing>, Vec<SimWaker>) {
        let ring =
            |(number, options): (u64, &SimOptions)| SimRing::new(seed ^ number << 56, *options);
        let rings: Vec<SimRing> = (0..).zip(options).map(ring).collect();
        let wakers = rings.iter().map(Driver::waker).collect();
        (rings, wakers)
    }

    /// When it goes on; `None` if it runs, or was rung.
    pub(crate) fn asleep_until(&self) -> Option<Duration> {
        self.network.asleep_until().filter(|_| !self.waker.is_rung())
    }

    pub(crate) fn stats(&self) -> corecast::pubsub::Stats {
        self.worker.handler().hub.stats()
    }
}
