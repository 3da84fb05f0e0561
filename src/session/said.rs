//! What clients are told that are refused, until the log has it.

use std::collections::VecDeque;

use crate::base::ConnectionId;

/// The most lines that are kept. Of more, the first are forgotten.
const MAX_KEPT: usize = 64;
/// The most bytes of a line.
const MAX_LINE: usize = 200;
/// A name that a client has sent, in quotes, is shown up to so many bytes. A longer one may be a
/// token in a wrong place.
const MAX_NAME: usize = 20;

/// Lines that say more than the reason of a refusal does, by the connections that end with it.
#[derive(Debug, Default)]
pub struct Said(VecDeque<(ConnectionId, Box<str>)>);

impl Said {
    /// The client of a connection is told this, of which the first line counts.
    #[cold]
    pub(super) fn note(&mut self, id: ConnectionId, text: &str) {
        self.keep(id, without_long_names(text.lines().next().unwrap_or_default()));
    }

    /// It is refused because of its origin.
    #[cold]
    pub(super) fn note_origin(&mut self, id: ConnectionId, origin: &str) {
        self.keep(id, format!("This origin is not allowed to connect: {origin}"));
    }

    fn keep(&mut self, id: ConnectionId, mut line: String) {
        line.truncate(line.floor_char_boundary(MAX_LINE));
        if self.0.len() == MAX_KEPT {
            self.0.pop_front();
        }
        self.0.push_back((id, line.into()));
    }

    /// What the client of a connection was told, if that is known.
    pub fn take(&mut self, id: ConnectionId) -> Option<Box<str>> {
        let at = self.0.iter().position(|(other, _)| *other == id)?;
        self.0.remove(at).map(|(_, line)| line)
    }
}

/// What is between quotes is left out if it is long.
fn without_long_names(line: &str) -> String {
    let parts = line.split('"').enumerate().map(|(number, part)| {
        let is_name = number % 2 == 1;
        if is_name && part.len() > MAX_NAME { "..." } else { part }
    });
    parts.collect::<Vec<_>>().join("\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn id(slot: u32) -> ConnectionId {
        ConnectionId { slot, generation: 1 }
    }

    #[test]
    fn lines_are_short_and_few() {
        let mut said = Said::default();
        for (text, kept) in [
            ("no parameter \"ok\" is known.\nmore", "no parameter \"ok\" is known."),
            ("no \"eyJhbGciOiJIUzI1NiJ9.eyJz\" or \"x\".", "no \"...\" or \"x\"."),
            ("cut \"eyJhbGciOiJIUzI1NiJ9.eyJz", "cut \"..."),
            ("", ""),
        ] {
            said.note(id(7), text);
            assert_eq!(said.take(id(7)).as_deref(), Some(kept));
            assert_eq!(said.take(id(7)), None);
        }
        let long = "\u{20ac}".repeat(100);
        said.note_origin(id(0), &long);
        (1..64).for_each(|slot| said.note(id(slot), "x"));
        let line = said.take(id(0)).unwrap();
        assert!(line.len() <= MAX_LINE && line.ends_with('\u{20ac}'), "{line}");
        (0..3).for_each(|slot| said.note(id(100 + slot), "y"));
        assert_eq!([1, 2, 3].map(|slot| said.take(id(slot)).is_some()), [false, false, true]);
    }
}
