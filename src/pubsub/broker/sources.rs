//! Which of the sources of messages goes on when there is room, while several wait for it.

/// Whose messages wait for room, besides those of other cores.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Awaiting {
    /// The input of clients, which may be anything: also a ping or a request to subscribe.
    pub clients: bool,
    /// What programs publish through handles.
    pub programs: bool,
}

impl Awaiting {
    #[inline]
    pub(super) const fn is_any(self) -> bool {
        self.clients || self.programs
    }
}

/// A source of messages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Source {
    #[default]
    OtherCores,
    Programs,
    Clients,
}

/// The sources take turns: otherwise one that always has more would use up the room of every turn
/// before the others are asked. Whoever is next begins; what room is left is for all.
#[derive(Debug, Default)]
pub(super) struct Sources {
    last: Source,
}

impl Sources {
    /// The source that begins in this turn, which has room: the first after the one before that
    /// waits.
    pub(super) fn next(&mut self, waits: Awaiting, has_batches: bool) -> Source {
        for _ in 0..3 {
            let (next, is_waiting) = match self.last {
                Source::OtherCores => (Source::Programs, waits.programs),
                Source::Programs => (Source::Clients, waits.clients),
                Source::Clients => (Source::OtherCores, has_batches),
            };
            self.last = next;
            if is_waiting {
                break;
            }
        }
        self.last
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn those_that_wait_take_turns() {
        let mut sources = Sources::default();
        let mut three = |clients, programs, has_batches| {
            [(); 3].map(|()| sources.next(Awaiting { clients, programs }, has_batches))
        };
        let (others, programs, clients) = (Source::OtherCores, Source::Programs, Source::Clients);
        assert_eq!(three(true, true, true), [programs, clients, others]);
        assert_eq!(three(true, false, true), [clients, others, clients]);
        assert_eq!(three(false, true, true), [others, programs, others]);
        assert_eq!(three(true, true, false), [programs, clients, programs]);
        assert_eq!(three(true, false, false), [clients; 3]);
        assert_eq!(three(false, true, false), [programs; 3]);
    }
}
