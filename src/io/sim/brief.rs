//! Operations and events in a few words, for traces and panics.

use std::fmt;

use super::operation::Submission;
use crate::base::{Chunk, ConnectionId};
use crate::io::{Accepts, Event, Payload, Received};

/// Shows what it holds without the bytes.
pub(super) struct Brief<'a, T>(pub(super) &'a T);

impl fmt::Display for Brief<'_, ConnectionId> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.0.slot, self.0.generation)
    }
}

impl fmt::Display for Brief<'_, Payload> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Payload::Received { len, .. } => write!(f, "{len} bytes in place"),
            Payload::Chunk(chunk) => Brief(chunk).fmt(f),
        }
    }
}

impl fmt::Display for Brief<'_, Chunk> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Chunk::Owned { .. } => write!(f, "{} bytes", self.0.rest().len()),
            Chunk::Shared { .. } => write!(f, "{} bytes shared", self.0.rest().len()),
        }
    }
}

impl fmt::Display for Brief<'_, Submission> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Submission::Accept { listener, kind } => {
                let once = *kind != Accepts::Multishot;
                write!(f, "accept on {listener}, once: {once}")
            }
            Submission::CancelAccept(listener) => write!(f, "cancel accept {listener}"),
            Submission::StopAccepting(_) => f.write_str("stop accepting"),
            Submission::Receive { id, once: true, .. } => write!(f, "{} receive once", Brief(id)),
            Submission::Receive { id, poll_first, .. } => {
                write!(f, "{} receive, poll first: {poll_first}", Brief(id))
            }
            Submission::CancelReceive(id) => write!(f, "{} cancel receive", Brief(id)),
            Submission::SendNow { id, payload } => {
                write!(f, "{} send now {}", Brief(id), Brief(payload))
            }
            Submission::SendQueued { id, chunk, max } => {
                write!(f, "{} send queued {}, at most {max}", Brief(id), Brief(chunk))
            }
            Submission::CancelSend(id) => write!(f, "{} cancel send", Brief(id)),
            Submission::QueryProgress(id) => write!(f, "{} query progress", Brief(id)),
            Submission::HalfClose(id) => write!(f, "{} half close", Brief(id)),
            Submission::Close(id) => write!(f, "{} close", Brief(id)),
            Submission::Retire(id) => write!(f, "{} retire", Brief(id)),
        }
    }
}

impl fmt::Display for Brief<'_, Event> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Event::Accepted { listener, result, armed, .. } => {
                write!(f, "accepted on {listener}: {result:?}, armed: {armed}")
            }
            Event::Received { id, outcome: Received::Data { len, .. }, armed } => {
                write!(f, "{} received {len} bytes, armed: {armed}", Brief(id))
            }
            Event::Received { id, outcome, armed } => {
                write!(f, "{} received {outcome:?}, armed: {armed}", Brief(id))
            }
            Event::Peer { id, peer } => write!(f, "{} peer {peer:?}", Brief(id)),
            Event::NotCancelled { id } => write!(f, "{} not cancelled", Brief(id)),
            Event::ShortSend { id, rest, error } => {
                write!(f, "{} fell short by {}, {error:?}", Brief(id), Brief(rest))
            }
            Event::Sent { id, result, .. } => write!(f, "{} sent {result:?}", Brief(id)),
            Event::Progress { id, progress } => {
                write!(f, "{} progress {progress:?}", Brief(id))
            }
            Event::HalfClosed { id } => write!(f, "{} half closed", Brief(id)),
            Event::Woken => f.write_str("woken"),
        }
    }
}
