//! What deliveries count for.

/// A delivery of more bytes counts for several, one for each of so many: the kernel copies what is
/// sent while the core waits. It counts for [`MOST`] at most, since the loop itself spreads sends
/// of more than 64 KiB over turns.
pub(in crate::pubsub) const PACED: usize = 16 << 10;
pub(in crate::pubsub) const MOST: usize = 4;
/// So many deliveries that go out with others of the turn count for one, if they are no longer than
/// this: they are copied, but not sent.
pub(in crate::pubsub) const JOINED: usize = 16;
pub(in crate::pubsub) const SHORT: usize = 1 << 10;
/// A delivery to more subscribers than this is wide. That takes more than one turn.
pub(in crate::pubsub) const WIDE: usize = 128;
/// A wide delivery counts for so many at most that wait: there is room for others behind one, but
/// not behind two.
pub(in crate::pubsub) const WIDE_COUNTS: usize = 300;
