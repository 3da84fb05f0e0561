//! Opens everything that a server listens on, for all of its loops.

use std::iter;
use std::os::fd::OwnedFd;
use std::time::Instant;

use super::listen::{IN_USE_WAIT, Listen, Listening, Place};
use super::passed::{self, Passed};
use super::tcp::{self, Planned};
use super::unix::{self, SocketFile};
use crate::error::Error;

/// A listening socket of one loop.
#[derive(Debug)]
pub(super) struct Listener {
    pub(super) socket: OwnedFd,
    /// Other loops accept from the same socket. A Unix-domain socket cannot be bound once for each
    /// loop, as SO_REUSEPORT has it, and one that was passed is bound already.
    pub(super) is_shared: bool,
}

/// Everything that a server listens on.
#[derive(Debug, Default)]
pub(super) struct Bound {
    pub(super) listening: Vec<Listening>,
    /// Whether each of these has TLS.
    pub(super) has_tls: Vec<bool>,
    /// Whether each of these takes headers of the PROXY protocol.
    pub(super) is_proxied: Vec<bool>,
    /// The listeners of each loop, in the order of `listening`.
    pub(super) loops: Vec<Vec<Listener>>,
    pub(super) files: Vec<SocketFile>,
}

impl Bound {
    /// Adds a place with the socket of each loop.
    fn add(&mut self, place: Listening, listeners: impl Iterator<Item = Listener>) {
        self.listening.push(place);
        self.loops.iter_mut().zip(listeners).for_each(|(all, listener)| all.push(listener));
    }

    /// Adds a place with one socket for all loops.
    fn add_shared(&mut self, place: Listening, socket: &OwnedFd) -> Result<(), Error> {
        let copies = iter::repeat_with(|| socket.try_clone()).take(self.loops.len());
        let sockets: Vec<OwnedFd> = copies.collect::<Result<_, _>>().map_err(Error::Descriptor)?;
        let is_shared = self.loops.len() > 1;
        self.add(place, sockets.into_iter().map(|socket| Listener { socket, is_shared }));
        Ok(())
    }
}

/// Opens what is asked for, for this number of loops.
pub(super) fn bind(listen: &[Listen], loops: usize) -> Result<Bound, Error> {
    if listen.is_empty() {
        return Err(Error::Usage("no address to listen on; give one with --listen"));
    }
    let passed = passed(listen)?;
    let mut planned = plan(listen, &passed)?.into_iter();
    let mut passed = passed.into_iter();
    let deadline = Instant::now() + IN_USE_WAIT;
    let loops = iter::repeat_with(Vec::new).take(loops).collect();
    let mut bound = Bound { loops, ..Bound::default() };
    for Listen { place, has_tls, is_proxied } in listen {
        match place {
            Place::Tcp(_) => {
                let Some(planned) = planned.next() else { continue };
                let (address, sockets) = planned.bind(bound.loops.len(), deadline)?;
                let own = |socket| Listener { socket, is_shared: false };
                bound.add(Listening::Tcp(address), sockets.into_iter().map(own));
            }
            Place::Unix { path, mode } => {
                let fail = |source| Error::ListenUnix { path: path.clone(), source };
                let (socket, file) = unix::bind(path, *mode, deadline).map_err(fail)?;
                bound.files.push(file);
                bound.add_shared(Listening::Unix(path.clone()), &socket)?;
            }
            Place::Systemd(_) => {
                for Passed { place, socket, .. } in passed.next().unwrap_or_default() {
                    bound.add_shared(place, &socket)?;
                }
            }
        }
        bound.has_tls.resize(bound.listening.len(), *has_tls);
        bound.is_proxied.resize(bound.listening.len(), *is_proxied);
    }
    Ok(bound)
}

/// The sockets that systemd has passed, for each place that asks for them.
fn passed(listen: &[Listen]) -> Result<Vec<Vec<Passed>>, Error> {
    let mut all: Vec<Vec<Passed>> = Vec::new();
    for listen in listen {
        let Place::Systemd(name) = &listen.place else { continue };
        let sockets = passed::take(name.as_deref()).map_err(Error::Passed)?;
        let is_taken = |one: &Passed| all.iter().flatten().any(|it| it.number == one.number);
        if sockets.iter().any(is_taken) {
            return Err(Error::Twice { listen: listen.to_string() });
        }
        all.push(sockets);
    }
    Ok(all)
}

impl Listen {
    /// Why no server can listen on this beside `earlier`, as far as that is known before it starts:
    /// both are the same, or one covers the other.
    #[must_use]
    pub fn conflict(&self, earlier: &Self) -> Option<Error> {
        match (&earlier.place, &self.place) {
            (Place::Systemd(one), Place::Systemd(other)) => {
                let is_same = one == other || one.is_none() || other.is_none();
                is_same.then(|| Error::Twice { listen: self.to_string() })
            }
            _ => plan(&[earlier.clone(), self.clone()], &[]).err(),
        }
    }
}

/// Checks that nothing is given twice, however it is written, and returns the addresses of TCP that
/// are to be bound.
fn plan(listen: &[Listen], passed: &[Vec<Passed>]) -> Result<Vec<Planned>, Error> {
    let (mut bound, mut paths) = (Vec::new(), Vec::new());
    let mut addresses = Vec::new();
    for passed in passed.iter().flatten() {
        match &passed.place {
            Listening::Tcp(address) => bound.push(*address),
            Listening::Unix(path) => paths.push(unix::canonical(path)),
        }
    }
    for listen in listen {
        match &listen.place {
            Place::Tcp(address) => addresses.push(*address),
            Place::Unix { path, .. } => {
                let path = unix::canonical(path);
                if paths.contains(&path) {
                    return Err(Error::Twice { listen: Listen::unix(path).to_string() });
                }
                paths.push(path);
            }
            Place::Systemd(_) => {}
        }
    }
    tcp::plan(&addresses, &bound)
}
