//! The cores that the process may use, and pinning a thread to one.

use std::num::NonZero;
use std::thread;

use rustix::io::Errno;
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

use crate::error::Error;

/// The cores that this process may use, ascending. All cores if the system call fails.
#[must_use]
pub fn allowed_cores() -> Vec<usize> {
    match sched_getaffinity(None) {
        Ok(set) => (0..CpuSet::MAX_CPU).filter(|core| set.is_set(*core)).collect(),
        Err(_) => (0..thread::available_parallelism().map_or(1, NonZero::get)).collect(),
    }
}

/// The cores on which loops run.
#[derive(Debug)]
pub(super) struct Cores {
    pub(super) list: Vec<usize>,
    /// Whether each loop is pinned to its core. Otherwise the scheduler moves the loops.
    pub(super) pinned: bool,
}

/// The cores to run on: the requested ones, each once, or all that are allowed. If threads cannot
/// be pinned, that is an error if cores were requested, and a warning if not.
pub(super) fn choose(requested: Option<&[usize]>) -> Result<Cores, Error> {
    let allowed = allowed_cores();
    let pin_error = pin_error();
    let Some(requested) = requested else {
        if let Some(errno) = pin_error {
            tracing::warn!(
                "loops are not pinned to cores: {errno} from sched_setaffinity, most likely \
                 refused by the seccomp profile of a container"
            );
        }
        return Ok(Cores { list: allowed, pinned: pin_error.is_none() });
    };
    if let Some(core) = requested.iter().find(|core| !allowed.contains(core)) {
        return Err(Error::Core { core: *core, allowed });
    }
    let mut list = requested.to_vec();
    list.sort_unstable();
    list.dedup();
    match (list.is_empty(), pin_error) {
        (true, _) => Err(Error::Usage("no core to run on")),
        (false, Some(errno)) => Err(Error::Pin(errno)),
        (false, None) => Ok(Cores { list, pinned: true }),
    }
}

/// The error of pinning a thread, if the system refuses that for any core. Changes nothing.
fn pin_error() -> Option<Errno> {
    match sched_setaffinity(None, &CpuSet::new()) {
        // An empty set is invalid, so a kernel that does not refuse the call answers EINVAL.
        Ok(()) | Err(Errno::INVAL) => None,
        Err(errno) => Some(errno),
    }
}

/// Pins the calling thread to `core`.
pub(super) fn pin(core: usize) -> Result<(), Error> {
    let mut set = CpuSet::new();
    set.set(core);
    sched_setaffinity(None, &set).map_err(Error::Pin)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checking_whether_threads_can_be_pinned_changes_nothing() {
        let before = allowed_cores();
        assert_eq!(pin_error(), None);
        assert_eq!(allowed_cores(), before);
    }

    #[test]
    fn each_requested_core_is_taken_once() {
        let allowed = allowed_cores();
        let first = allowed[0];
        let cores = choose(Some(&[first, first])).unwrap();
        assert_eq!((cores.list, cores.pinned), (vec![first], true));
        assert_eq!(choose(None).unwrap().list, allowed);
        assert!(matches!(choose(Some(&[])), Err(Error::Usage(_))));
        assert!(matches!(choose(Some(&[1 << 20])), Err(Error::Core { .. })));
    }
}
