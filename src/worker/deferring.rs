//! The lists of connections with deferred input.

use std::collections::VecDeque;

use super::fair_queue::FairQueue;
use crate::base::ConnectionId;

/// A connection that has sent more than this of a message goes on before others.
const LARGE_MESSAGE: usize = 256 << 10;
/// The shares of a turn that one such connection may have.
const LARGE_SHARES: usize = 8;
/// Who has sent no more of a message than this lacks nothing but room for deliveries.
pub(super) const SMALL_MESSAGE: usize = 16 << 10;

/// Connections with deferred input, by what it waits for. Each may be in two lists at most: once it
/// is closing it needs no room any more.
#[derive(Debug, Default)]
pub(super) struct Deferring {
    /// The turn in which the input came had done enough.
    pub(super) late: Late,
    /// The connection has used up its share of a turn, and its input needs no room.
    pub(super) paused: Waiting,
    /// The service had no room, or the connection has used up its share, and its input needs room.
    pub(super) awaiting_room: FairQueue,
    /// The same, in the middle of a message of which more than [`SMALL_MESSAGE`] has come.
    pub(super) in_message: Waiting,
}

impl Deferring {
    /// Whether there is none.
    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.late.is_empty() && self.paused.is_empty() && !self.await_room()
    }

    /// Whether any wait for room.
    #[inline]
    pub(super) fn await_room(&self) -> bool {
        !self.awaiting_room.is_empty() || !self.in_message.is_empty()
    }

    /// Whether all that wait for room were tried and lack it, and none was added since.
    pub(super) fn all_lack_room(&self) -> bool {
        self.awaiting_room.is_empty() && self.in_message.all_lack_room()
    }

    /// The list in which a connection waits for room, of whose message so much has come; `None` if
    /// that is the queue by work.
    pub(super) const fn part_in_message(assembled: usize) -> Option<Part> {
        if assembled > SMALL_MESSAGE { Some(Part::of(assembled, false)) } else { None }
    }

    /// Whether the next turn has deferred input to handle; `large` says whether large messages go
    /// on.
    #[inline]
    pub(super) fn has_work(&self, large: bool, has_room: impl FnOnce() -> bool) -> bool {
        !self.late.is_empty() || self.paused.goes_on(large) || (self.await_room() && has_room())
    }
}

/// The work that short input of a connection is expected to cause.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Expected {
    /// That of whole messages that are not compressed, for the application.
    Little,
    /// Not much, because it is very short and not compressed, for a server that has to do something
    /// for each byte. Earlier input of the connection caused little.
    Bounded,
    /// Unknown. Earlier input of the connection caused little.
    Unknown,
    /// Earlier input of the connection caused much, or it is in the middle of a message or of a
    /// request that is not short, or it is a newcomer whose request may have to be verified.
    Much,
}

impl Expected {
    /// All, in the order in which they are served.
    pub(super) const ALL: [Self; 4] = [Self::Little, Self::Bounded, Self::Unknown, Self::Much];
}

/// Connections with short input that came too late for its turn, in the order of arrival for each
/// kind of them. So somebody whose input causes little work does not wait for a thousand others
/// whose input causes a millisecond of work each.
#[derive(Debug, Default)]
pub(super) struct Late {
    lists: [VecDeque<ConnectionId>; Expected::ALL.len()],
}

impl Late {
    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.lists.iter().all(VecDeque::is_empty)
    }

    /// The number of those of a kind.
    pub(super) fn len(&self, expected: Expected) -> usize {
        self.lists[expected as usize].len()
    }

    pub(super) fn push(&mut self, id: ConnectionId, expected: Expected) {
        self.lists[expected as usize].push_back(id);
    }

    /// Takes the first of a kind.
    pub(super) fn pop(&mut self, expected: Expected) -> Option<ConnectionId> {
        self.lists[expected as usize].pop_front()
    }
}

/// The list of those that wait for the same in which a connection is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// Nothing but one short receive is deferred, and earlier ones did not cause much work:
    /// connections that send little do not wait for those that send more than they are served.
    New,
    /// More than [`LARGE_MESSAGE`] has come of a message.
    Large,
    /// All others.
    Other,
}

impl Part {
    /// All, in the order in which they are served.
    pub(super) const ALL: [Self; 3] = [Self::New, Self::Large, Self::Other];

    /// The list of a connection that has sent so many bytes of a message before. `new` says whether
    /// it belongs to [`New`](Self::New) otherwise.
    pub(super) const fn of(assembled: usize, new: bool) -> Self {
        match new {
            _ if assembled > LARGE_MESSAGE => Self::Large,
            true => Self::New,
            false => Self::Other,
        }
    }
}

/// Connections whose deferred input waits for the same. Large messages are completed one after the
/// other, which needs less memory than all at once. All others take turns.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    new: VecDeque<ConnectionId>,
    large: VecDeque<ConnectionId>,
    others: VecDeque<ConnectionId>,
    /// Of each list, how many at its end were tried and lack room, since one was added.
    lacking: [usize; Part::ALL.len()],
}

impl Waiting {
    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.new.is_empty() && self.large.is_empty() && self.others.is_empty()
    }

    /// Whether there is one other than those with large messages, or any if these go on.
    fn goes_on(&self, large: bool) -> bool {
        !self.new.is_empty() || !self.others.is_empty() || large && !self.large.is_empty()
    }

    /// Whether all were tried and lack room, and none was added since.
    fn all_lack_room(&self) -> bool {
        let lens = [self.new.len(), self.large.len(), self.others.len()];
        lens.iter().zip(self.lacking).all(|(len, lacking)| lacking >= *len)
    }

    const fn list(&mut self, part: Part) -> &mut VecDeque<ConnectionId> {
        match part {
            Part::New => &mut self.new,
            Part::Large => &mut self.large,
            Part::Other => &mut self.others,
        }
    }

    /// How many connections of a list are tried in one turn: each once, but the first one that has
    /// a large message again and again.
    pub(super) fn attempts(&mut self, part: Part) -> usize {
        let len = self.list(part).len();
        if part == Part::Large { len * LARGE_SHARES } else { len }
    }

    /// Adds a connection. One with a large message is the next.
    pub(super) fn push(&mut self, id: ConnectionId, part: Part) {
        self.lacking[part as usize] = 0;
        match part {
            Part::Large => self.large.push_front(id),
            Part::New | Part::Other => self.list(part).push_back(id),
        }
    }

    /// Adds a connection that goes on when large messages do, after these.
    pub(super) fn hold_back(&mut self, id: ConnectionId) {
        self.lacking[Part::Large as usize] = 0;
        self.large.push_back(id);
    }

    /// Puts back a connection that lacks room, behind all others of its list.
    pub(super) fn lacks_room(&mut self, id: ConnectionId, part: Part) {
        self.lacking[part as usize] += 1;
        self.list(part).push_back(id);
    }

    /// Takes the next connection of a list.
    pub(super) fn pop(&mut self, part: Part) -> Option<ConnectionId> {
        self.list(part).pop_front()
    }
}
