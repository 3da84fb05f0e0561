//! Retained values for those who subscribe, as fast as they read them.

use std::rc::Rc;

use bytes::Bytes;

use super::Broker;
use crate::base::ConnectionId;
use crate::pubsub::encoding::{Event, Form, encode};
use crate::pubsub::name::{Filter, Topic};
use crate::pubsub::publication::Value;
use crate::pubsub::retained::Next;
use crate::session::{Delivered, Frames, Outbound};

/// How many topics are looked at in one step.
const LOOKED: usize = 256;

/// The retained values that match a filter and were there when it was subscribed to.
#[derive(Debug)]
pub(in crate::pubsub) struct Replay {
    pub(in crate::pubsub) filter: Filter,
    pub(in crate::pubsub) until: u64,
    pub(in crate::pubsub) after: Option<Topic>,
}

impl Broker {
    /// Notes that `id` is to get the retained values of `filter` that are there now.
    pub(in crate::pubsub) fn replay_later(&mut self, id: ConnectionId, filter: Filter) {
        if self.retained.len() > 0
            && let Some(subscriber) = self.subscribers.get(id)
        {
            let until = self.retained.sequence();
            subscriber.replays.push_back(Replay { filter, until, after: None });
            self.resume_replay(id);
        }
    }

    /// The retained value of a topic, as one frame.
    pub(in crate::pubsub) fn retained_frame(&self, form: Form, filter: &Filter) -> Option<Vec<u8>> {
        let Next::Value(topic, value) = self.retained.next(filter, None, u64::MAX, 1) else {
            return None;
        };
        Some(retained(form, topic, value))
    }

    /// Puts `id` in the line of those who are given retained values, if there are some for it.
    pub(crate) fn resume_replay(&mut self, id: ConnectionId) {
        if let Some(subscriber) = self.subscribers.get(id)
            && !subscriber.replays.is_empty()
            && !std::mem::replace(&mut subscriber.is_replaying, true)
        {
            self.replaying.push_back(id);
        }
    }

    /// Gives out retained values; each step is one value, or a look at some topics. Who has earlier
    /// bytes to read is passed over until they are read, and who has got enough for a turn until
    /// the next. Returns how many steps are left.
    pub(in crate::pubsub) fn replay<O: Outbound>(
        &mut self,
        mut steps: usize,
        out: &mut O,
    ) -> usize {
        let mut enough = Vec::new();
        while steps > 0
            && let Some(id) = self.replaying.pop_front()
        {
            steps -= 1;
            match self.replay_step(id, out) {
                Step::Done => self.resume_replay(id),
                Step::Enough => enough.push(id),
                // `drained` puts it back.
                Step::Congested => {}
            }
        }
        enough.into_iter().for_each(|id| self.resume_replay(id));
        steps
    }

    fn replay_step<O: Outbound>(&mut self, id: ConnectionId, out: &mut O) -> Step {
        let Some(subscriber) = self.subscribers.get(id) else { return Step::Done };
        subscriber.is_replaying = false;
        if out.has_backlog(id) {
            return Step::Congested;
        }
        let Some(replay) = subscriber.replays.front_mut() else { return Step::Done };
        match self.retained.next(&replay.filter, replay.after.as_ref(), replay.until, LOOKED) {
            Next::Value(topic, value) => {
                // By an earlier subscription the client has had it, retained or new.
                let mut earlier = subscriber.filters.iter().take_while(|f| **f != replay.filter);
                let form = subscriber.options.form;
                let has_had = earlier.any(|filter| filter.matches(topic));
                if !has_had && out.deliver(id, &frames(form, topic, value)) == Delivered::NextTurn {
                    return Step::Enough;
                }
                replay.after = Some(topic.clone());
            }
            Next::Looked(topic) => replay.after = Some(topic),
            Next::End => drop(subscriber.replays.pop_front()),
        }
        Step::Done
    }
}

/// What became of a step.
enum Step {
    Done,
    /// The client gets no more in this turn.
    Enough,
    /// It has to read first.
    Congested,
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
