//! An honest topic: its publisher and its subscribers.

use std::net::TcpStream;
use std::time::{Duration, Instant};

use crate::peers::Subscriber;
use crate::sched::Moment;
use crate::series::{Begun, Series};
use crate::support::client::Client;
use crate::support::wire::{self, BINARY, FIN};

/// A topic on which a message is published at even intervals.
pub(crate) struct Topic {
    publisher: Client,
    /// Whether the server reads what is published.
    is_open: bool,
    published: Vec<Begun>,
    /// When the next message is.
    due: Instant,
    subscribers: Vec<Subscriber>,
}

impl Topic {
    /// `publisher` and the streams of the subscribers have done their handshakes.
    pub(crate) fn new(
        publisher: Client,
        streams: impl IntoIterator<Item = TcpStream>,
        due: Instant,
    ) -> Self {
        let subscribers = streams.into_iter().map(Subscriber::new).collect();
        Self { publisher, is_open: true, published: Vec::new(), due, subscribers }
    }

    /// Whether there is anybody to publish at `now`.
    pub(crate) fn is_due(&self, now: Instant) -> bool {
        self.due <= now && self.is_open
    }

    /// Publishes the next message, which holds its number; the one after it is due after `period`.
    pub(crate) fn publish(&mut self, begun: Begun, now: Instant, period: Duration) {
        // Not more at once than one, also after this thread had no processor for long.
        self.due = (self.due + period).max(now);
        let number = (self.published.len() as u64).to_be_bytes();
        self.published.push(begun);
        self.is_open = self.publisher.try_send(&wire::frame(FIN | BINARY, &number));
    }

    pub(crate) fn streams(&self) -> impl Iterator<Item = &TcpStream> {
        self.subscribers.iter().filter_map(Subscriber::stream)
    }

    /// Takes the messages that have come to a subscriber.
    pub(crate) fn receive(&mut self, subscriber: usize, now: &Moment, series: &mut Series) {
        self.subscribers[subscriber].receive(now, &self.published, series);
    }

    pub(crate) fn is_waiting(&self) -> bool {
        self.subscribers.iter().any(|peer| peer.is_waiting(self.published.len()))
    }

    /// What never came counts with the time until now.
    pub(crate) fn give_up(&mut self, now: &Moment, series: &mut Series) {
        for subscriber in &mut self.subscribers {
            subscriber.give_up(now, &self.published, series);
        }
    }

    /// The connections that the server has ended.
    pub(crate) fn ended(&self) -> usize {
        let subscribers = self.subscribers.iter().filter(|peer| peer.is_ended()).count();
        subscribers + usize::from(!self.is_open)
    }
}
