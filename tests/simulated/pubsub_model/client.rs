//! A simulated client: its requests, and the frames that it may receive.

mod reading;

use std::collections::{HashMap, HashSet, VecDeque};
use std::time::Duration;

use corecast::io::sim::{ClientId, SimNetwork};

use crate::pubsub_model::log::{Log, Message, Retain, TOPICS, matches};
use crate::trace::Trace;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Raw { topic: usize, publishes: bool, subscribes: bool, echo: bool },
    Json,
}

/// The state of a client's connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    NotConnected,
    Opening,
    Open,
    /// Has sent its close frame.
    Closing,
    Gone,
}

/// One subscription, from the request to the answer to its end. Times are moments (see `log`).
#[derive(Debug)]
pub(crate) struct Sub {
    pub(crate) filter: String,
    /// The topics that it matches.
    topics: [bool; TOPICS.len()],
    pub(crate) requested_at: u64,
    pub(crate) answered_at: Option<u64>,
    /// The moments of the request to end it, and of the answer.
    pub(crate) ending_at: Option<u64>,
    pub(crate) ended_at: Option<u64>,
    /// Its retained values have arrived, or will not.
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

/// An answer that the server must send.
#[derive(Debug)]
pub(crate) struct Pending {
    /// The text; of an error only the beginning.
    pub(crate) text: String,
    pub(crate) effect: Effect,
}

#[derive(Debug)]
pub(crate) enum Effect {
    /// The indices of the subscriptions that begin.
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
    /// Its connection was cut: it may miss messages, and its last messages may be lost.
    pub(crate) is_broken: bool,
    /// It has sent FIN: everything that it sent before is handled and answered, but nothing more is
    /// delivered.
    pub(crate) is_finished: bool,
    /// The number of answers pending at that time.
    pub(crate) pending_at_fin: usize,
    pub(crate) close_code: Option<u16>,
    pub(crate) subs: Vec<Sub>,
    pub(crate) pending: VecDeque<Pending>,
    pub(crate) requests: u32,
    /// The number of actions before it closes or only reads.
    pub(crate) actions: u32,
    pub(crate) next_at: Duration,
    pub(crate) stalled_until: Option<Duration>,
    pub(crate) was_stalled: bool,
    /// Some of the messages that it publishes are retained.
    pub(crate) retains: bool,
    /// Its queue is conflated.
    pub(crate) conflates: bool,
    /// It stalls sometimes.
    pub(crate) stalls: bool,
    arrived: Vec<u8>,
    pub(crate) trace: Trace,
    /// The numbers of the received messages that are not retained values, and the last of each
    /// publisher and topic.
    pub(crate) live: HashSet<usize>,
    last: HashMap<(usize, usize), usize>,
    /// The retained values received, by topic.
    pub(crate) retained: HashMap<usize, Vec<usize>>,
    /// The number of these since the system was last quiescent, by topic.
    recent: HashMap<usize, usize>,
    /// The number of messages without payload, which cannot be told apart, by topic.
    pub(crate) empty: [u64; TOPICS.len()],
    /// The number of messages reported as lost, by topic.
    pub(crate) lost: [u64; TOPICS.len()],
}

impl Client {
    pub(crate) fn new(number: usize, core: usize, kind: Kind, rng: fastrand::Rng) -> Self {
        Self {
            number,
            core,
            kind,
            rng,
            stage: Stage::NotConnected,
            id: None,
            is_broken: false,
            is_finished: false,
            pending_at_fin: 0,
            close_code: None,
            subs: Vec::new(),
            pending: VecDeque::new(),
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

    /// Whether it is open, and nothing keeps it from reading.
    pub(crate) fn keeps_up(&self, network: &SimNetwork) -> bool {
        let faulted = self.id.is_some_and(|id| network.is_faulted(id));
        self.is_open() && !faulted && !self.is_broken && self.stalled_until.is_none()
    }

    /// The number of pending answers without pongs, since a later pong may answer earlier pings as
    /// well.
    pub(crate) fn answers_pending(&self) -> usize {
        self.pending.iter().filter(|pending| !matches!(pending.effect, Effect::Pong)).count()
    }

    pub(crate) const fn is_json(&self) -> bool {
        matches!(self.kind, Kind::Json)
    }

    /// The subscriptions that match.
    pub(crate) fn subs_to(&self, topic: usize) -> impl Iterator<Item = &Sub> {
        self.subs.iter().filter(move |sub| sub.topics[topic])
    }

    /// Whether the message is its own and it asked not to get those.
    fn is_own(&self, message: &Message) -> bool {
        message.by == self.number && matches!(self.kind, Kind::Raw { echo: false, .. })
    }

    /// Whether the message may be delivered to it, not as a retained value.
    pub(crate) fn may_get(&self, message: &Message) -> bool {
        let may = |sub: &Sub| {
            let is_too_early = message.is_known(self.core, sub.requested_at);
            !is_too_early && sub.ended_at.is_none_or(|ended| message.written_at < ended)
        };
        !self.is_own(message) && self.subs_to(message.topic).any(may)
    }

    /// Whether it must get the message if nothing may be dropped: published after `subscribed` was
    /// answered, and known on its core before the end of the subscription was requested.
    pub(crate) fn must_get(&self, message: &Message) -> bool {
        let must = |sub: &Sub| {
            sub.answered_at.is_some_and(|at| at < message.written_at)
                && sub.ending_at.is_none_or(|ending| message.is_known(self.core, ending))
        };
        message.is_certain() && !self.is_own(message) && self.subs_to(message.topic).any(must)
    }

    /// The system is quiescent: all retained values have arrived.
    pub(crate) fn settle(&mut self) {
        self.recent.clear();
        for sub in self.subs.iter_mut().filter(|sub| sub.answered_at.is_some()) {
            sub.is_replayed = true;
        }
    }

    /// For one topic: the number of messages that it must have received, of those that are missing,
    /// and of those that it may have received.
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

    /// Whether it has received the message in any way.
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
    /// A message that is missing.
    pub(crate) example: Option<usize>,
}
