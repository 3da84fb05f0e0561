//! Accepting connections, with the addresses of their peers if they are wanted, and its end.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicU32, Ordering};

use io_uring::opcode;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::retry_on_intr;

use super::UringRing;
use super::tag::{Kind, Tag};
use crate::io::{Accepts, Errno, Event};

/// The most connections that wait in the accept queue of a listener (net.core.somaxconn, and the
/// server asks for as many), and some more for those that arrive while these are accepted.
pub(super) const BURST: u32 = 4096 + 512;

/// The words of `struct sockaddr_storage`.
const WORDS: usize = 32;

/// The most connections that are accepted from a listener once it is to be closed. Under a flood
/// there is always one more.
const LAST: u32 = 1024;

/// A listening socket.
#[derive(Debug)]
pub(super) struct Listener {
    /// `None` once it is closed.
    socket: Option<OwnedFd>,
    /// The accept that the kernel has, or that is queued and names the socket.
    armed: Option<Accepts>,
    ending: Option<Ending>,
}

/// The end of accepting on a listener.
#[derive(Debug)]
struct Ending {
    /// How the worker has accepted from it; nothing is told if it did not.
    kind: Option<Accepts>,
    /// The last cancel has come back.
    is_cancelled: bool,
    /// How many may still be accepted.
    left: u32,
}

impl Listener {
    pub(super) const fn new(socket: OwnedFd) -> Self {
        Self { socket: Some(socket), armed: None, ending: None }
    }

    /// Whether a connection waits.
    fn has_waiting(&self) -> bool {
        const AT_ONCE: Timespec = Timespec { tv_sec: 0, tv_nsec: 0 };
        let Some(socket) = &self.socket else { return false };
        let mut all = [PollFd::new(socket, PollFlags::IN)];
        retry_on_intr(|| poll(&mut all, Some(&AT_ONCE))).is_ok_and(|ready| ready > 0)
    }
}

impl UringRing {
    /// Notes that an accept of a listener is submitted, and returns its descriptor.
    pub(super) fn arm(&mut self, listener: usize, kind: Accepts) -> Option<RawFd> {
        let listener = self.listeners.get_mut(listener)?;
        let fd = listener.socket.as_ref()?.as_raw_fd();
        listener.armed = Some(kind);
        Some(fd)
    }

    /// Ends accepting on the listeners but those for which `kept` says true. Each is closed once
    /// the kernel has cancelled its accept, since one that is still queued would find the
    /// descriptor closed, or another file by it; and once nobody waits.
    ///
    /// A connection may have come for which the kernel has woken this accept, which was cancelled
    /// before it has taken the connection. Where others accept from the same socket, as a successor
    /// does, none of them is woken for it, so it would wait until another one comes; where nobody
    /// does, it would be reset.
    pub(super) fn close_listeners(&mut self, kept: &[bool]) {
        for index in 0..self.listeners.len() {
            let listener = &mut self.listeners[index];
            if kept.get(index) != Some(&true)
                && listener.socket.is_some()
                && listener.ending.is_none()
            {
                let kind = listener.armed;
                listener.ending = Some(Ending { kind, is_cancelled: false, left: LAST });
                self.cancel_last_accept(index);
            }
        }
    }

    fn cancel_last_accept(&mut self, listener: usize) {
        let index = u16::try_from(listener).unwrap_or(u16::MAX);
        let entry = opcode::AsyncCancel::new(Tag::plain(Kind::Accept, index).0).build();
        self.push(entry.user_data(Tag::plain(Kind::CloseListener, index).0));
    }

    /// An accept has brought a connection, or has ended. On a listener that is to be closed the end
    /// is told later.
    pub(super) fn accepted(
        &mut self,
        index: usize,
        result: Result<u32, Errno>,
        armed: bool,
    ) -> Option<Event> {
        self.in_use += u32::from(result.is_ok());
        let listener = self.listeners.get_mut(index)?;
        if !armed {
            listener.armed = None;
        }
        let name = self.peer_names.get(index).filter(|_| result.is_ok());
        let peer = name.and_then(|name| name.address());
        let Some(ending) = &mut listener.ending else {
            return Some(Event::Accepted { listener: index, result, armed, peer });
        };
        ending.left = ending.left.saturating_sub(1);
        if result.as_ref().is_err_and(|error| *error != Errno::CANCELED) {
            // It would fail again.
            ending.left = 0;
        }
        let is_over = !armed && ending.is_cancelled;
        let last = if is_over { self.accept_last(index) } else { None };
        if result.is_ok() {
            self.own_events.extend(last);
            return Some(Event::Accepted { listener: index, result, armed: true, peer });
        }
        last
    }

    /// The cancel of an accept has come back; the accept may have ended before, or ends soon.
    pub(super) fn accept_is_cancelled(&mut self, index: usize) -> Option<Event> {
        let listener = self.listeners.get_mut(index)?;
        listener.ending.as_mut()?.is_cancelled = true;
        if listener.armed.is_some() { None } else { self.accept_last(index) }
    }

    /// The kernel has no accept of a listener that is to be closed. Takes another connection if one
    /// waits and has a slot; otherwise closes the socket, and tells the end. An accept that comes
    /// too late, because another loop has taken the connection, is cancelled.
    fn accept_last(&mut self, index: usize) -> Option<Event> {
        let others = u32::try_from(self.listeners.len()).unwrap_or(u32::MAX);
        let has_slot = self.in_use.saturating_add(others) <= self.slots;
        let listener = self.listeners.get_mut(index)?;
        let ending = listener.ending.as_mut()?;
        let (kind, left) = (ending.kind, ending.left);
        if has_slot
            && left > 0
            && let Some(kind) = kind
            && listener.has_waiting()
        {
            if let Some(ending) = &mut listener.ending {
                ending.is_cancelled = false;
            }
            let once = if kind == Accepts::OnceWithPeer { kind } else { Accepts::Once };
            self.push_accept(index, once);
            self.cancel_last_accept(index);
            return None;
        }
        listener.socket = None;
        let end = Err(Errno::CANCELED);
        kind.map(|_| Event::Accepted { listener: index, result: end, armed: false, peer: None })
    }
}

/// Where the kernel writes the address of the next peer of a listener. It is made of atomics
/// because the kernel writes to it at any time until the accept is complete.
#[derive(Debug)]
pub(super) struct PeerName {
    words: [AtomicU32; WORDS],
    len: AtomicU32,
}

impl PeerName {
    pub(super) fn new() -> Box<Self> {
        Box::new(Self { words: [const { AtomicU32::new(0) }; WORDS], len: AtomicU32::new(0) })
    }

    /// Where the kernel writes the address, and its length, which says now how much room there is.
    pub(super) fn room(&self) -> (*mut AtomicU32, *mut AtomicU32) {
        #[allow(clippy::cast_possible_truncation, reason = "128 bytes")]
        self.len.store(size_of_val(&self.words) as u32, Ordering::Relaxed);
        (self.words.as_ptr().cast_mut(), (&raw const self.len).cast_mut())
    }

    /// The address that the last accept has written.
    pub(super) fn address(&self) -> Option<SocketAddr> {
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
