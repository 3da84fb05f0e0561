//! `TCP_INFO` of a connection that has no descriptor but a direct one.
#![allow(unsafe_code, reason = "a descriptor that a ring has made")]

use std::collections::VecDeque;
use std::os::fd::{AsFd, FromRawFd, OwnedFd, RawFd};

use io_uring::CompletionQueue;

use super::tag::{Kind, Tag};
use crate::base::{ConnectionId, SendProgress};
use crate::io::tcp_info;

/// The most descriptors that are installed at a time. Many pings may be due in one turn, and their
/// queries must not take the descriptors of the process, nor fill the completion queue.
pub(super) const MAX_INSTALLED: usize = 32;

/// Queries of the progress of peers.
#[derive(Debug, Default)]
pub(super) struct Queries {
    /// Those that wait until others have ended.
    pub(super) waiting: VecDeque<ConnectionId>,
    /// The number of those in the kernel.
    pub(super) installed: usize,
}

/// The progress of a connection whose direct descriptor was installed as `result`, which is closed
/// again. `None` if the kernel has no descriptor for it, or does not tell.
pub(super) fn progress_of_installed(result: RawFd) -> Option<SendProgress> {
    if result < 0 {
        return None;
    }
    // SAFETY: the kernel has just made this descriptor for us, and nobody else knows it.
    let socket = unsafe { OwnedFd::from_raw_fd(result) };
    tcp_info::progress(socket.as_fd())
}

/// Closes descriptors that were installed and not looked at.
pub(super) fn close_installed(completions: &mut CompletionQueue<'_>) {
    completions.sync();
    for cqe in completions {
        if Tag(cqe.user_data()).kind() == Some(Kind::Progress) {
            progress_of_installed(cqe.result());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_descriptor_that_was_not_made_tells_nothing() {
        assert_eq!(progress_of_installed(-24), None);
    }
}
