//! Retained values for those who subscribe, as fast as they read them.

use std::rc::Rc;

use bytes::Bytes;

use super::Hub;
use crate::base::ConnectionId;
use crate::protocol::websocket::Opcode;
use crate::protocol::websocket::frame::{MAX_SERVER_HEADER, append_frame};
use crate::pubsub::json::{self, Data};
use crate::pubsub::name::{Filter, Topic};
use crate::pubsub::publication::Value;
use crate::pubsub::retained::Next;
use crate::session::{Frames, Sink};

/// How many topics are looked at in one step.
const LOOKED: usize = 256;

/// The retained values that match a filter and were there when it was subscribed to.
#[derive(Debug)]
pub(super) struct Replay {
    pub(super) filter: Filter,
    pub(super) until: u64,
    pub(super) after: Option<Topic>,
}

impl<H> Hub<H> {
    /// Notes that `id` is to get the retained values of `filter` that are there now.
    pub(super) fn replay_later(&mut self, id: ConnectionId, filter: Filter) {
        if self.retained.len() > 0
            && let Some(client) = self.clients.get(id)
        {
            let until = self.retained.sequence();
            client.replays.push_back(Replay { filter, until, after: None });
            self.replay_on(id);
        }
    }

    /// The retained value of a topic, as a frame of its payload.
    pub(super) fn retained_frame(&self, filter: &Filter) -> Option<Vec<u8>> {
        let Next::Value(_, value) = self.retained.next(filter, None, u64::MAX, 1) else {
            return None;
        };
        let mut frame = Vec::with_capacity(value.bytes.len() + MAX_SERVER_HEADER);
        append_frame(&mut frame, value.opcode, false, &value.bytes);
        Some(frame)
    }

    /// Puts `id` in the line of those who are given retained values, if there are some for it.
    pub(super) fn replay_on(&mut self, id: ConnectionId) {
        if let Some(client) = self.clients.get(id)
            && !client.replays.is_empty()
            && !std::mem::replace(&mut client.is_replaying, true)
        {
            self.replaying.push_back(id);
        }
    }

    /// Gives out retained values; each step is one value, or a look at some topics. Who has earlier
    /// bytes to read is passed over until they are read, and who has got enough for a turn until
    /// the next. Returns how many steps are left.
    pub(super) fn replay<S: Sink>(&mut self, mut steps: usize, sink: &mut S) -> usize {
        let mut enough = Vec::new();
        while steps > 0
            && let Some(id) = self.replaying.pop_front()
        {
            steps -= 1;
            match self.replay_step(id, sink) {
                Step::Done => self.replay_on(id),
                Step::Enough => enough.push(id),
                // `drained` puts it back.
                Step::Congested => {}
            }
        }
        enough.into_iter().for_each(|id| self.replay_on(id));
        steps
    }

    fn replay_step<S: Sink>(&mut self, id: ConnectionId, sink: &mut S) -> Step {
        let Some(client) = self.clients.get(id) else { return Step::Done };
        client.is_replaying = false;
        if sink.is_congested(id) {
            return Step::Congested;
        }
        let Some(replay) = client.replays.front_mut() else { return Step::Done };
        match self.retained.next(&replay.filter, replay.after.as_ref(), replay.until, LOOKED) {
            Next::Value(topic, value) => {
                // By an earlier subscription the client has had it, retained or new.
                let mut earlier = client.filters.iter().take_while(|f| **f != replay.filter);
                let has_had = earlier.any(|filter| filter.matches(topic));
                if !has_had && !sink.deliver(id, &frames(topic, value)) {
                    return Step::Enough;
                }
                replay.after = Some(topic.clone());
            }
            Next::Looked(topic) => replay.after = Some(topic),
            Next::End => drop(client.replays.pop_front()),
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

/// A retained value, framed and marked as such.
fn frames(topic: &Topic, value: &Value) -> Rc<Frames> {
    let (mut text, mut bytes) = (Vec::new(), Vec::new());
    json::delivery(&mut text, topic.as_str(), Data::Bytes(&value.bytes), true);
    append_frame(&mut bytes, Opcode::Text, false, &text);
    Rc::new(Frames::new(Bytes::from(bytes), topic.shared().clone(), 1, 0))
}
