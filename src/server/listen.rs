//! What a server is told to listen on, and what it listens on then.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

/// The accept queue of a listener, in connections; the system may allow fewer.
pub(super) const BACKLOG: i32 = 4096;
/// The time for which addresses in use are tried again before that is an error, for all addresses
/// together. The kernel closes the sockets of a process that used io_uring some time after the
/// process has ended: 5 to 30 ms were measured, independent of the number of connections, and more
/// on a busy machine.
pub(super) const IN_USE_WAIT: Duration = Duration::from_secs(1);
/// The first pause between two attempts. It doubles with each attempt, up to `MAX_PAUSE`.
const FIRST_PAUSE: Duration = Duration::from_millis(1);
const MAX_PAUSE: Duration = Duration::from_millis(50);

/// What [`Server::listen_on`](super::Server::listen_on) listens on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listen {
    pub(super) place: Place,
    pub(super) has_tls: bool,
    pub(super) is_proxied: bool,
    pub(super) is_admin: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Tcp(SocketAddr),
    Unix {
        path: PathBuf,
        mode: Option<u32>,
    },
    /// All sockets that systemd has passed, or those of this name.
    Systemd(Option<Box<str>>),
}

impl Listen {
    /// An address of TCP, as [`Server::listen`](super::Server::listen) takes it.
    #[must_use]
    pub const fn tcp(address: SocketAddr) -> Self {
        Self::on(Place::Tcp(address))
    }

    /// A Unix-domain socket with this path, of at most 107 bytes. A socket file of a server that
    /// has ended is replaced; if another program accepts connections there, or the path is no
    /// socket, the start fails. The file is removed when the server ends.
    #[must_use]
    pub fn unix(path: impl Into<PathBuf>) -> Self {
        Self::on(Place::Unix { path: path.into(), mode: None })
    }

    /// The sockets that systemd has passed to the process (sd_listen_fds(3)), of TCP and
    /// Unix-domain: all, or those with this name (`FileDescriptorName=` of the socket unit). They
    /// stay open until the process ends, so connections that come after a drain has begun wait for
    /// a successor.
    #[must_use]
    pub fn systemd(name: Option<&str>) -> Self {
        Self::on(Place::Systemd(name.map(Into::into)))
    }

    const fn on(place: Place) -> Self {
        Self { place, has_tls: false, is_proxied: false, is_admin: false }
    }

    /// Whether it is an address of TCP that other machines may reach. What systemd passes is known
    /// at the start only.
    #[must_use]
    pub fn is_remote(&self) -> bool {
        matches!(self.place, Place::Tcp(address) if !address.ip().to_canonical().is_loopback())
    }

    /// With TLS. Needs [`Server::tls`](super::Server::tls).
    #[cfg(feature = "tls")]
    #[must_use]
    pub fn tls(self) -> Self {
        Self { has_tls: true, ..self }
    }

    /// Each connection has to begin with a header of the PROXY protocol, version 1 or 2, in which a
    /// proxy says for which client it connects; before TLS, if there is any. That address is the
    /// one of the peer then: for the application, for the log and for
    /// [`Config::trusted_proxies`](crate::config::Config::trusted_proxies). Whoever can connect is
    /// believed, so nobody but the proxy should be able to. A connection without such a header is
    /// closed. Where this is not set, a header is refused.
    #[must_use]
    pub fn proxy_protocol(self) -> Self {
        Self { is_proxied: true, ..self }
    }

    /// For those who administrate the server: metrics, health, lists of connections and topics,
    /// and orders to close, publish and drain, as README tells. Nothing else is served there, and
    /// none of this elsewhere. It has to be a loopback address or a Unix-domain socket, unless
    /// [`Server::admin_token`](super::Server::admin_token) is set. With such a listener the
    /// addresses of all clients are known
    /// ([`Config::peer_addresses`](crate::config::Config::peer_addresses)).
    #[must_use]
    pub fn admin(self) -> Self {
        Self { is_admin: true, ..self }
    }

    /// The permissions of the socket file, such as `0o660`; a client needs to be allowed to write.
    /// Without this call the umask of the process decides. Of no effect but on
    /// [`unix`](Self::unix).
    #[must_use]
    pub fn mode(mut self, permissions: u32) -> Self {
        if let Place::Unix { mode, .. } = &mut self.place {
            *mode = Some(permissions & 0o777);
        }
        self
    }
}

/// As in `--listen`: `127.0.0.1:9001`, `unix:/run/corecast.sock`, `systemd:web`.
impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Place::Tcp(address) => address.fmt(f),
            Place::Unix { path, .. } => write!(f, "unix:{}", path.display()),
            Place::Systemd(None) => f.write_str("systemd"),
            Place::Systemd(Some(name)) => write!(f, "systemd:{name}"),
        }
    }
}

/// What a running server listens on.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Listening {
    /// An address of TCP, with its port.
    Tcp(SocketAddr),
    /// A Unix-domain socket. A path that begins with `@` is a name of the abstract namespace, which
    /// only systemd can pass.
    Unix(PathBuf),
}

/// As in the start line: `127.0.0.1:9001`, `unix:/run/corecast.sock`.
impl fmt::Display for Listening {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// The pauses between attempts to bind what is in use.
#[derive(Debug)]
pub(super) struct Pauses {
    next: Duration,
    deadline: Instant,
}

impl Pauses {
    pub(super) const fn until(deadline: Instant) -> Self {
        Self { next: FIRST_PAUSE, deadline }
    }

    /// Sleeps before the next attempt. Returns false, at once, if the time is over.
    pub(super) fn pause(&mut self) -> bool {
        let left = self.deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return false;
        }
        thread::sleep(self.next.min(left));
        self.next = (self.next * 2).min(MAX_PAUSE);
        true
    }
}
