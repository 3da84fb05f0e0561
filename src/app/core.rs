//! What all connections of an application share on one core.

use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use super::connection::{ConnectionHandle, Reach};
use super::error::{PublishError, SubscribeError};
use super::inbox::Inbox;
use super::panics::Panics;
use super::timers::Timers;
use crate::base::ConnectionId;
use crate::base::blocks::Blocks;
use crate::config::Config;
use crate::pubsub::{
    Broker, Codec, Filter, Form, Options, Payload, Publication, Topic, Unpublished,
};

/// What is counted for the connections of an application.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct AppStats {
    /// Panics in callbacks.
    pub panics: u64,
    /// Messages that were not sent because too much waited for the peer.
    pub dropped: u64,
    /// Connections closed with 1013 because too much waited for the peer.
    pub too_slow: u64,
}

/// The state of one core that callbacks work with.
#[derive(Debug)]
pub(crate) struct CoreState {
    pub(crate) broker: Broker,
    pub(crate) config: Arc<Config>,
    pub(crate) inbox: Inbox,
    pub(crate) panics: Panics,
    pub(crate) timers: Timers,
    /// The addresses of peers by slot, if they are wanted.
    pub(crate) peers: Blocks<Option<SocketAddr>>,
    /// A listener takes the addresses of peers from headers of the PROXY protocol.
    pub(crate) is_proxied: bool,
    /// The addresses of clients behind trusted proxies by slot, as their last request has told
    /// them. Empty without such proxies.
    pub(crate) clients: Blocks<Option<IpAddr>>,
    /// Connections of the application that have subscribed.
    subscribers: HashSet<ConnectionId>,
    /// Connections whose input waits because of what they were sent in this turn.
    pub(crate) held: Vec<ConnectionId>,
    /// Connections whose input waited since the turn before.
    pub(crate) resuming: Vec<ConnectionId>,
    /// Connections whose input waits until the peer has read what waits for it.
    pub(crate) paused: HashSet<ConnectionId>,
    /// The connections that were asked for a handle.
    handles: RefCell<HashMap<ConnectionId, Arc<Reach>>>,
    /// Whether there are timers, or connections in `held` or `resuming`.
    pub(crate) has_work: bool,
    pub(crate) stats: AppStats,
}

impl CoreState {
    /// From now on these settings hold.
    pub(crate) fn reconfigure(&mut self, config: &Arc<Config>) {
        self.broker.reconfigure(config);
        self.config = Arc::clone(config);
    }

    pub(crate) fn new(broker: Broker, config: Arc<Config>, inbox: Inbox) -> Self {
        Self {
            broker,
            config,
            inbox,
            panics: Panics::default(),
            timers: Timers::new(),
            peers: Blocks::default(),
            is_proxied: false,
            clients: Blocks::default(),
            subscribers: HashSet::new(),
            held: Vec::new(),
            resuming: Vec::new(),
            paused: HashSet::new(),
            handles: RefCell::default(),
            has_work: false,
            stats: AppStats::default(),
        }
    }

    pub(crate) fn stats(&self) -> AppStats {
        AppStats { panics: self.panics.count, ..self.stats }
    }

    /// The address of a peer that is connected.
    pub(crate) fn peer_addr(&self, id: ConnectionId) -> Option<SocketAddr> {
        *self.peers.get(id.slot)?
    }

    /// The address of the client of a connection: that of the peer, or what a trusted proxy has
    /// said in the last request.
    pub(crate) fn client_addr(&self, id: ConnectionId) -> Option<IpAddr> {
        let told = self.clients.get(id.slot).copied().flatten();
        told.or_else(|| Some(self.peer_addr(id)?.ip()))
    }

    /// Lets the input of a connection wait, because much waits for it.
    pub(super) fn hold(&mut self, id: ConnectionId) {
        self.has_work = true;
        self.held.push(id);
    }

    pub(crate) fn set_timer(&mut self, id: ConnectionId, wait: Duration) {
        self.has_work = true;
        self.timers.set(id, wait);
    }

    pub(super) fn subscribe(
        &mut self,
        id: ConnectionId,
        filter: &str,
    ) -> Result<(), SubscribeError> {
        let filter = Filter::new(filter, self.config.pubsub.max_topic)?;
        if self.subscribers.insert(id) {
            let form = Form::new(Codec::Raw, None);
            self.broker.attach(id, Options { form, echo: false, marks_retained: false });
        }
        self.broker.subscribe(id, vec![filter]).map_err(|_| SubscribeError::TooMany)
    }

    pub(super) fn unsubscribe(
        &mut self,
        id: ConnectionId,
        filter: &str,
    ) -> Result<bool, SubscribeError> {
        let filter = Filter::new(filter, self.config.pubsub.max_topic)?;
        Ok(self.subscribers.contains(&id) && self.broker.unsubscribe(id, &[filter]))
    }

    pub(super) fn publish(
        &mut self,
        topic: &str,
        payload: &Payload,
        retain: bool,
        origin: Option<ConnectionId>,
    ) -> Result<(), PublishError> {
        let topic = Topic::new(topic, self.config.pubsub.max_topic)?;
        if payload.len() > self.config.limits.max_message {
            return Err(PublishError::TooLarge);
        }
        if self.broker.is_full() {
            return Err(PublishError::Full);
        }
        let publication = Publication { retain, origin, ..payload.to(&topic) };
        self.broker.publish(&publication).map_err(|error| match error {
            Unpublished::Busy => PublishError::Full,
            Unpublished::NotRetained(_) => PublishError::NotRetained,
        })
    }

    pub(crate) fn handle(&self, id: ConnectionId) -> ConnectionHandle {
        let mut handles = self.handles.borrow_mut();
        let reach = Arc::clone(handles.entry(id).or_default());
        ConnectionHandle::new(id, reach, Arc::clone(self.inbox.sender()))
    }

    /// More would wait for a connection than may.
    pub(super) fn set_full(&mut self, id: ConnectionId) {
        self.stats.dropped += 1;
        if let Some(reach) = self.handles.get_mut().get(&id) {
            reach.set_full();
        }
        // If the socket takes everything, no queue is drained later: look at it in the next turn.
        self.held.push(id);
        self.has_work = true;
    }

    /// A connection is closing: handles can send nothing to it any more.
    pub(crate) fn set_gone(&mut self, id: ConnectionId) {
        if let Some(reach) = self.handles.get_mut().get(&id) {
            reach.set_gone();
        }
    }

    /// Handles may send to a connection again, unless it is closing.
    pub(crate) fn set_open(&mut self, id: ConnectionId) {
        if let Some(reach) = self.handles.get_mut().get(&id) {
            reach.set_open();
        }
    }

    /// Nothing waits for a connection any more. Returns whether its input has waited for that.
    pub(crate) fn drained(&mut self, id: ConnectionId) -> bool {
        self.set_open(id);
        self.paused.remove(&id)
    }

    /// A connection of the application has ended.
    pub(crate) fn closed(&mut self, id: ConnectionId) {
        if self.subscribers.remove(&id) {
            self.broker.detach(id);
        }
        if !self.timers.is_empty() {
            self.timers.clear(id);
        }
        self.paused.remove(&id);
        if let Some(reach) = self.handles.get_mut().remove(&id) {
            reach.set_gone();
        }
    }
}
