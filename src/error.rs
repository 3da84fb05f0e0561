//! Errors of starting and running a server.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use rustix::io::Errno;

use crate::config::RouteError;
use crate::io::uring::SetupError;
#[cfg(feature = "tls")]
use crate::transport::tls::TlsError;

/// The reason why a server did not start, or stopped. The text says what to do about it.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// io_uring cannot be used on this machine, or not by this process.
    Ring(SetupError),
    /// Listening on an address failed.
    Listen {
        /// The address.
        address: SocketAddr,
        /// The system's error.
        source: io::Error,
    },
    /// Two addresses to listen on are the same, or one covers the other.
    Overlap {
        /// The address that is covered.
        address: SocketAddr,
        /// The address that covers it.
        by: SocketAddr,
    },
    /// Listening on a Unix-domain socket failed.
    ListenUnix {
        /// The path of the socket.
        path: PathBuf,
        /// The system's error; `AddrInUse` if another program listens there, `AlreadyExists` if
        /// something else than a socket is there.
        source: io::Error,
    },
    /// The sockets of a predecessor cannot be taken, or no successor can be waited for.
    HandOver {
        /// The path of the Unix-domain socket.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// Routes that cannot follow on those of a running server. The text says why.
    Routes(RouteError),
    /// The sockets that systemd passes cannot be used. The text says why.
    Passed(String),
    /// What to listen on is given twice.
    Twice {
        /// As it is written for `--listen`.
        listen: String,
    },
    /// A listener for administration can be reached from other machines, and needs a token.
    AdminWithoutToken {
        /// Its address.
        address: SocketAddr,
    },
    /// The file with the token for administration cannot be read.
    AdminTokenFile {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// A listening socket could not be shared by all loops.
    Descriptor(io::Error),
    /// The process may not use a core that was asked for.
    Core {
        /// The core.
        core: usize,
        /// The cores that the process may use.
        allowed: Vec<usize>,
    },
    /// The server is set up or used in a way that cannot work, such as without an address.
    Usage(&'static str),
    /// A certificate or its key cannot be used.
    #[cfg(feature = "tls")]
    Tls(TlsError),
    /// A file with keys of tokens cannot be used.
    Keys {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A thread could not be started.
    Thread(io::Error),
    /// A thread could not be pinned to its core.
    Pin(Errno),
    /// The eventfd with which other threads wake a loop could not be created.
    Waker(Errno),
    /// A loop could not begin to use epoll.
    Epoll(Errno),
    /// A call of io_uring or epoll failed while a loop ran.
    Worker(Errno),
    /// The server's own code or the function that creates the handlers panicked. The whole server
    /// has stopped.
    Panic(String),
    /// The threads of these cores have not ended after the server was told to stop: a callback or
    /// the kernel holds them. They end with the process.
    Hung {
        /// The cores.
        cores: Vec<usize>,
    },
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ring(error) => error.fmt(f),
            Self::Listen { address, source } => fmt_listen(f, *address, source),
            Self::Overlap { address, by } if address == by => {
                write!(f, "the address {address} is given twice; give it once")
            }
            Self::Overlap { address, by } => {
                write!(f, "the address {by} covers {address} as well; give only one of them")
            }
            Self::ListenUnix { path, source } => fmt_listen_unix(f, path, source),
            Self::HandOver { path, source } => fmt_hand_over(f, path, source),
            Self::Routes(error) => error.fmt(f),
            Self::Passed(text) => f.write_str(text),
            Self::Twice { listen } => write!(f, "{listen} is given twice; give it once"),
            Self::AdminWithoutToken { address } => fmt_without_token(f, *address),
            Self::AdminTokenFile { path, source } => {
                write!(f, "the admin token in {} cannot be used: {source}", path.display())
            }
            Self::Descriptor(error) => write!(
                f,
                "a listening socket could not be shared by all loops: {error}; raise the limit of \
                 descriptors with `ulimit -n`"
            ),
            Self::Core { core, allowed } => write!(
                f,
                "core {core} is not available; this process may use {}",
                CoreList(allowed)
            ),
            Self::Usage(text) => f.write_str(text),
            #[cfg(feature = "tls")]
            Self::Tls(error) => write!(f, "TLS: {error}"),
            Self::Keys { path, reason } => write!(f, "{}: {reason}", path.display()),
            Self::Thread(error) if error.kind() == io::ErrorKind::WouldBlock => write!(
                f,
                "a thread could not be started: {error}; raise the limit of processes and threads \
                 with `ulimit -u` or LimitNPROC, or pids.max of the cgroup"
            ),
            Self::Thread(error) if error.kind() == io::ErrorKind::PermissionDenied => write!(
                f,
                "a thread could not be started: {error}; allow the system calls clone and clone3 \
                 in the seccomp profile"
            ),
            Self::Thread(error) => write!(f, "a thread could not be started: {error}"),
            Self::Pin(errno) => write!(
                f,
                "a thread could not be pinned to its core: {errno} from sched_setaffinity; allow \
                 that call in the seccomp profile of the container, or leave out --cores"
            ),
            Self::Waker(errno) => write!(
                f,
                "an eventfd could not be created: {errno}; raise the limit of descriptors with \
                 `ulimit -n`, or allow eventfd2 in the seccomp profile of the container"
            ),
            Self::Epoll(errno) => write!(
                f,
                "epoll cannot be used: {errno}; raise the limit of descriptors with `ulimit -n`, \
                 or allow epoll_create1 and epoll_ctl in the seccomp profile of the container"
            ),
            Self::Worker(errno) => write!(f, "the kernel failed a loop: {errno}"),
            Self::Panic(text) => write!(f, "a thread of the server panicked: {text}"),
            Self::Hung { cores } => write!(
                f,
                "the loops of cores {} have not ended in time: a callback or the kernel holds \
                 their threads",
                CoreList(cores)
            ),
        }
    }
}

/// The text of [`Error::Listen`].
fn fmt_listen(f: &mut fmt::Formatter<'_>, address: SocketAddr, source: &io::Error) -> fmt::Result {
    match source.kind() {
        io::ErrorKind::AddrInUse => write!(
            f,
            "{address} is in use; choose another address or stop the program that listens \
             there (`ss -ltnp 'sport = :{}'` shows it)",
            address.port()
        ),
        io::ErrorKind::PermissionDenied if (1..1024).contains(&address.port()) => {
            write!(f, "{address}: not permitted; ports below 1024 need CAP_NET_BIND_SERVICE")
        }
        io::ErrorKind::PermissionDenied => write!(
            f,
            "{address}: {source}; a security policy refuses to listen there, such as the \
             seccomp profile of a container, SELinux or AppArmor"
        ),
        io::ErrorKind::AddrNotAvailable => {
            write!(f, "{address}: this machine has no such address")
        }
        _ => write!(f, "{address}: {source}"),
    }
}

/// The text of [`Error::HandOver`].
fn fmt_hand_over(f: &mut fmt::Formatter<'_>, path: &Path, source: &io::Error) -> fmt::Result {
    write!(f, "the hand-over at {} failed: ", path.display())?;
    match source.kind() {
        io::ErrorKind::NotFound => f.write_str("there is no such directory; create it"),
        io::ErrorKind::AlreadyExists => f.write_str("the file exists and is no socket"),
        _ => write!(f, "{source}"),
    }
}

/// The text of [`Error::AdminWithoutToken`].
fn fmt_without_token(f: &mut fmt::Formatter<'_>, address: SocketAddr) -> fmt::Result {
    write!(
        f,
        "the admin listener on {address} can be reached from other machines, and has no token; \
         give one with --admin-token-file, or listen on 127.0.0.1, [::1] or a Unix-domain socket"
    )
}

/// The text of [`Error::ListenUnix`].
fn fmt_listen_unix(f: &mut fmt::Formatter<'_>, path: &Path, source: &io::Error) -> fmt::Result {
    write!(f, "unix:{}", path.display())?;
    match source.kind() {
        io::ErrorKind::AddrInUse => f.write_str(
            " is in use; choose another path or stop the program that listens there (`ss -lxp` \
             shows it)",
        ),
        io::ErrorKind::AlreadyExists => {
            f.write_str(": the file exists and is no socket; choose another path or remove it")
        }
        io::ErrorKind::NotFound => f.write_str(": there is no such directory; create it"),
        io::ErrorKind::PermissionDenied => f.write_str(
            ": not permitted; the directory has to be writable for the user of the server, and a \
             socket that is there already as well",
        ),
        _ if source.raw_os_error() == Some(Errno::NAMETOOLONG.raw_os_error()) => {
            f.write_str(": the path is too long; it may have 107 bytes")
        }
        _ => write!(f, ": {source}"),
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Ring(error) => Some(error),
            Self::Listen { source, .. }
            | Self::ListenUnix { source, .. }
            | Self::HandOver { source, .. }
            | Self::AdminTokenFile { source, .. } => Some(source),
            Self::Thread(source) | Self::Descriptor(source) => Some(source),
            Self::Pin(errno) | Self::Waker(errno) | Self::Epoll(errno) | Self::Worker(errno) => {
                Some(errno)
            }
            #[cfg(feature = "tls")]
            Self::Tls(error) => Some(error),
            Self::Overlap { .. } | Self::Core { .. } | Self::Usage(_) | Self::Keys { .. } => None,
            Self::AdminWithoutToken { .. } => None,
            Self::Routes(error) => Some(error),
            Self::Passed(_) | Self::Twice { .. } | Self::Panic(_) | Self::Hung { .. } => None,
        }
    }
}

impl From<SetupError> for Error {
    fn from(error: SetupError) -> Self {
        Self::Ring(error)
    }
}

/// Formats core numbers as a list with ranges: `0,2-3`.
#[derive(Clone, Copy, Debug)]
pub struct CoreList<'a>(pub &'a [usize]);

impl fmt::Display for CoreList<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = self.0;
        while let [first, ..] = *rest {
            let run = rest.iter().zip(first..).take_while(|(core, next)| **core == *next).count();
            match run {
                1 => write!(f, "{first}")?,
                _ => write!(f, "{first}-{}", first + run - 1)?,
            }
            rest = rest.get(run..).unwrap_or_default();
            if !rest.is_empty() {
                f.write_str(",")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn consecutive_cores_are_written_as_ranges() {
        for (cores, text) in
            [(&[0][..], "0"), (&[0, 1], "0-1"), (&[0, 2, 3, 4, 7], "0,2-4,7"), (&[], "")]
        {
            assert_eq!(CoreList(cores).to_string(), text);
        }
    }
}
