//! Which backend the loops use: one for all of them, as a ring can send messages to rings only.
//!
//! No ring is made only to see whether that is possible, since the memory of rings is limited for
//! all of them together. Each loop makes the one that it would use, and all wait for the last.

use std::sync::{Arc, Condvar, Mutex, PoisonError};

use crate::config::Backend;
use crate::io::uring::SetupError;

/// How the loops agree.
#[derive(Debug)]
struct Agreement {
    wanted: Backend,
    state: Mutex<State>,
    is_decided: Condvar,
}

#[derive(Debug)]
struct State {
    /// Loops that have not voted.
    missing: usize,
    /// The first reason against io_uring.
    refusal: Option<SetupError>,
    /// A loop ended before it voted.
    is_abandoned: bool,
}

/// What all loops do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Decision {
    Uring,
    Epoll,
    /// io_uring is wanted and cannot be used.
    Refused(SetupError),
    /// A loop ended before, so none is to begin.
    Abandoned,
}

/// The vote of one loop. Dropping it ends the start.
#[derive(Debug)]
pub(super) struct Vote(Option<Arc<Agreement>>);

/// A vote for each of this number of loops.
pub(super) fn votes(wanted: Backend, loops: usize) -> Vec<Vote> {
    let state = State { missing: loops, refusal: None, is_abandoned: false };
    let (state, is_decided) = (Mutex::new(state), Condvar::new());
    let agreement = Arc::new(Agreement { wanted, state, is_decided });
    (0..loops).map(|_| Vote(Some(Arc::clone(&agreement)))).collect()
}

impl Vote {
    /// Whether the loop is to make a ring before it votes.
    pub(super) fn needs_ring(&self) -> bool {
        self.0.as_ref().is_some_and(|agreement| agreement.wanted != Backend::Epoll)
    }

    /// Says whether the loop has a ring, and waits until all loops have said so.
    pub(super) fn cast(&mut self, refusal: Option<SetupError>) -> Decision {
        let Some(agreement) = self.0.take() else { return Decision::Abandoned };
        agreement.vote(|state| state.refusal = state.refusal.take().or(refusal));
        agreement.wait()
    }
}

impl Drop for Vote {
    fn drop(&mut self) {
        if let Some(agreement) = self.0.take() {
            agreement.vote(|state| state.is_abandoned = true);
        }
    }
}

impl Agreement {
    fn vote(&self, say: impl FnOnce(&mut State)) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        say(&mut state);
        state.missing -= 1;
        if state.missing > 0 {
            return;
        }
        if let (Some(refusal), Decision::Epoll) = (&state.refusal, self.decision(&state)) {
            tracing::warn!("serving with epoll, which costs more CPU time: {refusal}");
        }
        self.is_decided.notify_all();
    }

    fn wait(&self) -> Decision {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let state = self.is_decided.wait_while(state, |state| state.missing > 0);
        self.decision(&state.unwrap_or_else(PoisonError::into_inner))
    }

    fn decision(&self, state: &State) -> Decision {
        match (self.wanted, &state.refusal) {
            _ if state.is_abandoned => Decision::Abandoned,
            (Backend::Epoll, _) => Decision::Epoll,
            (Backend::Auto, Some(refusal)) if refusal.concerns_io_uring_alone() => Decision::Epoll,
            (_, Some(refusal)) => Decision::Refused(refusal.clone()),
            (_, None) => Decision::Uring,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    const FORBIDDEN: SetupError = SetupError::Sysctl { value: 2 };

    /// What each of the loops is told, of which some have a reason against io_uring.
    fn decide(wanted: Backend, refusals: &[Option<SetupError>]) -> Vec<Decision> {
        let votes = votes(wanted, refusals.len());
        thread::scope(|scope| {
            let cast = |(mut vote, refusal): (Vote, &Option<SetupError>)| {
                let refusal = refusal.clone();
                scope.spawn(move || vote.cast(refusal))
            };
            let threads: Vec<_> = votes.into_iter().zip(refusals).map(cast).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        })
    }

    #[test]
    fn one_loop_without_a_ring_is_enough_for_all_to_use_epoll() {
        let one = [None, Some(FORBIDDEN), None];
        let all = |decision: Decision| vec![decision; 3];
        assert_eq!(decide(Backend::Auto, &one), all(Decision::Epoll));
        assert_eq!(decide(Backend::Uring, &one), all(Decision::Refused(FORBIDDEN)));
        assert_eq!(decide(Backend::Auto, &[None, None, None]), all(Decision::Uring));
        assert_eq!(decide(Backend::Uring, &[None, None, None]), all(Decision::Uring));
        assert_eq!(decide(Backend::Epoll, &[None, None, None]), all(Decision::Epoll));
    }

    #[test]
    fn missing_descriptors_are_missing_for_epoll_as_well() {
        let refused = Decision::Refused(SetupError::Descriptors);
        assert_eq!(decide(Backend::Auto, &[Some(SetupError::Descriptors)]), [refused]);
    }

    #[test]
    fn a_loop_that_ends_early_keeps_no_other_waiting() {
        let mut both = votes(Backend::Auto, 2);
        let (left, mut vote) = (both.pop(), both.pop().unwrap());
        let waiting = thread::spawn(move || vote.cast(None));
        drop(left);
        assert_eq!(waiting.join().unwrap(), Decision::Abandoned);
    }

    #[test]
    fn only_loops_that_may_use_io_uring_make_rings() {
        let needs_ring = |wanted| votes(wanted, 1)[0].needs_ring();
        assert!(needs_ring(Backend::Auto) && needs_ring(Backend::Uring));
        assert!(!needs_ring(Backend::Epoll));
    }
}
