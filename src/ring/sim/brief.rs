//! Operations and events in a few words, for traces and panics.

use std::fmt;

use super::operation::Submission;
use crate::ring::{Event, Payload, Received, Token};

/// Shows what it holds without the bytes.
pub(super) struct Brief<'a, T>(pub(super) &'a T);

impl fmt::Display for Brief<'_, Token> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.0.slot, self.0.generation)
    }
}

impl fmt::Display for Brief<'_, Payload> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Payload::Received { len, .. } => write!(f, "{len} bytes in place"),
            Payload::Owned { bytes, from } => write!(f, "{} bytes", bytes.len() - from),
            Payload::Shared { bytes, from } => write!(f, "{} bytes shared", bytes.len() - from),
        }
    }
}

impl fmt::Display for Brief<'_, Submission> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Submission::Accept { listener, once } => {
                write!(f, "accept on {listener}, once: {once}")
            }
            Submission::StopAccepting => f.write_str("stop accepting"),
            Submission::Receive { token, poll_first } => {
                write!(f, "{} receive, poll first: {poll_first}", Brief(token))
            }
            Submission::CancelReceive(token) => write!(f, "{} cancel receive", Brief(token)),
            Submission::SendNow { token, payload } => {
                write!(f, "{} send now {}", Brief(token), Brief(payload))
            }
            Submission::SendQueued { token, payload, max } => {
                write!(f, "{} send queued {}, at most {max}", Brief(token), Brief(payload))
            }
            Submission::CancelSend(token) => write!(f, "{} cancel send", Brief(token)),
            Submission::HalfClose(token) => write!(f, "{} half close", Brief(token)),
            Submission::Close(token) => write!(f, "{} close", Brief(token)),
        }
    }
}

impl fmt::Display for Brief<'_, Event> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Event::Accepted { listener, result, armed } => {
                write!(f, "accepted on {listener}: {result:?}, armed: {armed}")
            }
            Event::Received { token, outcome: Received::Data { len, .. }, armed } => {
                write!(f, "{} received {len} bytes, armed: {armed}", Brief(token))
            }
            Event::Received { token, outcome, armed } => {
                write!(f, "{} received {outcome:?}, armed: {armed}", Brief(token))
            }
            Event::FellShort { token, rest, error } => {
                write!(f, "{} fell short by {}, {error:?}", Brief(token), Brief(rest))
            }
            Event::Sent { token, result, .. } => write!(f, "{} sent {result:?}", Brief(token)),
            Event::HalfClosed { token } => write!(f, "{} half closed", Brief(token)),
            Event::Woken => f.write_str("woken"),
        }
    }
}
