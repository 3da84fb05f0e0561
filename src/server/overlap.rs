//! Addresses that cannot be listened on side by side: the same, or one that covers the other.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};

use crate::error::Error;

/// Addresses, in the order in which they were added. However many there are, one is compared with
/// all of them at once.
#[derive(Debug, Default)]
pub(super) struct Overlaps {
    /// The number of each.
    numbers: HashMap<SocketAddr, usize>,
    /// By port, and whether they are of IPv4. Port 0 is left out, since each such address gets a
    /// port of its own.
    ports: HashMap<(u16, bool), OnPort>,
}

/// Those of one port and one family: the first one, and the first one that covers all others.
#[derive(Debug)]
struct OnPort {
    first: SocketAddr,
    all: Option<(usize, SocketAddr)>,
}

impl Overlaps {
    /// The overlap with the first of them with which there is one.
    pub(super) fn find(&self, address: SocketAddr) -> Option<Error> {
        let address = canonical(address);
        let on_port = self.ports.get(&(address.port(), address.is_ipv4()))?;
        if address.ip().is_unspecified() && !on_port.first.ip().is_unspecified() {
            return Some(Error::Overlap { address: on_port.first, by: address });
        }
        if address.ip().is_unspecified() {
            return Some(Error::Overlap { address, by: on_port.first });
        }
        let same = self.numbers.get(&address).map(|number| (*number, address));
        let by = same.into_iter().chain(on_port.all).min_by_key(|(number, _)| *number);
        by.map(|(_, by)| Error::Overlap { address, by })
    }

    /// Adds one, also if there is an overlap.
    pub(super) fn add(&mut self, address: SocketAddr) {
        let address = canonical(address);
        if address.port() == 0 {
            return;
        }
        let number = self.numbers.len();
        self.numbers.entry(address).or_insert(number);
        let on_port = self.ports.entry((address.port(), address.is_ipv4()));
        let on_port = on_port.or_insert(OnPort { first: address, all: None });
        if address.ip().is_unspecified() {
            on_port.all.get_or_insert((number, address));
        }
    }
}

/// Converts `[::ffff:127.0.0.1]` to `127.0.0.1`; other addresses stay the same.
pub(super) fn canonical(address: SocketAddr) -> SocketAddr {
    match address.ip().to_canonical() {
        IpAddr::V4(ip) => SocketAddr::from((ip, address.port())),
        IpAddr::V6(_) => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(addresses: &[&str]) -> Vec<SocketAddr> {
        addresses.iter().map(|address| address.parse().unwrap()).collect()
    }

    /// The first overlap of each with an earlier one.
    fn overlaps(addresses: &[SocketAddr]) -> Vec<Option<String>> {
        let mut all = Overlaps::default();
        let overlap = |address: &SocketAddr| {
            let found = all.find(*address).map(|error| error.to_string());
            all.add(*address);
            found
        };
        addresses.iter().map(overlap).collect()
    }

    #[test]
    fn addresses_that_overlap_are_named() {
        let twice = "is given twice";
        for (addresses, parts) in [
            (&["127.0.0.1:1", "127.0.0.1:1"][..], ["127.0.0.1:1", twice]),
            (&["[::1]:1", "127.0.0.1:1", "[::1]:1"], ["[::1]:1", twice]),
            (&["[::]:1", "[::]:1"], ["[::]:1", twice]),
            (&["127.0.0.1:1", "[::ffff:127.0.0.1]:1"], ["127.0.0.1:1", twice]),
            (&["0.0.0.0:1", "127.0.0.1:1"], ["0.0.0.0:1 covers", "127.0.0.1:1"]),
            (&["127.0.0.1:1", "0.0.0.0:1"], ["0.0.0.0:1 covers", "127.0.0.1:1"]),
            (&["[::ffff:0.0.0.0]:1", "127.0.0.1:1"], ["0.0.0.0:1 covers", "127.0.0.1:1"]),
            (&["[::1]:1", "[::]:1"], ["[::]:1 covers", "[::1]:1"]),
        ] {
            let found = overlaps(&parsed(addresses));
            let (last, others) = found.split_last().unwrap();
            let error = last.as_deref().unwrap_or_default();
            for part in parts {
                assert!(error.contains(part), "{addresses:?}: {part} is not in {error}");
            }
            assert!(others.iter().all(Option::is_none), "{others:?}");
        }
    }

    /// Whether `one` is `other`, or the unspecified address of its family, with its port.
    fn covers(one: SocketAddr, other: SocketAddr) -> bool {
        let all = one.ip().is_unspecified() && one.is_ipv4() == other.is_ipv4();
        one.port() != 0 && one.port() == other.port() && (all || one == other)
    }

    /// As two addresses after the other would be compared.
    #[test]
    fn the_first_overlap_is_found() {
        let v4 = ["0.0.0.0", "127.0.0.1", "127.0.0.2", "[::ffff:127.0.0.1]"];
        let v6 = ["[::]", "[::1]", "[fe80::1%1]", "[fe80::1%2]"];
        let hosts = [v4, v6].concat();
        let mut rng = fastrand::Rng::with_seed(1);
        for _ in 0..2_000 {
            let one = |_| {
                let host = rng.choice(&hosts).unwrap();
                format!("{host}:{}", rng.u16(0..4)).parse().unwrap()
            };
            let all: Vec<SocketAddr> = (0..8).map(one).collect();
            let plain: Vec<SocketAddr> = all.iter().copied().map(canonical).collect();
            let expected = plain.iter().enumerate().map(|(number, address)| {
                let (address, mut earlier) = (*address, plain[..number].iter().copied());
                let overlap = earlier.find_map(|earlier| match earlier {
                    by if covers(by, address) => Some(Error::Overlap { address, by }),
                    by if covers(address, by) => Some(Error::Overlap { address: by, by: address }),
                    _ => None,
                });
                overlap.map(|error| error.to_string())
            });
            assert_eq!(overlaps(&all), expected.collect::<Vec<_>>(), "{all:?}");
        }
    }
}
