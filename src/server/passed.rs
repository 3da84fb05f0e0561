//! Sockets that systemd passes to the process (sd_listen_fds(3)), and descriptors that peers may
//! not pass.
#![allow(
    unsafe_code,
    reason = "descriptors that are known by their numbers, and an option without a safe wrapper"
)]

use std::env;
use std::ffi::OsStr;
use std::fmt;
use std::io;
use std::iter;
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::process;
use std::sync::Once;

use rustix::io::{FdFlags, fcntl_setfd};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketType, getsockname, sockopt};

use super::listen::Listening;

/// The number of the first descriptor that is passed.
const FIRST: RawFd = 3;

/// A listening socket that was passed.
#[derive(Debug)]
pub(super) struct Passed {
    /// The number of its descriptor, which tells it from the others.
    pub(super) number: RawFd,
    pub(super) place: Listening,
    pub(super) socket: OwnedFd,
}

/// All sockets that were passed to this process, if there are any that can be used.
pub(super) fn all() -> Vec<Passed> {
    take(None).unwrap_or_default()
}

/// The variables with which sockets are passed, as far as they concern this process.
#[derive(Debug, Default, PartialEq, Eq)]
struct Variables {
    pid: Option<String>,
    count: Option<String>,
    names: Option<String>,
}

/// The sockets that were passed: all, or those with this name. An error is a text for the user.
pub(super) fn take(name: Option<&str>) -> Result<Vec<Passed>, String> {
    let read = |name| env::var_os(name).map(|value| value.to_string_lossy().into_owned());
    let variables = Variables {
        pid: read("LISTEN_PID"),
        count: read("LISTEN_FDS"),
        names: read("LISTEN_FDNAMES"),
    };
    numbers(&variables, process::id(), name)?.into_iter().map(open).collect()
}

/// The numbers of the descriptors that were passed to the process `own`, with their names.
fn numbers(
    variables: &Variables,
    own: u32,
    name: Option<&str>,
) -> Result<Vec<(RawFd, String)>, String> {
    let Some(count) = &variables.count else {
        return Err("no socket was passed: LISTEN_FDS is not set; let a socket unit of systemd \
                    start the server"
            .to_owned());
    };
    let pid = variables.pid.as_deref().unwrap_or_default();
    if pid.parse() != Ok(own) {
        return Err(format!(
            "the sockets were passed to another process: LISTEN_PID is `{pid}`, and this is {own}"
        ));
    }
    let Some(count) = count.parse().ok().filter(|count| (1..=MAX).contains(count)) else {
        return Err(format!("no socket was passed: LISTEN_FDS is `{count}`"));
    };
    let names = variables.names.as_deref().unwrap_or_default();
    let names = names.split(':').chain(iter::repeat(""));
    // Without a name of its own, a socket has this one.
    let named = |name: &str| if name.is_empty() { "unknown".to_owned() } else { name.to_owned() };
    let mut all: Vec<(RawFd, String)> = (FIRST..).zip(names.map(named)).take(count).collect();
    let Some(name) = name else { return Ok(all) };
    let known: Vec<String> = all.iter().map(|(_, known)| format!("`{known}`")).collect();
    all.retain(|(_, known)| known == name);
    if all.is_empty() {
        return Err(format!("no passed socket is named `{name}`; there is {}", known.join(", ")));
    }
    Ok(all)
}

/// The most sockets that are taken.
const MAX: usize = 1024;

/// A descriptor of our own for one that was passed. That one stays open, so that connections wait
/// for a successor that is started with the same socket.
fn open((number, name): (RawFd, String)) -> Result<Passed, String> {
    let bad = |what: &dyn fmt::Display| format!("the socket `{name}` (descriptor {number}) {what}");
    // SAFETY: the number was passed to this process, which neither closes it nor uses it otherwise.
    // If it is not open, the kernel says so to the call below, before anything else is done.
    let passed = unsafe { BorrowedFd::borrow_raw(number) };
    let failed = |error: &dyn fmt::Display| bad(&format!("cannot be used: {error}"));
    fcntl_setfd(passed, FdFlags::CLOEXEC).map_err(|errno| failed(&errno))?;
    let socket = passed.try_clone_to_owned().map_err(|error| failed(&error))?;
    if !listens(&socket) {
        return Err(bad(&"is no listening stream socket; use ListenStream= and Accept=no"));
    }
    let place = place(&socket).ok_or_else(|| bad(&"is neither TCP nor a Unix-domain socket"))?;
    match place {
        // Accepted sockets inherit this option.
        Listening::Tcp(_) => {
            sockopt::set_tcp_nodelay(&socket, true).map_err(|errno| failed(&errno))?;
        }
        Listening::Unix(_) => refuse_descriptors(&socket),
    }
    Ok(Passed { number, place, socket })
}

/// `SO_PASSRIGHTS`, since Linux 6.16.
const SO_PASSRIGHTS: libc::c_int = 83;

/// Has the peers of a listening Unix-domain socket get EPERM for a message with descriptors. A
/// receive has no room for them, so the thread that receives would close them, and to close a
/// socket that lingers may take as long as the peer likes. Sockets inherit this when they are
/// connected to. If the kernel cannot do it, that is logged once.
pub(super) fn refuse_descriptors(socket: &OwnedFd) {
    static SAID: Once = Once::new();
    let off: libc::c_int = 0;
    #[allow(clippy::cast_possible_truncation, reason = "4")]
    let len = size_of_val(&off) as libc::socklen_t;
    let (fd, value) = (socket.as_raw_fd(), (&raw const off).cast());
    // SAFETY: the descriptor is open; the kernel reads `len` bytes of `off`, which outlives the
    // call.
    let result = unsafe { libc::setsockopt(fd, libc::SOL_SOCKET, SO_PASSRIGHTS, value, len) };
    if result != 0 {
        let error = io::Error::last_os_error();
        SAID.call_once(|| {
            tracing::info!(
                "peers of Unix-domain sockets can pass descriptors, and with them hold up a loop; \
                 let only trusted ones connect, or use Linux 6.16: {error}"
            );
        });
    }
}

/// Whether it is a stream socket that listens.
pub(super) fn listens(socket: &OwnedFd) -> bool {
    let is_stream = sockopt::socket_type(socket) == Ok(SocketType::STREAM);
    is_stream && sockopt::socket_acceptconn(socket) == Ok(true)
}

/// What a socket listens on; `None` if it is of another family.
pub(super) fn place(socket: &OwnedFd) -> Option<Listening> {
    let name = getsockname(socket).ok()?;
    if sockopt::socket_domain(socket) != Ok(AddressFamily::UNIX) {
        return SocketAddr::try_from(name).ok().map(Listening::Tcp);
    }
    let name = SocketAddrUnix::try_from(name).ok()?;
    let path = match (name.abstract_name(), name.path()) {
        (Some(name), _) => [b"@", name].concat(),
        (None, path) => path.map(|path| path.to_bytes().to_vec()).unwrap_or_default(),
    };
    Some(Listening::Unix(PathBuf::from(OsStr::from_bytes(&path))))
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWN: u32 = 42;

    fn variables(pid: &str, count: &str, names: &str) -> Variables {
        let set = |text: &str| Some(text.to_owned()).filter(|text| text != "-");
        Variables { pid: set(pid), count: set(count), names: set(names) }
    }

    #[test]
    fn descriptors_are_counted_from_3_and_have_names() {
        for (names, name, expected) in [
            ("-", None, &[(3, "unknown"), (4, "unknown")][..]),
            ("web:admin", None, &[(3, "web"), (4, "admin")]),
            ("web", None, &[(3, "web"), (4, "unknown")]),
            ("web:admin", Some("admin"), &[(4, "admin")]),
            ("web:web", Some("web"), &[(3, "web"), (4, "web")]),
            ("web:admin:third", None, &[(3, "web"), (4, "admin")]),
        ] {
            let found = numbers(&variables("42", "2", names), OWN, name).unwrap();
            let found: Vec<_> = found.iter().map(|(at, name)| (*at, name.as_str())).collect();
            assert_eq!(found, expected, "{names}, {name:?}");
        }
    }

    #[test]
    fn errors_name_what_is_wrong() {
        for (pid, count, names, parts) in [
            ("42", "-", "-", ["LISTEN_FDS", "not set"]),
            ("41", "1", "-", ["LISTEN_PID is `41`", "this is 42"]),
            ("-", "1", "-", ["LISTEN_PID is ``", "this is 42"]),
            ("42", "0", "-", ["LISTEN_FDS is `0`", "no socket"]),
            ("42", "x", "-", ["LISTEN_FDS is `x`", "no socket"]),
            ("42", "-1", "-", ["LISTEN_FDS is `-1`", "no socket"]),
            ("42", "99999999999", "-", ["LISTEN_FDS is `99999999999`", "no socket"]),
            ("42", "2", "a:b", ["named `web`", "`a`, `b`"]),
        ] {
            let error = numbers(&variables(pid, count, names), OWN, Some("web")).unwrap_err();
            assert!(parts.iter().all(|part| error.contains(part)), "{parts:?}: {error}");
        }
    }

    #[test]
    fn a_descriptor_that_is_not_open_is_named() {
        let error = open((1_000_000, "web".to_owned())).unwrap_err();
        assert!(error.contains("`web` (descriptor 1000000) cannot be used"), "{error}");
    }
}
