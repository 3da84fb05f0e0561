//! Listening sockets, and the addresses of peers if they are wanted.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::OwnedFd;
use std::ptr;
use std::sync::atomic::{AtomicU32, Ordering};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::retry_on_intr;

use crate::io::{Accepts, Errno, is_passing};

/// The most connections that wait in the accept queue of a listener (net.core.somaxconn, and the
/// server asks for as many), and some more for those that arrive while these are accepted.
const BURST: u32 = 4096 + 512;

/// The places of a listener: so many connections a multishot accept that tells the addresses of
/// peers brings between two calls of `enter`. One accept of the kernel has room for one address, so
/// there is one for each place.
const PLACES: u32 = 64;
/// The places of all listeners together, where there are so many that each has fewer.
const ALL_PLACES: usize = 1024;

/// The places of each of so many listeners.
pub(super) fn places(listeners: usize) -> u32 {
    let each = ALL_PLACES / listeners.max(1);
    u32::try_from(each).map_or(PLACES, |each| each.clamp(1, PLACES))
}

/// The most connections that an accept brings between two calls of `enter`.
pub(super) const fn burst(kind: Accepts) -> u32 {
    match kind {
        Accepts::Multishot => BURST,
        Accepts::MultishotWithPeers => PLACES,
        Accepts::Once | Accepts::OnceWithPeer => 1,
    }
}

/// The words of `struct sockaddr_storage`.
const WORDS: usize = 32;

/// A listening socket.
#[derive(Debug)]
pub(super) struct Listener {
    /// `None` once it is closed.
    pub(super) socket: Option<OwnedFd>,
    /// How the worker accepts from it.
    pub(super) armed: Option<Accepts>,
    /// Its places, a bit for each.
    all: u64,
    /// Those of which the kernel has an accept, or one is queued that names the socket.
    pub(super) held: u64,
    /// No place is armed again: the accept of the worker ends once the kernel holds none.
    pub(super) is_ending: bool,
    pub(super) ending: Option<Ending>,
    /// Of each place the address of its next peer; none of them before addresses are asked for.
    /// They are made once and stay until the ring is closed, because the kernel writes to them.
    pub(super) names: Box<[PeerName]>,
}

/// The end of accepting on a listener.
#[derive(Debug)]
pub(super) struct Ending {
    /// How the worker has accepted from it; nothing is told if it did not.
    pub(super) kind: Option<Accepts>,
    /// The last cancel has come back.
    pub(super) is_cancelled: bool,
    /// How many may still be accepted.
    pub(super) left: u32,
}

impl Ending {
    /// Counts an accept that has ended.
    pub(super) fn count(&mut self, result: Result<u32, Errno>) {
        self.left = match result {
            // It would fail again.
            Err(error) if error != Errno::CANCELED && !is_passing(error) => 0,
            _ => self.left.saturating_sub(1),
        };
    }
}

impl Listener {
    pub(super) fn new(socket: OwnedFd, places: u32) -> Self {
        Self {
            socket: Some(socket),
            armed: None,
            all: u64::MAX >> (u64::BITS - places.clamp(1, u64::BITS)),
            held: 0,
            is_ending: false,
            ending: None,
            names: Box::default(),
        }
    }

    /// The places that are to be armed.
    pub(super) fn lacking(&self) -> u64 {
        match self.armed {
            Some(kind) if kind.is_once() || kind == Accepts::Multishot => 1 & !self.held,
            Some(_) if !self.is_ending && self.ending.is_none() => self.all & !self.held,
            _ => 0,
        }
    }

    /// Where the kernel writes the address of the next peer of a place, and its length. A place has
    /// one accept at a time.
    pub(super) fn room(&mut self, place: u32) -> (*mut AtomicU32, *mut AtomicU32) {
        if self.names.is_empty() {
            self.names = (0..self.all.count_ones()).map(|_| PeerName::new()).collect();
        }
        let name = self.names.get(place as usize).map(PeerName::room);
        name.unwrap_or((ptr::null_mut(), ptr::null_mut()))
    }

    /// The address of the peer that the last accept of a place has brought, if it was asked for.
    pub(super) fn peer(&self, place: u32) -> Option<SocketAddr> {
        self.armed.filter(|kind| kind.tells_peers())?;
        self.names.get(place as usize)?.address()
    }

    /// Whether a connection waits.
    pub(super) fn has_waiting(&self) -> bool {
        const AT_ONCE: Timespec = Timespec { tv_sec: 0, tv_nsec: 0 };
        let Some(socket) = &self.socket else { return false };
        let mut all = [PollFd::new(socket, PollFlags::IN)];
        retry_on_intr(|| poll(&mut all, Some(&AT_ONCE))).is_ok_and(|ready| ready > 0)
    }
}

/// Where the kernel writes the address of the next peer of a place. It is made of atomics
/// because the kernel writes to it at any time until the accept is complete.
#[derive(Debug)]
pub(super) struct PeerName {
    words: [AtomicU32; WORDS],
    len: AtomicU32,
}

impl PeerName {
    const fn new() -> Self {
        Self { words: [const { AtomicU32::new(0) }; WORDS], len: AtomicU32::new(0) }
    }

    /// Where the kernel writes the address, and its length, which says now how much room there is.
    fn room(&self) -> (*mut AtomicU32, *mut AtomicU32) {
        #[allow(clippy::cast_possible_truncation, reason = "128 bytes")]
        self.len.store(size_of_val(&self.words) as u32, Ordering::Relaxed);
        (self.words.as_ptr().cast_mut(), (&raw const self.len).cast_mut())
    }

    /// The address that the last accept has written.
    fn address(&self) -> Option<SocketAddr> {
        let mut bytes = [0; WORDS * 4];
        for (bytes, word) in bytes.chunks_exact_mut(4).zip(&self.words) {
            bytes.copy_from_slice(&word.load(Ordering::Relaxed).to_ne_bytes());
        }
        parse(bytes.get(..self.len.load(Ordering::Relaxed) as usize)?)
    }
}

/// A `struct sockaddr_in` or `sockaddr_in6`. An IPv4 address in IPv6 form, as a listener on `[::]`
/// is told it, becomes an IPv4 address.
fn parse(name: &[u8]) -> Option<SocketAddr> {
    const INET: u16 = 2;
    const INET6: u16 = 10;
    let (family, rest) = name.split_first_chunk::<2>()?;
    let (port, rest) = rest.split_first_chunk::<2>()?;
    let (family, port) = (u16::from_ne_bytes(*family), u16::from_be_bytes(*port));
    let ip = match family {
        INET => IpAddr::from(Ipv4Addr::from(*rest.first_chunk::<4>()?)),
        INET6 => {
            // The flow label comes first.
            let ip = Ipv6Addr::from(*rest.get(4..)?.first_chunk::<16>()?);
            let scope = u32::from_ne_bytes(*rest.get(20..)?.first_chunk::<4>()?);
            if ip.to_ipv4_mapped().is_none() {
                return Some(std::net::SocketAddrV6::new(ip, port, 0, scope).into());
            }
            ip.to_canonical()
        }
        _ => return None,
    };
    Some(SocketAddr::new(ip, port))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One that has left, or whose accept is cancelled, is no reason to leave others in the queue.
    #[test]
    fn errors_of_one_connection_do_not_end_accepting() {
        let mut ending = Ending { kind: None, is_cancelled: false, left: 9 };
        let passing = [Errno::CONNABORTED, Errno::PROTO, Errno::INTR, Errno::CANCELED];
        let results = passing.map(Err).into_iter().chain([Ok(1), Err(Errno::CONNABORTED)]);
        for (result, left) in results.zip((3..9).rev()) {
            ending.count(result);
            assert_eq!(ending.left, left, "{result:?}");
        }
        ending.count(Err(Errno::MFILE));
        assert_eq!(ending.left, 0);
        ending.count(Ok(1));
        assert_eq!(ending.left, 0);
    }

    fn name(family: u16, port: u16, rest: &[u8]) -> Vec<u8> {
        [&family.to_ne_bytes()[..], &port.to_be_bytes(), rest].concat()
    }

    #[test]
    fn names_of_the_kernel_are_addresses() {
        let v4 = name(2, 80, &[192, 0, 2, 1, 0, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(parse(&v4), Some("192.0.2.1:80".parse().unwrap()));
        let v6 = |ip: &str, scope: u32| {
            let ip = ip.parse::<Ipv6Addr>().unwrap().octets();
            name(10, 443, &[&[9; 4][..], &ip, &scope.to_ne_bytes()].concat())
        };
        assert_eq!(parse(&v6("2001:db8::1", 0)), Some("[2001:db8::1]:443".parse().unwrap()));
        assert_eq!(parse(&v6("fe80::1", 3)), Some("[fe80::1%3]:443".parse().unwrap()));
        assert_eq!(parse(&v6("::ffff:192.0.2.1", 0)), Some("192.0.2.1:443".parse().unwrap()));
        // Whatever is cut short or of another family is none.
        assert_eq!(parse(&name(1, 0, &[0; 20])), None);
        for whole in [&v4[..8], &v6("::1", 0)] {
            (0..whole.len()).for_each(|len| assert_eq!(parse(&whole[..len]), None, "{len}"));
        }
    }
}
