//! Which cores there are, and pinning a thread to one.

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

use crate::error::Error;

/// The cores that this process may use, ascending.
#[must_use]
pub fn allowed_cores() -> Vec<usize> {
    match sched_getaffinity(None) {
        Ok(set) => (0..CpuSet::MAX_CPU).filter(|core| set.is_set(*core)).collect(),
        Err(_) => vec![0],
    }
}

/// The cores to run on: those `asked` for, each once, or all.
pub(super) fn choose(asked: Option<&[usize]>) -> Result<Vec<usize>, Error> {
    let allowed = allowed_cores();
    let Some(asked) = asked else { return Ok(allowed) };
    if let Some(core) = asked.iter().find(|core| !allowed.contains(core)) {
        return Err(Error::Core { core: *core, allowed });
    }
    let mut cores = asked.to_vec();
    cores.sort_unstable();
    cores.dedup();
    if cores.is_empty() { Err(Error::Nothing("no core to run on")) } else { Ok(cores) }
}

/// Pins the calling thread to `core`.
pub(super) fn pin(core: usize) -> Result<(), Error> {
    let mut set = CpuSet::new();
    set.set(core);
    sched_setaffinity(None, &set).map_err(|errno| Error::Thread(errno.into()))
}
