//! What waits where only the latest message of each subject does.

use std::collections::{HashMap, VecDeque};
use std::rc::Rc;
use std::sync::Arc;

use bytes::Bytes;

use crate::session::Frames;

/// The latest message of each subject, and the subjects in the order they came.
#[derive(Debug, Default)]
pub(super) struct Latest {
    frames: HashMap<Arc<str>, Rc<Frames>>,
    subjects: VecDeque<Arc<str>>,
}

impl Latest {
    pub(super) fn len(&self) -> usize {
        self.subjects.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.subjects.is_empty()
    }

    /// Keeps the last message of `frames` in the place of its subject. Returns that
    /// message, and what it replaces.
    pub(super) fn keep(&mut self, frames: &Rc<Frames>) -> (Rc<Frames>, Option<Rc<Frames>>) {
        let subject = frames.subject();
        let latest = if frames.messages() == 1 {
            Rc::clone(frames)
        } else {
            // A copy, so that one message does not hold the memory of many.
            let bytes = frames.bytes().get(frames.last()..).unwrap_or_default();
            Rc::new(Frames::new(Bytes::copy_from_slice(bytes), Arc::clone(subject), 1, 0))
        };
        let earlier = self.frames.insert(Arc::clone(subject), Rc::clone(&latest));
        if earlier.is_none() {
            self.subjects.push_back(Arc::clone(subject));
        }
        (latest, earlier)
    }

    /// Takes the frames of the subject that came first.
    pub(super) fn pop(&mut self) -> Option<Rc<Frames>> {
        self.frames.remove(&self.subjects.pop_front()?)
    }

    /// The same, but those of `kept`; `None` if there is no other.
    pub(super) fn pop_but(&mut self, kept: &Arc<str>) -> Option<Rc<Frames>> {
        if self.len() < 2 {
            return None;
        }
        if self.subjects.front() == Some(kept) {
            self.subjects.rotate_left(1);
        }
        self.pop()
    }

    /// The bytes of what [`pop`](Self::pop) would take.
    pub(super) fn first_len(&self) -> Option<usize> {
        self.frames.get(self.subjects.front()?).map(|frames| frames.len())
    }
}
