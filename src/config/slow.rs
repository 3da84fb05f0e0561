//! What becomes of subscribers that read too slowly.

/// The policy for a subscriber whose queue has reached [`PubSub::queue`](super::PubSub::queue),
/// because it reads more slowly than messages arrive. Messages are dropped whole, and each drop is
/// counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum SlowConsumer {
    /// The connection is closed with 1013 (try again later).
    #[default]
    Close,
    /// New messages are dropped until there is room again.
    DropNewest,
    /// The oldest messages in the queue are dropped to make room.
    DropOldest,
    /// The queue holds only the latest message of each topic. This applies as soon as a message
    /// cannot be sent at once, not only at the limit.
    Conflate,
}
