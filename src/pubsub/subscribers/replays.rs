//! The retained values that one connection is to be sent.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

use crate::base::sharded::ShardedMap;
use crate::pubsub::name::{Filter, Topic};
use crate::session::Frames;

/// So many are searched one by one.
const FEW: usize = 32;

/// The retained values that match a filter and were stored when it was subscribed to.
#[derive(Debug)]
pub(in crate::pubsub) struct Replay {
    pub(in crate::pubsub) filter: Filter,
    /// The number of the last change of retained values at that moment.
    pub(in crate::pubsub) until: u64,
    /// The last topic that was looked at.
    pub(in crate::pubsub) after: Option<Topic>,
    /// The next topic, if it was compared with some of the earlier filters of the connection and
    /// matches none of them, and the place of the next one.
    pub(in crate::pubsub) compared: Option<(Topic, u64)>,
    /// The next value, framed, if the connection could not be sent it in the turn before, or has
    /// waited for it.
    pub(in crate::pubsub) ready: Option<Rc<Frames>>,
    /// The number of the large value that is encoded for it; `None` if it does not wait.
    pub(in crate::pubsub) waits_for: Option<u64>,
}

impl Replay {
    pub(in crate::pubsub) const fn new(filter: Filter, until: u64) -> Self {
        Self { filter, until, after: None, compared: None, ready: None, waits_for: None }
    }
}

/// Replays of one connection, each for another filter that it holds. They are done one after the
/// other, so only the first can wait for a value.
#[derive(Debug, Default)]
pub(in crate::pubsub) struct Replays(Option<Box<Queue>>);

#[derive(Debug, Default)]
struct Queue {
    /// By their numbers, which ascend.
    ordered: BTreeMap<u64, Replay>,
    /// The number of each by the address of its filter, if they are more than a few.
    numbers: Option<ShardedMap<usize, u64>>,
}

/// The address of the text, which all that are cloned from the same filter share.
fn address(filter: &Filter) -> usize {
    Arc::as_ptr(filter.shared()).addr()
}

impl Replays {
    pub(in crate::pubsub) const fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    pub(in crate::pubsub) fn first_mut(&mut self) -> Option<&mut Replay> {
        self.0.as_mut()?.ordered.first_entry().map(|first| first.into_mut())
    }

    pub(in crate::pubsub) fn push(&mut self, replay: Replay) {
        let queue = self.0.get_or_insert_default();
        let number = queue.ordered.last_key_value().map_or(0, |(last, _)| last + 1);
        if queue.numbers.is_none() && queue.ordered.len() == FEW {
            let mut numbers = ShardedMap::default();
            for (number, replay) in &queue.ordered {
                numbers.insert(address(&replay.filter), *number);
            }
            queue.numbers = Some(numbers);
        }
        if let Some(numbers) = &mut queue.numbers {
            numbers.insert(address(&replay.filter), number);
        }
        queue.ordered.insert(number, replay);
    }

    /// Removes the first.
    pub(in crate::pubsub) fn pop_first(&mut self) {
        if let Some(queue) = &mut self.0
            && let Some((_, replay)) = queue.ordered.pop_first()
        {
            self.removed(&replay);
        }
    }

    /// Removes that for this very filter, and returns it.
    pub(in crate::pubsub) fn remove(&mut self, filter: &Filter) -> Option<Replay> {
        let queue = self.0.as_mut()?;
        let number = if let Some(numbers) = &queue.numbers {
            *numbers.get(&address(filter))?
        } else {
            let is_its = |replay: &Replay| address(&replay.filter) == address(filter);
            *queue.ordered.iter().find(|(_, replay)| is_its(replay))?.0
        };
        let replay = queue.ordered.remove(&number)?;
        self.removed(&replay);
        Some(replay)
    }

    fn removed(&mut self, replay: &Replay) {
        if let Some(queue) = &mut self.0 {
            if let Some(numbers) = &mut queue.numbers {
                numbers.remove(&address(&replay.filter));
            }
            if queue.ordered.is_empty() {
                self.0 = None;
            }
        }
    }
}
