//! How many messages were dropped, by subject.

use std::collections::BTreeMap;
use std::sync::Arc;

/// The most subjects that are counted separately. The messages of all others are counted together.
pub(super) const MAX_SUBJECTS: usize = 1024;
/// The subject under which those are counted: the filter that matches every topic.
const OTHERS: &str = "#";
/// The memory of a count besides its subject.
const COUNT: usize = 56;

/// The numbers of dropped messages, by subject.
#[derive(Debug, Default)]
pub(super) struct GapCounts {
    counts: BTreeMap<Arc<str>, u64>,
    /// The bytes of the subjects.
    text: usize,
    /// Some were taken to be sent.
    is_begun: bool,
}

impl GapCounts {
    /// The memory that they hold, in bytes. They may be the last to hold their subjects.
    pub(super) fn memory(&self) -> usize {
        self.counts.len() * COUNT + self.text
    }

    /// The number of subjects.
    pub(super) fn len(&self) -> usize {
        self.counts.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.counts.is_empty()
    }

    /// Whether some were taken to be sent.
    pub(super) const fn is_begun(&self) -> bool {
        self.is_begun
    }

    /// Takes the first subject, with its number of messages.
    pub(super) fn take_first(&mut self) -> Option<(Arc<str>, u64)> {
        let (subject, messages) = self.counts.pop_first()?;
        self.text -= subject.len();
        self.is_begun = true;
        Some((subject, messages))
    }

    /// Counts `messages` dropped messages about `subject`.
    pub(super) fn add(&mut self, subject: &Arc<str>, messages: u64) {
        if messages > 0 {
            let is_known = self.counts.contains_key(subject) || self.len() < MAX_SUBJECTS;
            let subject = if is_known { Arc::clone(subject) } else { OTHERS.into() };
            let text = &mut self.text;
            *self.counts.entry(subject).or_insert_with_key(|subject| {
                *text += subject.len();
                0
            }) += messages;
        }
    }

    /// Adds all counts of `others`.
    pub(super) fn merge(&mut self, others: &Self) {
        others.counts.iter().for_each(|(subject, messages)| self.add(subject, *messages));
    }

    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    /// The subjects in their order, each with its number of messages.
    #[cfg(test)]
    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, u64)> {
        self.counts.iter().map(|(subject, messages)| (&**subject, *messages))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(counts: &GapCounts) -> Vec<(&str, u64)> {
        counts.iter().collect()
    }

    #[test]
    fn messages_are_counted_by_subject() {
        let mut counts = GapCounts::default();
        counts.add(&"b".into(), 2);
        counts.add(&"a".into(), 1);
        counts.add(&"b".into(), 3);
        counts.add(&"c".into(), 0);
        assert_eq!(all(&counts), [("a", 1), ("b", 5)]);
        let mut others = GapCounts::default();
        others.add(&"a".into(), 10);
        others.add(&"d".into(), 4);
        counts.merge(&others);
        assert_eq!(all(&counts), [("a", 11), ("b", 5), ("d", 4)]);
        assert_eq!((counts.len(), counts.is_empty(), counts.is_begun()), (3, false, false));
        assert_eq!(counts.memory(), 3 * COUNT + 3);
        assert_eq!(counts.take_first(), Some(("a".into(), 11)));
        assert_eq!((counts.memory(), counts.is_begun()), (2 * COUNT + 2, true));
        counts.clear();
        assert!(counts.is_empty() && !counts.is_begun() && counts.take_first().is_none());
    }

    #[test]
    fn beyond_the_most_subjects_all_others_are_counted_together() {
        let mut counts = GapCounts::default();
        for number in 0..MAX_SUBJECTS + 10 {
            counts.add(&format!("{number:05}").into(), 2);
        }
        assert_eq!(counts.len(), MAX_SUBJECTS + 1);
        counts.add(&"00000".into(), 1);
        let all = all(&counts);
        assert_eq!((all[0], all[1]), (("#", 20), ("00000", 3)));
        let mut merged = GapCounts::default();
        merged.add(&"another".into(), 7);
        merged.merge(&counts);
        assert_eq!(merged.len(), MAX_SUBJECTS, "the rest of what is merged is counted together");
        let total = |counts: &GapCounts| counts.iter().map(|(_, messages)| messages).sum::<u64>();
        assert_eq!(total(&merged), total(&counts) + 7);
    }
}
