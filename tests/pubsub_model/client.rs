//! A simulated client: what it has asked for, and what it may get.

mod reading;

use std::collections::{HashMap, HashSet, VecDeque};
use std::time::Duration;

use corecast::io::sim::{ClientId, SimNetwork};

use crate::log::{Log, Message, Retain, TOPICS, matches};
use crate::trace::Trace;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Raw { topic: usize, publishes: bool, subscribes: bool, echo: bool },
    Json,
}

/// How far a client is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    Unborn,
    Opening,
    Open,
    /// Has sent its close frame.
    Closing,
    Gone,
}

/// One subscription, from the request to the answer to its end. Times are moments.
#[derive(Debug)]
pub(crate) struct Sub {
    pub(crate) filter: String,
    /// The topics that it matches.
    topics: [bool; TOPICS.len()],
    pub(crate) requested_at: u64,
    pub(crate) answered_at: Option<u64>,
    /// When its end was asked for, and answered.
    pub(crate) ending_at: Option<u64>,
    pub(crate) ended_at: Option<u64>,
    /// Its retained values have come, or will not.
    pub(crate) is_replayed: bool,
}

impl Sub {
    pub(crate) fn new(filter: &str, requested_at: u64) -> Self {
        Self {
            filter: filter.to_owned(),
            topics: TOPICS.map(|topic| matches(filter, topic)),
            requested_at,
            answered_at: None,
            ending_at: None,
            ended_at: None,
            is_replayed: false,
        }
    }
}

/// An answer that the server owes.
#[derive(Debug)]
pub(crate) struct Owed {
    /// As it must come; of an error only the beginning.
    pub(crate) text: String,
    pub(crate) what: What,
}

#[derive(Debug)]
pub(crate) enum What {
    /// These subscriptions have begun.
    Subscribed(Vec<usize>),
    Unsubscribed(Vec<usize>),
    Published(usize),
    Error,
    Pong,
}

#[derive(Debug)]
pub(crate) struct Client {
    pub(crate) number: usize,
    pub(crate) core: usize,
    pub(crate) kind: Kind,
    pub(crate) rng: fastrand::Rng,
    pub(crate) stage: Stage,
    pub(crate) id: Option<ClientId>,
    /// Its end was not in order: it may miss messages, and what it sent last may be lost.
    pub(crate) is_broken: bool,
    /// It has sent FIN: all that it has sent is handled and answered, but nothing more is
    /// delivered.
    pub(crate) is_finished: bool,
    /// The answers owed at that moment.
    pub(crate) owed_at_fin: usize,
    pub(crate) close_code: Option<u16>,
    pub(crate) subs: Vec<Sub>,
    pub(crate) owed: VecDeque<Owed>,
    pub(crate) requests: u32,
    /// What it does before it leaves, or stays.
    pub(crate) actions: u32,
    pub(crate) next_at: Duration,
    pub(crate) stalled_until: Option<Duration>,
    pub(crate) was_stalled: bool,
    /// Has some of what it publishes retained.
    pub(crate) retains: bool,
    /// What waits for it is conflated.
    pub(crate) conflates: bool,
    /// Likes to stall.
    pub(crate) stalls: bool,
    arrived: Vec<u8>,
    pub(crate) trace: Trace,
    /// The messages that came as they were published; of each publisher and topic the last.
    pub(crate) live: HashSet<usize>,
    last: HashMap<(usize, usize), usize>,
    /// The retained values that have come, by topic.
    pub(crate) retained: HashMap<usize, Vec<usize>>,
    /// How many of these since all was quiet.
    recent: HashMap<usize, usize>,
    /// Messages without payload, which are all alike, by topic.
    pub(crate) empty: [u64; TOPICS.len()],
    /// What was announced as lost.
    pub(crate) lost: [u64; TOPICS.len()],
}

impl Client {
    pub(crate) fn new(number: usize, core: usize, kind: Kind, rng: fastrand::Rng) -> Self {
        Self {
            number,
            core,
            kind,
            rng,
            stage: Stage::Unborn,
            id: None,
            is_broken: false,
            is_finished: false,
            owed_at_fin: 0,
            close_code: None,
            subs: Vec::new(),
            owed: VecDeque::new(),
            requests: 0,
            actions: 0,
            next_at: Duration::ZERO,
            stalled_until: None,
            was_stalled: false,
            retains: true,
            conflates: false,
            stalls: false,
            arrived: Vec::new(),
            trace: Trace::default(),
            live: HashSet::new(),
            last: HashMap::new(),
            retained: HashMap::new(),
            recent: HashMap::new(),
            empty: [0; TOPICS.len()],
            lost: [0; TOPICS.len()],
        }
    }

    pub(crate) fn is_open(&self) -> bool {
        self.stage == Stage::Open
    }

    /// Open, with nothing that keeps it from reading.
    pub(crate) fn keeps_up(&self, network: &SimNetwork) -> bool {
        let faulted = self.id.is_some_and(|id| network.is_faulted(id));
        self.is_open() && !faulted && !self.is_broken && self.stalled_until.is_none()
    }

    /// Answers that the server owes, pongs excepted, since a later one may stand for earlier ones.
    pub(crate) fn answers_owed(&self) -> usize {
        self.owed.iter().filter(|owed| !matches!(owed.what, What::Pong)).count()
    }

    pub(crate) const fn is_json(&self) -> bool {
        matches!(self.kind, Kind::Json)
    }

    /// The subscriptions that match.
    pub(crate) fn subs_to(&self, topic: usize) -> impl Iterator<Item = &Sub> {
        self.subs.iter().filter(move |sub| sub.topics[topic])
    }

    /// Whether it is left out, since the message is its own.
    fn is_own(&self, message: &Message) -> bool {
        message.by == self.number && matches!(self.kind, Kind::Raw { echo: false, .. })
    }

    /// Whether the message may be delivered as it is published.
    pub(crate) fn may_get(&self, message: &Message) -> bool {
        let may = |sub: &Sub| {
            let is_too_early = message.is_known(self.core, sub.requested_at);
            !is_too_early && sub.ended_at.is_none_or(|ended| message.written_at < ended)
        };
        !self.is_own(message) && self.subs_to(message.topic).any(may)
    }

    /// Whether it must get the message if nothing may be dropped: published after `subscribed` was
    /// answered, and known on this core before the end of the subscription was asked for.
    pub(crate) fn must_get(&self, message: &Message) -> bool {
        let must = |sub: &Sub| {
            sub.answered_at.is_some_and(|at| at < message.written_at)
                && sub.ending_at.is_none_or(|ending| message.is_known(self.core, ending))
        };
        message.is_certain() && !self.is_own(message) && self.subs_to(message.topic).any(must)
    }

    /// All has come that was to come.
    pub(crate) fn settle(&mut self) {
        self.recent.clear();
        for sub in self.subs.iter_mut().filter(|sub| sub.answered_at.is_some()) {
            sub.is_replayed = true;
        }
    }

    /// How many messages of a topic it must have got, how many of these are missing, and how many
    /// it may have got.
    pub(crate) fn count(&self, log: &Log, topic: usize) -> Count {
        let (mut count, mut clears) = (Count::default(), 0);
        for (number, message) in log.messages.iter().enumerate() {
            if message.topic != topic {
                continue;
            }
            count.may += u64::from(self.may_get(message));
            if self.must_get(message) {
                count.must += 1;
                let is_clear = message.retain == Retain::Clear;
                clears += u64::from(is_clear);
                if !is_clear && !self.live.contains(&number) {
                    count.missing += 1;
                    count.example = Some(number);
                }
            }
        }
        count.missing += clears.saturating_sub(self.empty[topic]);
        count
    }

    /// Whether it has the message, in whichever way.
    pub(crate) fn has(&self, number: usize, topic: usize) -> bool {
        let retained = self.retained.get(&topic);
        self.live.contains(&number) || retained.is_some_and(|values| values.contains(&number))
    }
}

/// Messages of one topic.
#[derive(Debug, Default)]
pub(crate) struct Count {
    pub(crate) must: u64,
    pub(crate) missing: u64,
    pub(crate) may: u64,
    /// One that is missing.
    pub(crate) example: Option<usize>,
}
