//! The limit of open files, which bounds the direct descriptors of a ring as well.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Raises the limit to at least `wanted`, as far as the process may; returns what it is then.
pub(super) fn raise(wanted: u64) -> u64 {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let Some(soft) = current else { return u64::MAX };
    if soft >= wanted {
        return soft;
    }
    // Only the privileged may go beyond the hard limit; others get as far as it allows.
    let hard = maximum.unwrap_or(u64::MAX);
    for limit in [wanted.max(hard.min(wanted)), hard.min(wanted)] {
        let new = Rlimit { current: Some(limit), maximum: Some(hard.max(limit)) };
        if setrlimit(Resource::Nofile, new).is_ok() {
            return limit;
        }
    }
    soft
}
