//! How many lists are made at a time.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// So many lists of connections or topics are made at a time: each holds up to 1,000 rows, from
/// its first loop to its answer. The others wait in their order.
const MOST: usize = 2;

/// A loop that has not answered for so long is named as one that does not.
const LOOPS_HAVE: Duration = Duration::from_millis(500);

/// Begins a list.
type Begin = Box<dyn FnOnce(Permit) + Send>;

/// The lists of a server that are being made, and those that wait.
#[derive(Default)]
pub(super) struct Lists(Mutex<State>);

#[derive(Default)]
struct State {
    under_way: usize,
    waiting: VecDeque<Begin>,
}

impl fmt::Debug for Lists {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lists").finish_non_exhaustive()
    }
}

/// A list that is being made. Once it is dropped another one may begin.
#[derive(Debug)]
pub(super) struct Permit(Arc<Lists>);

/// The permit of an answer, until nobody waits for it any more.
#[derive(Debug, Default)]
pub(super) struct Held(Mutex<Stage>);

#[derive(Debug, Default)]
enum Stage {
    /// It waits for others, and no loop was asked.
    #[default]
    Waiting,
    /// With the permit of a list and when it was given. Other answers need none.
    Begun(Option<(Permit, Instant)>),
}

impl Held {
    pub(super) fn begin(&self, permit: Option<Permit>) {
        let stage = Stage::Begun(permit.map(|permit| (permit, Instant::now())));
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = stage;
    }

    /// Whether the loops had no time to answer: it has waited for others until now.
    pub(super) fn has_waited(&self) -> bool {
        match &*self.0.lock().unwrap_or_else(PoisonError::into_inner) {
            Stage::Waiting => true,
            Stage::Begun(permit) => {
                permit.as_ref().is_some_and(|(_, at)| at.elapsed() < LOOPS_HAVE)
            }
        }
    }

    /// Lets another list begin.
    pub(super) fn give_back(&self) {
        let mut stage = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let permit = match &mut *stage {
            Stage::Waiting => None,
            Stage::Begun(permit) => permit.take(),
        };
        drop(stage);
        // Without the lock: another list begins.
        drop(permit);
    }
}

impl Lists {
    /// Begins a list, at once or when those before it are made.
    pub(super) fn begin(self: &Arc<Self>, begin: impl FnOnce(Permit) + Send + 'static) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).waiting.push_back(Box::new(begin));
        self.begin_waiting();
    }

    fn begin_waiting(self: &Arc<Self>) {
        loop {
            let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            if state.under_way >= MOST {
                return;
            }
            let Some(begin) = state.waiting.pop_front() else { return };
            state.under_way += 1;
            drop(state);
            begin(Permit(Arc::clone(self)));
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner).under_way -= 1;
        self.0.begin_waiting();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;

    #[test]
    fn few_lists_are_made_at_a_time_and_the_others_in_their_order() {
        let lists = Arc::new(Lists::default());
        let (begun, is_begun) = channel();
        for number in 0..20 {
            let begun = begun.clone();
            lists.begin(move |permit| begun.send((number, permit)).unwrap());
        }
        let mut order = Vec::new();
        let mut made = Vec::new();
        loop {
            made.extend(is_begun.try_iter());
            assert!(made.len() <= MOST, "{} at a time", made.len());
            if made.is_empty() {
                break;
            }
            order.push(made.remove(0).0);
        }
        assert_eq!(order, (0..20).collect::<Vec<_>>());
    }
}
