//! The answers of a service to its loop, and of connections to their service.

use crate::base::Millis;
use crate::protocol::websocket::handshake::Rejection;

/// Whether a new connection may begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admitted {
    /// It may.
    Yes,
    /// Its first request is answered with this: [`Rejection::AddressConnections`],
    /// [`Rejection::AddressHandshakes`], or [`Rejection::Full`].
    Refused(Rejection),
    /// It is closed at once.
    Dropped,
}

/// When a service wants its next turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wakeup {
    /// At once: the core must not sleep.
    Now,
    /// At this time, or earlier. [`Millis::NEVER`] if it waits for events only.
    At(Millis),
}

/// What became of a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivered {
    /// It is sent or queued, or dropped by the policy for slow consumers, or the connection is not
    /// open any more.
    Taken,
    /// The same, and it goes out with other output of the connection in this turn: it needs no send
    /// of its own.
    Joined,
    /// Nothing was done: the connection was given as much as one turn allows. Try again in the next
    /// turn, because otherwise a burst would look like a slow reader. The same is said of all that
    /// follows for it in this turn.
    NextTurn,
}

/// Why bytes were not queued for a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SendFailure {
    /// The connection is not open.
    Gone,
    /// The queue of the connection is at its limit. Its policy for slow consumers was applied.
    Full,
}
