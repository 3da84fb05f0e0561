//! Opens everything that a server listens on, for all of its loops.

use std::io;
use std::iter;
use std::os::fd::OwnedFd;
use std::time::Instant;

use super::listen::{IN_USE_WAIT, Listen, Listening, Place};
use super::offered::Handed;
use super::passed::{self, Passed};
use super::taken::Taken;
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
    /// Whether each of these is for administration.
    pub(super) is_admin: Vec<bool>,
    /// The listeners of each loop, in the order of `listening`.
    pub(super) loops: Vec<Vec<Listener>>,
    pub(super) files: Vec<SocketFile>,
    /// Duplicates of all sockets, if a successor may take them.
    pub(super) kept: Option<Vec<Handed>>,
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

    /// Adds a place with the sockets of a predecessor, each of which has to be accepted from: if
    /// they are not as many as the loops, some of either have several of the other.
    fn add_handed(&mut self, place: &Listening, sockets: &[OwnedFd]) -> Result<(), Error> {
        let (loops, count) = (self.loops.len(), sockets.len());
        let is_shared = !count.is_multiple_of(loops);
        for first in (0..count).step_by(loops) {
            let all = (first..).map(|number| &sockets[number % count]).take(loops);
            let copies = all.map(OwnedFd::try_clone).collect::<Result<Vec<_>, _>>();
            let copies = copies.map_err(Error::Descriptor)?.into_iter();
            self.add(place.clone(), copies.map(|socket| Listener { socket, is_shared }));
        }
        Ok(())
    }

    /// Keeps duplicates for a successor, if there may be one.
    fn keep(&mut self, listen: &Listen, place: &Listening, all: &[OwnedFd]) -> Result<(), Error> {
        let Some(kept) = &mut self.kept else { return Ok(()) };
        let copies = all.iter().map(OwnedFd::try_clone).collect::<Result<_, _>>();
        let sockets = copies.map_err(Error::Descriptor)?;
        kept.push(Handed { listen: listen.to_string(), place: place.clone(), sockets });
        Ok(())
    }

    /// Takes the sockets of a predecessor.
    fn take_over(&mut self, listen: &Listen, handed: &[Handed]) -> Result<(), Error> {
        for Handed { place, sockets, .. } in handed {
            if matches!(place, Listening::Unix(_)) {
                // The predecessor may be of a version that has not done so.
                sockets.iter().for_each(passed::refuse_descriptors);
            }
            if let Listening::Unix(path) = place
                && matches!(listen.place, Place::Unix { .. })
            {
                let fail = |source| Error::ListenUnix { path: path.clone(), source };
                self.files.push(SocketFile::take_over(path).map_err(fail)?);
            }
            self.add_handed(place, sockets)?;
            self.keep(listen, place, sockets)?;
        }
        Ok(())
    }

    /// Opens a place of which no predecessor has sockets.
    fn open(
        &mut self,
        listen: &Listen,
        planned: &mut impl Iterator<Item = Planned>,
        passed: &mut impl Iterator<Item = Vec<Passed>>,
        deadline: Instant,
    ) -> Result<(), Error> {
        match &listen.place {
            Place::Tcp(_) => {
                let Some(planned) = planned.next() else { return Ok(()) };
                let (address, sockets) = planned.bind(self.loops.len(), deadline)?;
                let place = Listening::Tcp(address);
                self.keep(listen, &place, &sockets)?;
                let own = |socket| Listener { socket, is_shared: false };
                self.add(place, sockets.into_iter().map(own));
            }
            Place::Unix { path, mode } => {
                let fail = |source| Error::ListenUnix { path: path.clone(), source };
                let (socket, file) = unix::bind(path, *mode, deadline).map_err(fail)?;
                self.files.push(file);
                let place = Listening::Unix(path.clone());
                let sockets = [socket];
                self.keep(listen, &place, &sockets)?;
                self.add_shared(place, &sockets[0])?;
            }
            Place::Systemd(_) => {
                for Passed { place, socket, .. } in passed.next().unwrap_or_default() {
                    let sockets = [socket];
                    self.keep(listen, &place, &sockets)?;
                    self.add_shared(place, &sockets[0])?;
                }
            }
        }
        Ok(())
    }
}

/// Opens what is asked for, for this number of loops. The sockets in `handed` are those of a
/// predecessor; if it is there, a successor may take all. Returned is besides what the predecessor
/// listens on and this server does not.
pub(super) fn bind(
    listen: &[Listen],
    loops: usize,
    handed: Option<Vec<Handed>>,
) -> Result<(Bound, Vec<Listening>), Error> {
    if listen.is_empty() {
        return Err(Error::Usage("no address to listen on; give one with --listen"));
    }
    let kept = handed.is_some().then(Vec::new);
    let (handed, left) = assign(listen, handed.unwrap_or_default());
    let fresh = listen.iter().zip(&handed).filter(|(_, handed)| handed.is_empty());
    let fresh: Vec<Listen> = fresh.map(|(listen, _)| listen.clone()).collect();
    let passed = passed(&fresh)?;
    let places = passed.iter().flatten().map(|passed| &passed.place);
    let places = places.chain(handed.iter().flatten().map(|handed| &handed.place));
    let mut planned = plan(&fresh, places)?.into_iter();
    let mut passed = passed.into_iter();
    let deadline = Instant::now() + IN_USE_WAIT;
    let loops = iter::repeat_with(Vec::new).take(loops).collect();
    let mut bound = Bound { loops, kept, ..Bound::default() };
    for (listen, handed) in listen.iter().zip(&handed) {
        match handed.as_slice() {
            [] => bound.open(listen, &mut planned, &mut passed, deadline).map_err(in_use)?,
            handed => bound.take_over(listen, handed)?,
        }
        bound.has_tls.resize(bound.listening.len(), listen.has_tls);
        bound.is_proxied.resize(bound.listening.len(), listen.is_proxied);
        bound.is_admin.resize(bound.listening.len(), listen.is_admin);
    }
    warn_unused(&bound.listening);
    Ok((bound, left))
}

/// An address may be in use by a socket that systemd has passed to this very process.
fn in_use(error: Error) -> Error {
    let Error::Listen { address, source } = &error else { return error };
    let is_ours = |passed: &Passed| passed.place == Listening::Tcp(*address);
    match source.kind() {
        io::ErrorKind::AddrInUse if passed::all().iter().any(is_ours) => Error::Passed(format!(
            "{address} is a socket that systemd has passed: write `systemd` in its place, or \
             `systemd,proxy` for `{address},proxy`"
        )),
        _ => error,
    }
}

/// Warns of sockets that systemd has passed and nothing listens on: clients would wait there.
fn warn_unused(listening: &[Listening]) {
    for Passed { place, .. } in passed::all() {
        if !listening.contains(&place) {
            tracing::warn!(
                "systemd has passed the socket {place}, which nobody listens on: write `systemd` \
                 as an address to listen on"
            );
        }
    }
}

/// Whether what listens there is what the settings ask for.
fn is_asked_for(asked: &Place, place: &Listening) -> bool {
    match (asked, place) {
        (Place::Systemd(_), _) => true,
        (Place::Tcp(asked), Listening::Tcp(address)) => {
            asked.ip() == address.ip() && [0, address.port()].contains(&asked.port())
        }
        (Place::Unix { path: asked, .. }, Listening::Unix(path)) => {
            unix::canonical(asked) == unix::canonical(path)
        }
        _ => false,
    }
}

/// What a predecessor has for each of these: its settings call it the same, or that is where it
/// listens. What systemd has passed to it may be several sockets. And where else it listens: on
/// what nobody will, once it has ended.
fn assign(listen: &[Listen], mut handed: Vec<Handed>) -> (Vec<Vec<Handed>>, Vec<Listening>) {
    let of = |listen: &Listen| {
        let name = listen.to_string();
        let most = if matches!(listen.place, Place::Systemd(_)) { usize::MAX } else { 1 };
        let mut found = Vec::new();
        while found.len() < most
            && let Some(at) = handed.iter().position(|handed| {
                let is_named = handed.listen == name || handed.place.to_string() == name;
                is_named && is_asked_for(&listen.place, &handed.place)
            })
        {
            found.push(handed.remove(at));
        }
        found
    };
    let found: Vec<Vec<Handed>> = listen.iter().map(of).collect();
    let is_left = |place: &Listening| !found.iter().flatten().any(|taken| taken.place == *place);
    let left = handed.into_iter().map(|handed| handed.place).filter(is_left).collect();
    (found, left)
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

/// Checks that nothing is given twice, however it is written, also of what is open already, and
/// returns the addresses of TCP that are to be bound.
fn plan<'a>(
    listen: &[Listen],
    open: impl Iterator<Item = &'a Listening>,
) -> Result<Vec<Planned>, Error> {
    let mut taken = Taken::default();
    open.for_each(|place| taken.add_open(place));
    let mut addresses = Vec::new();
    for listen in listen {
        match &listen.place {
            // What is passed is known by now.
            Place::Systemd(_) => continue,
            Place::Tcp(address) => addresses.push(*address),
            Place::Unix { .. } => {}
        }
        if let Some(error) = taken.conflict(listen) {
            return Err(error);
        }
        taken.add(listen);
    }
    Ok(tcp::plan(&addresses))
}
