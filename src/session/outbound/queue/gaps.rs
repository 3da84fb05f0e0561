//! How many messages were lost, by subject.

use std::collections::BTreeMap;
use std::sync::Arc;

/// Subjects of which losses are counted apart; those of all others are told together.
pub(super) const MOST_SUBJECTS: usize = 1024;
/// The filter that all of those others match.
const OTHERS: &str = "#";

/// Messages lost, so many of each subject.
#[derive(Debug, Default)]
pub(super) struct Losses(BTreeMap<Arc<str>, u64>);

impl Losses {
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn add(&mut self, subject: &Arc<str>, messages: u64) {
        if messages > 0 {
            let is_known = self.0.contains_key(subject) || self.len() < MOST_SUBJECTS;
            let subject = if is_known { Arc::clone(subject) } else { OTHERS.into() };
            *self.0.entry(subject).or_default() += messages;
        }
    }

    pub(super) fn merge(&mut self, others: &Self) {
        others.0.iter().for_each(|(subject, messages)| self.add(subject, *messages));
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    /// Subjects in their order, and how many messages.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, u64)> {
        self.0.iter().map(|(subject, messages)| (&**subject, *messages))
    }
}
