//! `GET /topics`.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};

use super::answers;
use super::waiting::{Gathered, Parts, Pending, Teller};
use crate::app::Responder;
use crate::pubsub::Topic;
use crate::server::control::CoreControl;
use crate::server::view::{CoreView, Visit};

/// So many filters are looked at in one turn, about.
const LOOKS: usize = 2_048;

/// The first filters behind a name, with the number of their subscribers.
type First = BTreeMap<Box<str>, u64>;

/// Looks at the filters of one loop.
struct Look {
    teller: Teller<First>,
    after: Option<Box<str>>,
    limit: usize,
    /// The slot of the next subscriber.
    from: u32,
    first: First,
}

/// Adds to the number of subscribers of a filter, if it is one of the first `limit`. What is left
/// out is behind so many others, and stays so.
fn add(first: &mut First, limit: usize, name: &str, subscribers: u64) {
    if let Some(count) = first.get_mut(name) {
        *count += subscribers;
    } else if first.len() < limit || first.last_key_value().is_some_and(|(last, _)| name < &**last)
    {
        first.insert(name.into(), subscribers);
        if first.len() > limit {
            first.pop_last();
        }
    }
}

impl Visit for Look {
    fn visit(mut self: Box<Self>, core: &mut dyn CoreView) -> Option<Box<dyn Visit>> {
        if self.teller.is_over() {
            return None;
        }
        let Self { after, limit, first, from, .. } = &mut *self;
        let next = core.filters(*from, LOOKS, &mut |filter| {
            let name = filter.as_str();
            if after.as_deref().is_none_or(|after| after < name) {
                add(first, *limit, name, 1);
            }
        });
        if let Some(next) = next {
            self.from = next;
            return Some(self);
        }
        let Self { teller, first, .. } = *self;
        teller.tell(first);
        None
    }
}

/// Answers with the first `limit` topics and filters behind `after`. `retained` are as many topics
/// that have a value, with its bytes.
pub(super) fn list(
    loops: &[Arc<CoreControl>],
    after: Option<&str>,
    limit: usize,
    retained: Vec<(Topic, usize)>,
    responder: Responder,
) -> Arc<dyn Pending> {
    let visit = |teller| -> Box<dyn Visit> {
        let after = after.map(Into::into);
        Box::new(Look { teller, after, limit, from: 0, first: First::new() })
    };
    let known = loops.to_vec();
    let finish = move |parts: Parts<First>| {
        let missing = parts.iter().enumerate().filter(|(_, part)| part.is_none());
        let missing: Vec<usize> = missing.map(|(number, _)| number).collect();
        if !missing.is_empty() {
            return answers::no_answer(&known, missing);
        }
        answers::json(&page(parts.into_iter().flatten(), limit, &retained))
    };
    Gathered::ask(loops, responder, visit, finish)
}

fn page(parts: impl Iterator<Item = First>, limit: usize, retained: &[(Topic, usize)]) -> Value {
    let mut all = First::new();
    for (name, subscribers) in parts.flatten() {
        add(&mut all, limit, &name, subscribers);
    }
    let retained: BTreeMap<&str, usize> =
        retained.iter().map(|(topic, bytes)| (topic.as_str(), *bytes)).collect();
    for name in retained.keys() {
        add(&mut all, limit, name, 0);
    }
    let next = all.last_key_value().filter(|_| all.len() >= limit).map(|(last, _)| last.clone());
    let topic = |name: &str, subscribers: u64| {
        let bytes = retained.get(name);
        json!({ "topic": name, "subscribers": subscribers, "retained_bytes": bytes })
    };
    let topics: Vec<Value> = all.iter().map(|(name, count)| topic(name, *count)).collect();
    json!({ "topics": topics, "next": next })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_has_the_first_names_with_all_of_their_subscribers() {
        let part = |names: &[(&str, u64)]| {
            let mut first = First::new();
            names.iter().for_each(|(name, count)| add(&mut first, 3, name, *count));
            first
        };
        let parts = [
            part(&[("d", 1), ("b", 1), ("e", 1), ("b", 1), ("c", 5), ("e", 1)]),
            part(&[("a", 2), ("c", 1), ("b", 1), ("z", 1)]),
        ];
        let retained = [(Topic::new("aa", 255).unwrap(), 70), (Topic::new("c", 255).unwrap(), 80)];
        let expected = json!({
            "topics": [
                { "topic": "a", "subscribers": 2, "retained_bytes": null },
                { "topic": "aa", "subscribers": 0, "retained_bytes": 70 },
                { "topic": "b", "subscribers": 3, "retained_bytes": null },
            ],
            "next": "b",
        });
        assert_eq!(page(parts.into_iter(), 3, &retained), expected);
        assert_eq!(page([part(&[("a", 1)])].into_iter(), 3, &[])["next"], Value::Null);
    }
}
