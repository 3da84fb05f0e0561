//! What a server listens on, for what it could not listen on besides.

use std::collections::HashSet;
use std::path::PathBuf;

use super::listen::{Listen, Listening, Place};
use super::overlap::Overlaps;
use super::unix::canonical;
use crate::error::Error;

/// Places on which a server is to listen. Another one is compared with all of them at once, however
/// many there are.
#[derive(Debug, Default)]
pub struct Taken {
    addresses: Overlaps,
    paths: HashSet<PathBuf>,
    passed: HashSet<Option<Box<str>>>,
}

impl Taken {
    /// Why no server can listen on this besides, as far as that is known before it starts: it is
    /// there already, or one covers the other.
    #[must_use]
    pub fn conflict(&self, listen: &Listen) -> Option<Error> {
        match &listen.place {
            Place::Tcp(address) => self.addresses.find(*address),
            Place::Unix { path, .. } => {
                let path = canonical(path);
                let is_taken = self.paths.contains(&path);
                is_taken.then(|| Error::Twice { listen: Listen::unix(path).to_string() })
            }
            Place::Systemd(name) => {
                let all = name.is_none() && !self.passed.is_empty();
                let is_taken = all || self.passed.contains(name) || self.passed.contains(&None);
                is_taken.then(|| Error::Twice { listen: listen.to_string() })
            }
        }
    }

    /// Adds one, also if there is a conflict.
    pub fn add(&mut self, listen: &Listen) {
        match &listen.place {
            Place::Tcp(address) => self.addresses.add(*address),
            Place::Unix { path, .. } => drop(self.paths.insert(canonical(path))),
            Place::Systemd(name) => drop(self.passed.insert(name.clone())),
        }
    }

    /// Adds what is open already.
    pub(super) fn add_open(&mut self, place: &Listening) {
        match place {
            Listening::Tcp(address) => self.addresses.add(*address),
            Listening::Unix(path) => drop(self.paths.insert(canonical(path))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_listened_on_besides_is_told() {
        let systemd = |name| Listen::systemd(name);
        let address = |text: &str| Listen::tcp(text.parse().unwrap());
        for (first, second, conflicts) in [
            (systemd(None), systemd(None), true),
            (systemd(None), systemd(Some("a")), true),
            (systemd(Some("a")), systemd(None), true),
            (systemd(Some("a")), systemd(Some("a")), true),
            (systemd(Some("a")), systemd(Some("b")), false),
            (Listen::unix("/tmp/a"), Listen::unix("/tmp/../tmp/a").mode(0o600), true),
            (Listen::unix("/tmp/a"), Listen::unix("/tmp/b"), false),
            (address("127.0.0.1:1"), address("0.0.0.0:1"), true),
            (address("127.0.0.1:1"), address("127.0.0.1:2"), false),
            (address("127.0.0.1:1"), Listen::unix("/tmp/a"), false),
        ] {
            let mut taken = Taken::default();
            assert!(taken.conflict(&second).is_none());
            taken.add(&first);
            assert_eq!(taken.conflict(&second).is_some(), conflicts, "{first} {second}");
        }
    }
}
