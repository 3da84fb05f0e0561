//! Counts of the events that occurred in the seeds, so that a run that tests nothing fails.

use crate::pubsub_model::client::Client;
use crate::pubsub_model::cores::Core;
use crate::pubsub_model::log::{Log, TOPICS};
use crate::pubsub_model::world::PROGRAMS;
use crate::trace::Trace;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) quiets: u64,
    live: u64,
    across: u64,
    by_programs: u64,
    wildcards: u64,
    overlaps: u64,
    hidden: u64,
    raw: u64,
    empty: u64,
    replays: u64,
    announced: u64,
    /// The number of times that received and lost messages added up exactly to those published.
    pub(crate) exact: u64,
    ended_subs: u64,
    /// Connections that sent FIN while answers were pending.
    finished: u64,
    stalled: u64,
    too_slow: u64,
    dropped: u64,
    /// The number of times that there was no room for messages of clients.
    refusals: u64,
    short_sends: u64,
    no_buffers: u64,
    published: u64,
    /// The traces of all clients, in order.
    pub(crate) trace: Trace,
}

impl Client {
    pub(crate) fn report(&self, log: &Log, tally: &mut Tally) {
        for number in &self.live {
            let message = &log.messages[*number];
            let topic = TOPICS[message.topic];
            tally.live += 1;
            tally.across += u64::from(message.core != self.core);
            tally.by_programs += u64::from(message.by >= PROGRAMS);
            let subs = || self.subs_to(message.topic);
            tally.wildcards += u64::from(subs().all(|sub| sub.filter.contains(['+', '#'])));
            tally.overlaps += u64::from(subs().count() > 1);
            tally.hidden += u64::from(topic.starts_with('$'));
        }
        if !self.is_json() {
            tally.raw += self.live.len() as u64;
        }
        tally.empty += self.empty.iter().sum::<u64>();
        tally.replays += self.retained.values().map(|values| values.len() as u64).sum::<u64>();
        tally.announced += self.lost.iter().sum::<u64>();
        let ended = self.subs.iter().filter(|sub| sub.ended_at.is_some());
        tally.ended_subs += ended.count() as u64;
        tally.finished += u64::from(self.pending_at_fin > 0);
        tally.stalled += u64::from(self.was_stalled);
        tally.too_slow += u64::from(self.close_code == Some(1013));
    }
}

impl Tally {
    pub(crate) fn add(&mut self, core: &Core) {
        let (stats, broker) = (core.worker.stats(), core.stats());
        self.dropped += stats.dropped;
        self.refusals += core.refusals();
        self.short_sends += stats.short_sends;
        self.no_buffers += stats.no_buffers;
        self.published += broker.published;
    }

    /// With the seeds of an everyday run, every event must have occurred often.
    pub(crate) fn check(&self) {
        let often = [
            self.quiets,
            self.live,
            self.across,
            self.by_programs,
            self.wildcards,
            self.overlaps,
            self.hidden,
            self.raw,
            self.empty,
            self.replays,
            self.announced,
            self.ended_subs,
            self.stalled,
            self.dropped,
            self.refusals,
            self.short_sends,
        ];
        assert!(often.iter().all(|count| *count > 500), "{self:#?}");
        assert!(self.too_slow > 50 && self.exact > 50 && self.finished > 50, "{self:#?}");
    }
}
