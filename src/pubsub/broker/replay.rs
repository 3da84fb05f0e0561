//! Retained values for new subscribers, no faster than these read them.

use std::rc::Rc;

use bytes::Bytes;

use super::state::Broker;
use crate::base::{ConnectionId, Work};
use crate::pubsub::encoding::{Event, Form, encode};
use crate::pubsub::name::{Filter, Topic};
use crate::pubsub::publication::Value;
use crate::pubsub::retained::Next;
use crate::pubsub::subscribers::Replay;
use crate::session::{Delivered, Frames, Outbound};

/// The most topics that are looked at in one step.
const MAX_LOOKED_AT: u64 = 256;
/// The work of looking at topics in one turn, about a millisecond.
const LOOK_WORK: u64 = 1_000_000;

impl Broker {
    /// Has the values of `filter` that are retained now sent to `id`, in this turn or later ones.
    pub(super) fn replay_later(&mut self, id: ConnectionId, filter: Filter) {
        if self.retained.len() > 0
            && let Some(subscriber) = self.subscribers.get(id)
        {
            let until = self.retained.sequence();
            subscriber.replays.push_back(Replay { filter, until, after: None });
            self.resume_replay(id);
        }
    }

    /// The retained value of a topic, as one frame.
    pub(super) fn retained_frame(&self, form: Form, filter: &Filter) -> Option<Vec<u8>> {
        let Next::Value(topic, value) = self.retained.next(filter, None, u64::MAX, &mut 1) else {
            return None;
        };
        Some(retained(form, topic, value))
    }

    /// Adds `id` to the connections that are sent retained values, if there are some for it.
    pub(crate) fn resume_replay(&mut self, id: ConnectionId) {
        if let Some(subscriber) = self.subscribers.get(id)
            && !subscriber.replays.is_empty()
            && !std::mem::replace(&mut subscriber.is_replaying, true)
        {
            self.replaying.push_back(id);
        }
    }

    /// Sends retained values. Each step sends one value, or looks at some topics. A connection with
    /// unsent bytes is skipped until these are sent, and one that has been given as much as one
    /// turn allows is skipped until the next turn. Returns the number of steps that are left.
    ///
    /// The topics that are looked at in a turn are limited as well, since most may match no filter.
    pub(super) fn replay<O: Outbound>(&mut self, mut steps: usize, out: &mut O) -> usize {
        let mut next_turn = Vec::new();
        let mut left = LOOK_WORK;
        while steps > 0
            && left > 0
            && let Some(id) = self.replaying.pop_front()
        {
            steps -= 1;
            let step = self.replay_step(id, &mut left, out);
            match step {
                Step::Done => self.resume_replay(id),
                Step::NextTurn => next_turn.push(id),
                // It is added again once its bytes are sent.
                Step::Backlog => {}
            }
        }
        next_turn.into_iter().for_each(|id| self.resume_replay(id));
        self.work.charge(LOOK_WORK - left);
        steps
    }

    /// A step that costs about `left` of work at most, which is subtracted from it.
    fn replay_step<O: Outbound>(&mut self, id: ConnectionId, left: &mut u64, out: &mut O) -> Step {
        let Some(subscriber) = self.subscribers.get(id) else { return Step::Done };
        subscriber.is_replaying = false;
        if out.has_backlog(id) {
            return Step::Backlog;
        }
        let Some(replay) = subscriber.replays.front_mut() else { return Step::Done };
        // What it costs to compare a topic with the filter.
        let levels = 1 + replay.filter.as_str().bytes().filter(|byte| *byte == b'/').count() as u64;
        let cost = Work::RETAINED_TOPIC + levels * Work::RETAINED_LEVEL;
        #[allow(clippy::cast_possible_truncation, reason = "256 at most")]
        let most = (*left / cost).clamp(1, MAX_LOOKED_AT) as usize;
        let mut unused = most;
        let next =
            self.retained.next(&replay.filter, replay.after.as_ref(), replay.until, &mut unused);
        *left = left.saturating_sub((most - unused) as u64 * cost);
        match next {
            Next::Value(topic, value) => {
                // An earlier subscription has brought it already, as retained or as new.
                let form = subscriber.options.form;
                let is_own = |filter: &&Filter| **filter == replay.filter;
                let mut compared = 0;
                let mut earlier = subscriber.filters.iter().take_while(|filter| !is_own(filter));
                let is_known = earlier.any(|filter| {
                    compared += 1;
                    filter.matches(topic)
                });
                *left = left.saturating_sub(compared * cost);
                if !is_known && out.deliver(id, &frames(form, topic, value)) == Delivered::NextTurn
                {
                    return Step::NextTurn;
                }
                replay.after = Some(topic.clone());
            }
            Next::Continue(topic) => replay.after = Some(topic),
            Next::End => drop(subscriber.replays.pop_front()),
        }
        Step::Done
    }
}

/// The result of a step.
enum Step {
    Done,
    /// The connection is sent no more in this turn.
    NextTurn,
    /// The connection has unsent bytes.
    Backlog,
}

/// A retained value, framed.
fn retained(form: Form, topic: &Topic, value: &Value) -> Vec<u8> {
    let mut bytes = Vec::new();
    let (opcode, payload) = (value.opcode, &value.bytes);
    encode(form, Event::Retained { topic: topic.as_str(), opcode, payload }, &mut bytes);
    bytes
}

fn frames(form: Form, topic: &Topic, value: &Value) -> Rc<Frames> {
    let bytes = Bytes::from(retained(form, topic, value));
    Rc::new(Frames::new(bytes, topic.shared().clone(), 1, 0))
}
