//! All messages that were published, and the naive rules of the reference.

use std::collections::HashMap;

use crate::frames::{BINARY, TEXT};

pub(crate) const TOPICS: [&str; 7] = ["a", "a/b", "a/c", "a/b/c", "b/c", "b", "$s/a"];
pub(crate) const FILTERS: [&str; 14] = [
    "a", "a/b", "a/+", "a/#", "+", "#", "+/c", "$s/#", "$s/a", "b/#", "+/+", "a/b/#", "b", "nobody",
];

/// Whether a filter matches a topic by the rules of MQTT.
pub(crate) fn matches(filter: &str, topic: &str) -> bool {
    fn levels(filter: &[&str], topic: &[&str]) -> bool {
        match (filter, topic) {
            (["#"], _) | ([], []) => true,
            (["+", filter @ ..], [_, topic @ ..]) => levels(filter, topic),
            ([wanted, filter @ ..], [level, topic @ ..]) => {
                wanted == level && levels(filter, topic)
            }
            _ => false,
        }
    }
    let is_hidden = topic.starts_with('$') && !filter.starts_with('$');
    let (filter, topic): (Vec<_>, Vec<_>) =
        (filter.split('/').collect(), topic.split('/').collect());
    !is_hidden && levels(&filter, &topic)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Retain {
    No,
    Set,
    Clear,
}

/// The kind of a payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Style {
    Json,
    Text,
    Binary,
}

/// A message; its number is its index in the log. Times are moments: the number of events in the
/// run so far.
#[derive(Debug)]
pub(crate) struct Message {
    /// The number of the client, or of the program.
    pub(crate) by: usize,
    pub(crate) core: usize,
    pub(crate) topic: usize,
    pub(crate) opcode: u8,
    pub(crate) payload: Vec<u8>,
    pub(crate) retain: Retain,
    /// The moment at which the publisher sent it.
    pub(crate) written_at: u64,
    /// The moment at which the publisher learned that it was published.
    pub(crate) answered_at: Option<u64>,
    /// The first moment after it at which the system was quiescent: every core has it.
    pub(crate) settled_at: Option<u64>,
}

impl Message {
    pub(crate) const fn is_certain(&self) -> bool {
        self.answered_at.is_some() || self.settled_at.is_some()
    }

    /// Whether `core` had it before the moment.
    pub(crate) fn is_known(&self, core: usize, before: u64) -> bool {
        let is_before = |at: Option<u64>| at.is_some_and(|at| at < before);
        is_before(self.settled_at) || (self.core == core && is_before(self.answered_at))
    }
}

#[derive(Debug, Default)]
pub(crate) struct Log {
    pub(crate) messages: Vec<Message>,
    by_payload: HashMap<Vec<u8>, usize>,
}

impl Log {
    /// A unique payload for the next message.
    pub(crate) fn payload(&self, style: Style, padding: usize) -> (u8, Vec<u8>) {
        let (number, pad) = (self.messages.len(), "x".repeat(padding));
        match style {
            Style::Json => (TEXT, format!("[{number},\"{pad}\"]").into_bytes()),
            Style::Text => (TEXT, format!("number {number} {pad}").into_bytes()),
            Style::Binary => {
                (BINARY, [b"\xFF", number.to_string().as_bytes(), b" ", pad.as_bytes()].concat())
            }
        }
    }

    pub(crate) fn add(&mut self, message: Message) -> usize {
        let number = self.messages.len();
        if message.retain != Retain::Clear {
            self.by_payload.insert(message.payload.clone(), number);
        }
        self.messages.push(message);
        number
    }

    pub(crate) fn find(&self, payload: &[u8]) -> Result<usize, String> {
        let found = self.by_payload.get(payload).copied();
        found.ok_or_else(|| {
            format!("no message {:?} was published", String::from_utf8_lossy(payload))
        })
    }

    /// Whether the second message was published after the first on every core.
    fn is_later(&self, first: usize, second: usize) -> bool {
        let (a, b) = (&self.messages[first], &self.messages[second]);
        (a.by == b.by && first < second) || a.is_known(b.core, b.written_at)
    }

    /// Whether the retained value was replaced or cleared, and `core` knew that before the moment.
    pub(crate) fn is_replaced(&self, number: usize, core: usize, before: u64) -> bool {
        let topic = self.messages[number].topic;
        self.messages.iter().enumerate().any(|(other, message)| {
            message.topic == topic
                && message.retain != Retain::No
                && message.is_known(core, before)
                && self.is_later(number, other)
        })
    }

    /// Whether this may be the retained value of a topic while the system is quiescent.
    pub(crate) fn may_be_retained(&self, topic: usize, value: Option<usize>) -> bool {
        match value {
            Some(number) => !self.is_replaced(number, usize::MAX, u64::MAX),
            None => {
                let last = |kind: Retain| {
                    self.messages.iter().enumerate().any(|(number, message)| {
                        message.topic == topic
                            && message.retain == kind
                            && (kind == Retain::Clear || message.settled_at.is_some())
                            && !self.is_replaced(number, usize::MAX, u64::MAX)
                    })
                };
                last(Retain::Clear) || !last(Retain::Set)
            }
        }
    }
}
