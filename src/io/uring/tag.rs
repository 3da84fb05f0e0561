//! The 64 bits that an operation carries through the kernel and its completion brings back.

use crate::base::ConnectionId;

/// Which operation a completion ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Kind {
    Receive = 1,
    SendNow = 2,
    SendQueued = 3,
    Accept = 4,
    HalfClose = 5,
    Wake = 6,
    /// Nothing is to be done about it, also if it failed: cancelling what has ended already.
    Ignore = 7,
    /// A message from another ring, which wakes this one.
    PeerWake = 8,
    /// A message to another ring. It has a completion only if it failed.
    WakePeer = 9,
    /// A `send_now` of bytes that other connections are sent as well.
    SendShared = 10,
    /// Installing an ordinary descriptor, through which the peer's progress is asked for.
    Progress = 11,
    /// Cancelling a receive. It has a completion only if it failed.
    CancelReceive = 12,
    /// Cancelling the accept of a listener, which is closed then.
    CloseListener = 13,
    /// Polling a socket for room, for a queued send.
    Writable = 14,
}

/// Operation, connection and index, packed: kind 4 bits, generation 24, slot 20, index 16. The
/// kind is never 0, so neither is the tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Tag(pub(super) u64);

impl Tag {
    pub(super) fn new(kind: Kind, id: ConnectionId, index: u16) -> Self {
        // Whatever a caller names, it must not reach into the bits of its neighbours.
        let ConnectionId { slot, generation } = id.masked();
        Self(
            (kind as u64) << 60
                | u64::from(generation) << 36
                | u64::from(slot) << 16
                | u64::from(index),
        )
    }

    /// The tag of an operation that belongs to no connection.
    pub(super) fn plain(kind: Kind, index: u16) -> Self {
        Self::new(kind, ConnectionId { slot: 0, generation: 0 }, index)
    }

    #[inline]
    pub(super) const fn is_receive(self) -> bool {
        self.0 >> 60 == Kind::Receive as u64
    }

    #[inline]
    pub(super) const fn kind(self) -> Option<Kind> {
        Some(match self.0 >> 60 {
            1 => Kind::Receive,
            2 => Kind::SendNow,
            3 => Kind::SendQueued,
            4 => Kind::Accept,
            5 => Kind::HalfClose,
            6 => Kind::Wake,
            7 => Kind::Ignore,
            8 => Kind::PeerWake,
            9 => Kind::WakePeer,
            10 => Kind::SendShared,
            11 => Kind::Progress,
            12 => Kind::CancelReceive,
            13 => Kind::CloseListener,
            14 => Kind::Writable,
            _ => return None,
        })
    }

    #[inline]
    #[allow(clippy::cast_possible_truncation, reason = "masked to 20 and 24 bits")]
    pub(super) const fn id(self) -> ConnectionId {
        ConnectionId {
            slot: (self.0 >> 16) as u32 & (ConnectionId::MAX_SLOTS - 1),
            generation: (self.0 >> 36) as u32 & ConnectionId::GENERATION_MASK,
        }
    }

    #[inline]
    #[allow(clippy::cast_possible_truncation, reason = "the low 16 bits are the index")]
    pub(super) const fn index(self) -> u16 {
        self.0 as u16
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_unpacks_to_its_parts() {
        let kinds = [
            Kind::Receive,
            Kind::SendNow,
            Kind::SendQueued,
            Kind::Accept,
            Kind::HalfClose,
            Kind::Wake,
            Kind::Ignore,
            Kind::PeerWake,
            Kind::WakePeer,
            Kind::SendShared,
            Kind::Progress,
            Kind::CancelReceive,
            Kind::CloseListener,
            Kind::Writable,
        ];
        let mut seen = std::collections::HashSet::new();
        for kind in kinds {
            for slot in [0, 1, ConnectionId::MAX_SLOTS / 2, ConnectionId::MAX_SLOTS - 1] {
                for generation in [0, 1, ConnectionId::GENERATION_MASK] {
                    for index in [0, 1, u16::MAX] {
                        let id = ConnectionId { slot, generation };
                        let tag = Tag::new(kind, id, index);
                        assert_eq!((tag.kind(), tag.id(), tag.index()), (Some(kind), id, index));
                        assert!(seen.insert(tag.0) && tag.0 != 0);
                    }
                }
            }
        }
        assert_eq!(Tag(0).kind(), None);
    }
}
