//! Retained values for new subscribers, no faster than these read them.

use std::rc::Rc;

use super::establish::CHANGE_BYTES;
use super::state::Broker;
use super::values::Resumed;
use crate::base::{ConnectionId, Work};
use crate::pubsub::delivery::counts::PACED;
use crate::pubsub::encoding::Form;
use crate::pubsub::name::Filter;
use crate::pubsub::retained::Next;
use crate::pubsub::subscribers::Replay;
use crate::session::{Delivered, Frames, Outbound};

/// The most topics that are looked at in one step.
const MAX_LOOKED_AT: u64 = 256;
/// The most earlier filters of the connection that a topic is compared with in one step: more than
/// are compared at once without a place.
const MAX_COMPARED: u64 = 256;
/// The work of looking at topics in one turn, about a millisecond.
const LOOK_WORK: u64 = 1_000_000;

impl Broker {
    /// Has the values of `filter` that are retained now sent to `id`, in this turn or later ones.
    pub(super) fn replay_later(&mut self, id: ConnectionId, filter: Filter) {
        if self.retained.len() > 0
            && let Some(subscriber) = self.subscribers.get(id)
        {
            let until = self.retained.sequence();
            subscriber.replays.push(Replay::new(filter, until));
            self.resume_replay(id);
        }
    }

    /// Sends the retained value of a topic at once. It is not marked as retained, so it has to
    /// precede every newer message. A large one is not copied for that.
    pub(super) fn answer_retained<O: Outbound>(
        &mut self,
        id: ConnectionId,
        form: Form,
        filter: Filter,
        out: &mut O,
    ) {
        let next = self.retained.next(&filter, None, u64::MAX, &mut 1);
        let Next::Value(topic, value) = next else { return };
        if let Some((frames, work)) = value.frames(form, topic, &self.ledger) {
            self.work.charge(work);
            self.changes_left = self.changes_left.saturating_sub(frames.len() / CHANGE_BYTES);
            self.stats.replayed += 1;
            out.answer_shared(id, &frames);
        } else if let Some((header, payload)) = value.as_published(form, topic, &self.ledger) {
            self.work.charge(Work::FRAME);
            self.changes_left = self.changes_left.saturating_sub(payload.len() / CHANGE_BYTES);
            self.stats.replayed += 1;
            self.stats.in_parts += u64::from(out.answer(id, &header));
            out.answer_shared(id, &payload);
        } else {
            self.replay_later(id, filter);
        }
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

    /// Sends retained values. Each step sends one value, or looks at some topics; a long value
    /// takes several. A connection with unsent bytes is skipped until these are sent, and one that
    /// has been given as much as one turn allows is skipped until the next turn. Returns the number
    /// of steps that are left.
    ///
    /// The topics that are looked at in a turn are limited as well, since most may match no filter.
    pub(super) fn replay<O: Outbound>(&mut self, steps: usize, out: &mut O) -> usize {
        if self.values.has_ended() {
            self.resume_waiting(steps);
        }
        let mut next_turn = Vec::new();
        let mut left = Left { steps, work: LOOK_WORK };
        while left.steps > 0
            && left.work > 0
            && let Some(id) = self.replaying.pop_front()
        {
            left.steps -= 1;
            let step = self.replay_step(id, &mut left, out);
            match step {
                Step::Done => self.resume_replay(id),
                Step::NextTurn => next_turn.push(id),
                // It is added again once its bytes are sent, or the value is encoded.
                Step::Waits => {}
            }
        }
        next_turn.into_iter().for_each(|id| self.resume_replay(id));
        self.work.charge(LOOK_WORK - left.work);
        left.steps
    }

    /// A step that costs about as much work as is left, which is subtracted, or the encoding of one
    /// value.
    fn replay_step<O: Outbound>(&mut self, id: ConnectionId, left: &mut Left, out: &mut O) -> Step {
        let Some(subscriber) = self.subscribers.get(id) else { return Step::Done };
        subscriber.is_replaying = false;
        if out.has_backlog(id) {
            return Step::Waits;
        }
        let Some(replay) = subscriber.replays.first_mut() else { return Step::Done };
        if replay.waits_for.is_some() {
            return Step::Waits;
        }
        // What it costs to compare a topic with the filter.
        let levels = 1 + replay.filter.as_str().bytes().filter(|byte| *byte == b'/').count() as u64;
        let cost = Work::RETAINED_TOPIC + levels * Work::RETAINED_LEVEL;
        #[allow(clippy::cast_possible_truncation, reason = "256 at most")]
        let most = (left.work / cost).clamp(1, MAX_LOOKED_AT) as usize;
        let mut unused = most;
        let next =
            self.retained.next(&replay.filter, replay.after.as_ref(), replay.until, &mut unused);
        left.spend((most - unused) as u64 * cost);
        match next {
            Next::Value(topic, value) => {
                // An earlier subscription has brought it already, as retained or as new.
                let form = subscriber.options.form;
                let place = replay.compared.take().filter(|(before, _)| before == topic);
                let mut place = place.map_or(0, |(_, place)| place);
                let mut compared = 0;
                let mut earlier = subscriber.filters.before(&replay.filter, place);
                let mut is_known = false;
                while !is_known && let Some((next, filter)) = earlier.next() {
                    is_known = filter.matches(topic);
                    (compared, place) = (compared + 1, next);
                    if compared == MAX_COMPARED {
                        break;
                    }
                }
                left.spend(compared * cost);
                if !is_known {
                    replay.compared = Some((topic.clone(), place));
                    if compared == MAX_COMPARED {
                        return Step::Done;
                    }
                    // A value that is set since then is not among these.
                    let is_same = |frames: &Rc<Frames>| **frames.subject() == *topic.as_str();
                    let ready = replay.ready.take().filter(is_same).map(|frames| (frames, 0));
                    let framed = ready.or_else(|| value.frames(form, topic, &self.ledger));
                    let Some((frames, work)) = framed else {
                        let number = self.values.wait(id, topic, form.codec(), value);
                        replay.waits_for = Some(number);
                        return Step::Waits;
                    };
                    left.spend(work);
                    if out.deliver(id, &frames) == Delivered::NextTurn {
                        replay.ready = Some(frames);
                        return Step::NextTurn;
                    }
                    self.stats.replayed += 1;
                    left.steps = left.steps.saturating_sub(frames.len() / PACED);
                }
                replay.compared = None;
                replay.after = Some(topic.clone());
            }
            Next::Continue(topic) => replay.after = Some(topic),
            Next::End => subscriber.replays.pop_first(),
        }
        Step::Done
    }
}

impl Broker {
    /// Goes on with large messages and large retained values, as far as a turn allows. Half of the
    /// work is for each, and what one leaves is for the other.
    pub(super) fn encode_some(&mut self) {
        let work = self.drafts.encode_work;
        let mut left = work;
        if self.values.is_encoding() {
            self.held.has_changed = true;
            let mut half = work / 2;
            self.encode_messages(&mut half);
            left = work - work / 2 + half;
            self.encode_values(&mut left);
        }
        self.encode_messages(&mut left);
        self.work.charge(work - left);
    }

    fn encode_messages(&mut self, left: &mut u64) {
        while let Some((batch, lists)) = self.drafts.encode_some(left) {
            self.deliveries.add(batch, Vec::new(), lists);
        }
    }

    fn encode_values(&mut self, left: &mut u64) {
        while let Some(completed) = self.values.step(left, &mut self.drafts.pool, &self.ledger) {
            let filter = Filter::from(&completed.topic);
            let next = self.retained.next(&filter, None, u64::MAX, &mut 1);
            if let Next::Value(_, value) = next {
                value.share(completed.codec, &completed.frame, completed.is_json);
            }
        }
    }

    /// Lets up to `max` connections go on of which the value is encoded, or was replaced.
    fn resume_waiting(&mut self, max: usize) {
        for _ in 0..max {
            let Some(Resumed { id, number, frames }) = self.values.next_resumed() else { return };
            if let Some(subscriber) = self.subscribers.get(id)
                && let Some(replay) = subscriber.replays.first_mut()
                && replay.waits_for == Some(number)
            {
                (replay.waits_for, replay.ready) = (None, frames);
                self.resume_replay(id);
            }
        }
    }
}

/// The result of a step.
enum Step {
    Done,
    /// The connection is sent no more in this turn.
    NextTurn,
    /// The connection has unsent bytes, or waits for a large value that is encoded.
    Waits,
}

/// What is left of a turn.
struct Left {
    steps: usize,
    work: u64,
}

impl Left {
    const fn spend(&mut self, work: u64) {
        self.work = self.work.saturating_sub(work);
    }
}
