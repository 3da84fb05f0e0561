//! Which cores there are, and pinning a thread to one.

use std::num::NonZero;
use std::thread;

use rustix::io::Errno;
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

use crate::error::Error;

/// The cores that this process may use, ascending. All there are where the system does not say.
#[must_use]
pub fn allowed_cores() -> Vec<usize> {
    match sched_getaffinity(None) {
        Ok(set) => (0..CpuSet::MAX_CPU).filter(|core| set.is_set(*core)).collect(),
        Err(_) => (0..thread::available_parallelism().map_or(1, NonZero::get)).collect(),
    }
}

/// Where loops run.
#[derive(Debug)]
pub(super) struct Cores {
    pub(super) list: Vec<usize>,
    /// Whether each loop stays on its core. Otherwise the system moves loops as it likes.
    pub(super) pinned: bool,
}

/// The cores to run on: those `asked` for, each once, or all. Where threads cannot be pinned that
/// is an error if cores were asked for, and a warning if not.
pub(super) fn choose(asked: Option<&[usize]>) -> Result<Cores, Error> {
    let allowed = allowed_cores();
    let refused = refusal();
    let Some(asked) = asked else {
        if let Some(errno) = refused {
            tracing::warn!(
                "loops are not pinned to cores: {errno} from sched_setaffinity, most likely \
                 refused by the seccomp profile of a container"
            );
        }
        return Ok(Cores { list: allowed, pinned: refused.is_none() });
    };
    if let Some(core) = asked.iter().find(|core| !allowed.contains(core)) {
        return Err(Error::Core { core: *core, allowed });
    }
    let mut list = asked.to_vec();
    list.sort_unstable();
    list.dedup();
    match (list.is_empty(), refused) {
        (true, _) => Err(Error::Nothing("no core to run on")),
        (false, Some(errno)) => Err(Error::Pin(errno)),
        (false, None) => Ok(Cores { list, pinned: true }),
    }
}

/// Why threads cannot be pinned, if that is refused whatever the core. Changes nothing.
fn refusal() -> Option<Errno> {
    match sched_setaffinity(None, &CpuSet::new()) {
        // No core at all is what the kernel itself complains about.
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
    fn asking_whether_threads_can_be_pinned_changes_nothing() {
        let before = allowed_cores();
        assert_eq!(refusal(), None);
        assert_eq!(allowed_cores(), before);
    }

    #[test]
    fn each_core_asked_for_is_taken_once() {
        let allowed = allowed_cores();
        let first = allowed[0];
        let cores = choose(Some(&[first, first])).unwrap();
        assert_eq!((cores.list, cores.pinned), (vec![first], true));
        assert_eq!(choose(None).unwrap().list, allowed);
        assert!(matches!(choose(Some(&[])), Err(Error::Nothing(_))));
        assert!(matches!(choose(Some(&[1 << 20])), Err(Error::Core { .. })));
    }
}
