//! The latest message of each subject.

use std::collections::{HashMap, VecDeque};
use std::rc::Rc;
use std::sync::Arc;

use crate::session::outbound::frames::Frames;

/// The latest message of each subject, in the order in which the subjects came.
#[derive(Debug, Default)]
pub(super) struct Conflated {
    frames: HashMap<Arc<str>, Rc<Frames>>,
    subjects: VecDeque<Arc<str>>,
}

impl Conflated {
    /// The number of messages, which is the number of subjects.
    pub(super) fn len(&self) -> usize {
        self.subjects.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.subjects.is_empty()
    }

    /// Keeps the last message of `frames` in the place of its subject. Returns that message, and
    /// the one that it replaces.
    pub(super) fn keep(&mut self, frames: &Rc<Frames>) -> (Rc<Frames>, Option<Rc<Frames>>) {
        let subject = frames.subject();
        let latest = if frames.messages() == 1 {
            Rc::clone(frames)
        } else {
            // A copy, so that one message does not hold the memory of many.
            let bytes = frames.bytes().copy(frames.last()..frames.len());
            Rc::new(Frames::new(bytes, Arc::clone(subject), 1, 0))
        };
        let earlier = self.frames.insert(Arc::clone(subject), Rc::clone(&latest));
        if earlier.is_none() {
            self.subjects.push_back(Arc::clone(subject));
        }
        (latest, earlier)
    }

    /// Takes the message of the subject that came first.
    pub(super) fn pop(&mut self) -> Option<Rc<Frames>> {
        self.frames.remove(&self.subjects.pop_front()?)
    }

    /// As [`pop`](Self::pop), but never the message of `kept`. `None` if there is no other.
    pub(super) fn pop_except(&mut self, kept: &Arc<str>) -> Option<Rc<Frames>> {
        if self.subjects.front() == Some(kept) {
            if self.len() < 2 {
                return None;
            }
            self.subjects.rotate_left(1);
        }
        self.pop()
    }

    /// The bytes of the message that [`pop`](Self::pop) would take.
    pub(super) fn first_len(&self) -> Option<usize> {
        self.frames.get(self.subjects.front()?).map(|frames| frames.len())
    }

    /// The bytes of the message of a subject, if one is kept.
    pub(super) fn len_of(&self, subject: &Arc<str>) -> Option<usize> {
        self.frames.get(subject).map(|frames| frames.len())
    }

    /// The memory of the table, in bytes. That of the messages is charged by itself.
    pub(super) fn memory(&self) -> usize {
        let entry = size_of::<(Arc<str>, Rc<Frames>)>() + 1;
        self.frames.capacity() * entry + self.subjects.capacity() * size_of::<Arc<str>>()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Rc<Frames>> {
        self.frames.values()
    }

    /// The bytes of all messages, counted anew.
    pub(super) fn count_bytes(&self) -> usize {
        self.frames.values().map(|frames| frames.len()).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::frames;
    use super::*;

    fn subjects(conflated: &mut Conflated) -> Vec<(String, usize)> {
        let next = || conflated.pop().map(|it| (it.subject().to_string(), it.len()));
        std::iter::from_fn(next).collect()
    }

    #[test]
    fn each_subject_keeps_its_place_and_its_latest_message() {
        let mut conflated = Conflated::default();
        let (first, earlier) = conflated.keep(&frames("a", b'a', 10, 1));
        assert!(earlier.is_none() && first.len() == 10);
        assert!(conflated.keep(&frames("b", b'b', 20, 1)).1.is_none());
        let replaced = conflated.keep(&frames("a", b'c', 30, 1)).1.expect("the first");
        assert!(Rc::ptr_eq(&first, &replaced));
        assert_eq!((conflated.len(), conflated.count_bytes()), (2, 50));
        assert_eq!(conflated.first_len(), Some(30));
        assert_eq!(subjects(&mut conflated), [("a".to_owned(), 30), ("b".to_owned(), 20)]);
        assert!(conflated.is_empty() && conflated.first_len().is_none());
    }

    #[test]
    fn of_many_messages_the_last_is_kept_without_the_memory_of_the_others() {
        let mut conflated = Conflated::default();
        let many = frames("a", b'a', 10, 100);
        let (latest, _) = conflated.keep(&many);
        assert_eq!((latest.len(), latest.messages(), Rc::strong_count(&many)), (10, 1, 1));
        let one = frames("a", b'a', 10, 1);
        assert!(Rc::ptr_eq(&conflated.keep(&one).0, &one), "not copied");
    }

    #[test]
    fn the_kept_subject_is_never_taken() {
        let mut conflated = Conflated::default();
        let kept: Arc<str> = "a".into();
        conflated.keep(&frames("a", b'a', 1, 1));
        assert!(conflated.pop_except(&kept).is_none(), "there is no other");
        conflated.keep(&frames("b", b'b', 2, 1));
        conflated.keep(&frames("c", b'c', 3, 1));
        assert_eq!(conflated.pop_except(&kept).map(|frames| frames.len()), Some(2));
        assert_eq!(conflated.pop_except(&kept).map(|frames| frames.len()), Some(3));
        assert!(conflated.pop_except(&kept).is_none());
        assert_eq!((conflated.len_of(&kept), conflated.len_of(&"b".into())), (Some(1), None));
        let unknown: Arc<str> = "d".into();
        assert_eq!(conflated.pop_except(&unknown).map(|frames| frames.len()), Some(1));
        assert!(conflated.pop_except(&unknown).is_none());
    }
}
