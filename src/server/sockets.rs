//! Opens everything that a server listens on, for all of its loops.

use std::iter;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::time::Instant;

use super::listen::{IN_USE_WAIT, Listen, Listening, Place};
use super::tcp;
use super::unix::{self, SocketFile};
use crate::error::Error;

/// A listening socket of one loop.
#[derive(Debug)]
pub(super) struct Listener {
    pub(super) socket: OwnedFd,
    /// Other loops accept from the same socket. A Unix-domain socket cannot be bound once for each
    /// loop, as SO_REUSEPORT has it.
    pub(super) is_shared: bool,
}

/// Everything that a server listens on.
#[derive(Debug, Default)]
pub(super) struct Bound {
    pub(super) listening: Vec<Listening>,
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
    let mut planned = tcp::plan(&addresses(listen))?.into_iter();
    refuse_twice(listen)?;
    let deadline = Instant::now() + IN_USE_WAIT;
    let loops = iter::repeat_with(Vec::new).take(loops).collect();
    let mut bound = Bound { loops, ..Bound::default() };
    for Listen { place } in listen {
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
        }
    }
    Ok(bound)
}

/// The addresses of TCP among `listen`.
fn addresses(listen: &[Listen]) -> Vec<SocketAddr> {
    let address = |listen: &Listen| match listen.place {
        Place::Tcp(address) => Some(address),
        Place::Unix { .. } => None,
    };
    listen.iter().filter_map(address).collect()
}

/// Refuses a socket file that is given twice, however it is written.
fn refuse_twice(listen: &[Listen]) -> Result<(), Error> {
    let mut paths: Vec<PathBuf> = Vec::new();
    for listen in listen {
        if let Place::Unix { path, .. } = &listen.place {
            let path = unix::canonical(path);
            if paths.contains(&path) {
                return Err(Error::Twice { listen: Listen::unix(path).to_string() });
            }
            paths.push(path);
        }
    }
    Ok(())
}
