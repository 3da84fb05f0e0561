//! What a worker counts.

use super::closes::Closes;
use crate::base::Histogram;
use crate::io::DriverStats;
use crate::session::Counts;

/// Counters of one worker since its start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Connections accepted.
    pub accepted: u64,
    /// Accepts that failed, for want of descriptors or memory or because the peer was gone.
    pub accept_errors: u64,
    /// Requests that were answered with an error status, such as 403 or 503.
    pub refused: u64,
    /// Connections that were closed because the peer broke a rule, such as with 1002 or 1009.
    pub violations: u64,
    /// Connections ended.
    pub closed: u64,
    /// Receives that found no buffer free.
    pub no_buffers: u64,
    /// Sends that did not take everything at once.
    pub short_sends: u64,
    /// Times a connection was not read from because its replies queued up.
    pub paused: u64,
    /// Receives that were left to the next turn because connections caused much work.
    pub late: u64,
    /// Times a connection went on in a later turn because it had used up its share of work.
    pub resumed: u64,
    /// Messages dropped because a subscriber reads too slowly.
    pub dropped: u64,
    /// Subscribers closed with 1013 because they read too slowly.
    pub too_slow: u64,
    /// Connections closed because they held the most memory when the limit of the core was reached.
    pub shed: u64,
    /// Bytes that peers make the core hold at this moment. Bytes that several cores hold, such as a
    /// retained value, count on each.
    pub memory: u64,
    /// Events for a connection that has ended. Counted and not followed.
    pub stale: u64,
    /// Connections to listeners for administration at this moment.
    pub admin: u64,
    /// Bytes sent, without those of TLS itself: what the kernel or the transport has taken.
    pub sent_bytes: u64,
    /// Bytes that wait to be sent at this moment.
    pub queued_bytes: u64,
    /// Turns of the loop.
    pub turns: u64,
    /// The time that one turn in 64 took, from the return of the call into the kernel on, and each
    /// in which a delivery was completed whose time is taken.
    pub turn_times: Histogram,
    /// What the driver counts.
    pub driver: DriverStats,
    /// What the sessions count.
    pub sessions: Counts,
    /// Connections that have ended, by cause and close code.
    pub closes: Closes,
    /// Connections that were refused because of a limit of the loop.
    pub limits: LimitCounts,
}

/// Connections that were accepted to be answered with 503.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct LimitCounts {
    /// There were as many connections as there may be.
    pub connections: u64,
    /// So many were waiting for the answer to their first request.
    pub handshakes: u64,
    /// Memory was scarce.
    pub memory: u64,
}
