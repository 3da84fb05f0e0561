//! `GET /topics`.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};

use super::answers;
use super::lists::Lists;
use super::waiting::{Gathered, Parts, Pending, Teller};
use crate::app::Responder;
use crate::pubsub::Topic;
use crate::server::control::CoreControl;
use crate::server::view::{CoreView, Visit};

/// So many filters of a loop are listed in one turn.
const BATCH: usize = 256;

/// Filters in the order of their names, with the numbers of their subscribers.
type Listed = Vec<(Box<str>, u64)>;

/// The filters of one loop.
struct Look {
    teller: Teller<Listed>,
    after: Option<Box<str>>,
    limit: usize,
    found: Listed,
}

/// Adds further filters to those found, which are behind `after`. Returns whether there may be
/// more.
fn step(found: &mut Listed, after: Option<&str>, limit: usize, core: &dyn CoreView) -> bool {
    let most = BATCH.min(limit - found.len());
    let more = core.filters(found.last().map(|(name, _)| &**name).or(after), most);
    let is_last = more.len() < most;
    found.extend(more);
    !is_last && found.len() < limit
}

impl Visit for Look {
    fn visit(mut self: Box<Self>, core: &mut dyn CoreView) -> Option<Box<dyn Visit>> {
        if self.teller.is_over() {
            return None;
        }
        if step(&mut self.found, self.after.as_deref(), self.limit, core) {
            return Some(self);
        }
        let Self { teller, found, .. } = *self;
        teller.tell(found);
        None
    }
}

/// Answers with the first `limit` topics and filters behind `after`. `retained` are as many topics
/// that have a value, with its bytes.
pub(super) fn list(
    lists: &Arc<Lists>,
    loops: &[Arc<CoreControl>],
    (after, retained): (Option<&str>, Vec<(Topic, usize)>),
    limit: usize,
    responder: Responder,
) -> Arc<dyn Pending> {
    let after: Option<Box<str>> = after.map(Into::into);
    let visit = move |teller| -> Box<dyn Visit> {
        let after = after.clone();
        Box::new(Look { teller, after, limit, found: Listed::new() })
    };
    let known = loops.to_vec();
    let finish = move |parts: Parts<Listed>| {
        let missing = parts.iter().enumerate().filter(|(_, part)| part.is_none());
        let missing: Vec<usize> = missing.map(|(number, _)| number).collect();
        if !missing.is_empty() {
            return answers::no_answer(&known, missing);
        }
        answers::json(&page(parts.into_iter().flatten(), limit, &retained))
    };
    let gathered = Gathered::new(loops.len(), responder, finish);
    let (asked, loops) = (Arc::clone(&gathered), loops.to_vec());
    lists.begin(move |permit| asked.begin(&loops, Some(permit), visit));
    gathered
}

/// The first `limit` names of all parts. What is one of the first of all is one of the first of
/// each loop that has it, so all of its subscribers are counted.
fn page(parts: impl Iterator<Item = Listed>, limit: usize, retained: &[(Topic, usize)]) -> Value {
    let mut all = BTreeMap::<Box<str>, (u64, Option<usize>)>::new();
    for (name, subscribers) in parts.flatten() {
        all.entry(name).or_default().0 += subscribers;
    }
    for (topic, bytes) in retained {
        all.entry(topic.as_str().into()).or_default().1 = Some(*bytes);
    }
    let first = || all.iter().take(limit);
    let next = first().next_back().filter(|_| all.len() >= limit).map(|(name, _)| name);
    let topics = first().map(|(name, (subscribers, bytes))| {
        json!({ "topic": name, "subscribers": subscribers, "retained_bytes": bytes })
    });
    json!({ "topics": topics.collect::<Vec<_>>(), "next": next })
}

#[cfg(test)]
mod tests;
