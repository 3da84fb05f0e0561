//! Listening sockets that a predecessor has handed over, or a successor may take.

use std::io;
use std::os::fd::OwnedFd;

use rustix::net::{Shutdown, shutdown};

use super::listen::Listening;
use super::unix::SocketFile;

/// Listening sockets of one place.
#[derive(Debug)]
pub(super) struct Handed {
    /// What the settings say, such as `127.0.0.1:0`.
    pub(super) listen: String,
    pub(super) place: Listening,
    pub(super) sockets: Vec<OwnedFd>,
}

/// What a server has ready for a successor.
#[derive(Debug)]
pub(super) struct Ready {
    /// Where successors connect; a duplicate of the socket of the thread.
    pub(super) listener: OwnedFd,
    /// The path of that socket, which is free once this value is dropped.
    #[expect(dead_code, reason = "it is there to be dropped")]
    pub(super) file: SocketFile,
    pub(super) sockets: Vec<Handed>,
}

impl Ready {
    /// Duplicates of all sockets.
    pub(super) fn copies(&self) -> io::Result<Vec<Handed>> {
        let copy = |handed: &Handed| {
            let sockets = handed.sockets.iter().map(OwnedFd::try_clone);
            Ok(Handed {
                listen: handed.listen.clone(),
                place: handed.place.clone(),
                sockets: sockets.collect::<io::Result<_>>()?,
            })
        };
        self.sockets.iter().map(copy).collect()
    }

    /// A server that drains hands nothing over: clients are to be refused.
    pub(super) fn end(self) {
        let _ = shutdown(&self.listener, Shutdown::Both);
    }
}
