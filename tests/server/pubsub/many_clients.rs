//! Reading from many clients with one thread.

use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::support::client::{Client, End};
use crate::support::wire::Frame;

/// Reads from all clients until `each`, which is called with the number of a client and a frame,
/// has returned true for each client. Returns the clients for which it did not within `limit`, with
/// the end of the connection if there was one.
pub(crate) fn read_all(
    clients: &mut [Client],
    limit: Duration,
    mut each: impl FnMut(usize, Frame) -> bool,
) -> Vec<(usize, Option<End>)> {
    let start = Instant::now();
    let mut over = Vec::new();
    let mut reading = Vec::new();
    for (number, client) in clients.iter_mut().enumerate() {
        if !all(client.take_frames(), |frame| each(number, frame)) {
            reading.push(number);
        }
    }
    while !reading.is_empty() {
        let left = limit.saturating_sub(start.elapsed());
        let fd = |&number: &usize| PollFd::new(clients[number].stream(), PollFlags::IN);
        let mut fds: Vec<PollFd<'_>> = reading.iter().map(fd).collect();
        let timeout = Timespec::try_from(left).unwrap();
        if left.is_zero() || poll(&mut fds, Some(&timeout)).unwrap() == 0 {
            over.extend(reading.iter().map(|number| (*number, None)));
            break;
        }
        let ready: Vec<bool> = fds.iter().map(|fd| !fd.revents().is_empty()).collect();
        drop(fds);
        let mut ready = ready.into_iter();
        reading.retain(|&number| {
            if !ready.next().unwrap() {
                return true;
            }
            let (frames, end) = clients[number].receive();
            let done = all(frames, |frame| each(number, frame));
            if !done && end.is_some() {
                over.push((number, end));
            }
            !done && end.is_none()
        });
    }
    over
}

/// Passes all frames on; returns whether `each` returned true for one of them.
fn all(frames: Vec<Frame>, each: impl FnMut(Frame) -> bool) -> bool {
    frames.into_iter().map(each).filter(|done| *done).count() > 0
}

/// Reads as `read_all` does, and fails unless all clients are done.
pub(crate) fn expect_all(
    clients: &mut [Client],
    limit: Duration,
    each: impl FnMut(usize, Frame) -> bool,
) {
    let over = read_all(clients, limit, each);
    assert!(over.is_empty(), "not all came: {over:?}");
}
