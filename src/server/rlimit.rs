//! The limit of open files, which bounds the direct descriptors of a ring as well.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Raises the limit to at least `wanted`, or as far as the process may; returns the new limit.
pub(super) fn raise(wanted: u64) -> u64 {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let Some(soft) = current else { return u64::MAX };
    if soft >= wanted {
        return soft;
    }
    // Only a privileged process may exceed the hard limit; others raise the soft limit up to it.
    let hard = maximum.unwrap_or(u64::MAX);
    for limit in [wanted.max(hard.min(wanted)), hard.min(wanted)] {
        let new = Rlimit { current: Some(limit), maximum: Some(hard.max(limit)) };
        if setrlimit(Resource::Nofile, new).is_ok() {
            return limit;
        }
    }
    soft
}
