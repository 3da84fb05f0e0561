//! How much work one turn does, in units of [`Work`](crate::base::Work): about a nanosecond each.
//!
//! A turn does at most [`LATE`], then [`DEFERRED`], then [`RECEIVED`], each exceeded by one piece of
//! work, and for each connection that has sent something one piece more until [`TURN`] is reached.
//! So a connection that causes little work is served in the turn in which its bytes arrive, or in
//! the next one; a connection that causes much work shares [`DEFERRED`] with all others that do.

/// For connections whose input came when the turn before had used up [`TURN`].
pub(super) const LATE: u64 = 1_000_000;
/// For connections that have used up their share of earlier turns.
pub(super) const DEFERRED: u64 = 500_000;
/// The share of one such connection in one turn.
pub(super) const SHARE: u64 = 50_000;
/// For what is received in this turn. Beyond that, each connection stops at the first place where
/// it can be resumed.
pub(super) const RECEIVED: u64 = 1_000_000;
/// The work after which nothing more of what is received is handled in this turn.
pub(super) const TURN: u64 = 3_500_000;
