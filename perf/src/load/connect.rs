//! Opens WebSocket connections, and checks the responses of the server.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpStream};
use std::os::fd::AsRawFd;
use std::time::Duration;

use corecast::protocol::websocket::handshake::accept_key;
use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, connect, socket_with, sockopt};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::tls::{Connection, Records};
use crate::frames::{self, Offer};

/// The time limit for each step of a handshake.
pub const TIMEOUT: Duration = Duration::from_secs(10);

/// Connections that share one source address: well below half of the 28,232 local ports, which
/// Linux tries first; free ones of the other half are found slowly.
const PER_SOURCE: usize = 10_000;

/// The limit of a response head in bytes.
const MAX_HEAD: usize = 16 << 10;

/// A connection after its handshake.
#[derive(Debug)]
pub struct Opened {
    /// Blocking, without Nagle's algorithm; closing it resets the connection.
    pub stream: TcpStream,
    /// Input received after the response.
    pub rest: Vec<u8>,
    /// The negotiated parameters, if permessage-deflate was offered and accepted.
    pub deflate: Option<Agreed>,
    /// The record layer of a connection with TLS.
    pub(super) records: Option<Records>,
}

impl Opened {
    /// The connection alone.
    pub(super) fn connection(self) -> Connection {
        Connection { stream: self.stream, records: self.records }
    }
}

/// The parameters of permessage-deflate (RFC 7692) that a server accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Agreed {
    /// The server keeps no window between messages.
    pub server_no_takeover: bool,
    /// The client must keep no window between messages.
    pub client_no_takeover: bool,
    pub server_bits: u8,
    pub client_bits: u8,
}

/// Connects to `address`, from `source` if there is one, and upgrades at `path`. `deflate` offers
/// compression as browsers do; the server need not accept.
pub fn open(
    address: SocketAddr,
    path: &str,
    deflate: bool,
    source: Option<Ipv4Addr>,
) -> io::Result<Opened> {
    open_with(address, path, if deflate { Offer::Takeover } else { Offer::Nothing }, source)
}

/// As [`open`], with the given offer.
pub fn open_with(
    address: SocketAddr,
    path: &str,
    offer: Offer,
    source: Option<Ipv4Addr>,
) -> io::Result<Opened> {
    let failed = |what: &str, e: io::Error| {
        let e = if e.kind() == ErrorKind::WouldBlock { ErrorKind::TimedOut.into() } else { e };
        io::Error::new(e.kind(), format!("{what} {address}{path}: {e}"))
    };
    let mut stream = dial(address, source, false).map_err(|e| failed("connecting to", e))?;
    sockopt::set_socket_linger(&stream, Some(Duration::ZERO))?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    let key = random_key();
    let request = frames::request(path, address, &key, offer);
    stream.write_all(request.as_bytes()).map_err(|e| failed("asking", e))?;
    let mut bytes = Vec::new();
    let end = loop {
        let mut part = [0; 2048];
        match stream.read(&mut part) {
            Ok(0) => break bytes.len(),
            Ok(n) => bytes.extend_from_slice(&part[..n]),
            // An earlier ring of this thread may still be in cleanup, which interrupts calls.
            Err(e) if e.kind() == ErrorKind::Interrupted => continue,
            Err(e) => return Err(failed("no whole answer from", e)),
        }
        if let Some(end) = frames::head_end(&bytes) {
            break end;
        }
        if bytes.len() > MAX_HEAD {
            return Err(io::Error::other(format!("the answer for {path} does not end")));
        }
    };
    let rest = bytes.split_off(end);
    let agreed = check_answer(&bytes, path, &key, offer != Offer::Nothing)?;
    stream.set_read_timeout(None)?;
    stream.set_write_timeout(None)?;
    Ok(Opened { stream, rest, deflate: agreed, records: None })
}

/// The source address for connection `n` to `address`: not on loopback, the kernel chooses.
pub fn source(address: SocketAddr, n: usize) -> Option<Ipv4Addr> {
    spread(address, n / PER_SOURCE)
}

/// The `n`-th address of 127.0.0.0/8, from 127.0.0.1 on, for connections to loopback.
pub fn spread(address: SocketAddr, n: usize) -> Option<Ipv4Addr> {
    let SocketAddr::V4(v4) = address else { return None };
    // The last one is the network's broadcast address.
    let host = u32::try_from(n % 0x00ff_fffe).unwrap_or(0) + 1;
    v4.ip().is_loopback().then(|| Ipv4Addr::from(0x7f00_0000 | host))
}

/// A socket that is connected to `address`, or is connecting if it is nonblocking.
pub fn dial(
    address: SocketAddr,
    source: Option<Ipv4Addr>,
    nonblocking: bool,
) -> io::Result<TcpStream> {
    let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let mut flags = SocketFlags::CLOEXEC;
    flags.set(SocketFlags::NONBLOCK, nonblocking);
    let stream = TcpStream::from(socket_with(family, SocketType::STREAM, flags, None)?);
    stream.set_nodelay(true)?;
    if !nonblocking {
        // This timeout also limits `connect`.
        stream.set_write_timeout(Some(TIMEOUT))?;
    }
    if let Some(source) = source {
        port_at_connect(&stream)?;
        bind(&stream, &SocketAddrV4::new(source, 0))?;
    }
    match connect(&stream, &address) {
        Err(rustix::io::Errno::INPROGRESS) if nonblocking => Ok(stream),
        done => done.map(|()| stream).map_err(io::Error::from),
    }
}

/// Lets `connect` choose the port, which knows the other address: so one port can be used for as
/// many connections as there are other addresses.
fn port_at_connect(stream: &TcpStream) -> io::Result<()> {
    let value: libc::c_int = 1;
    let size = libc::socklen_t::try_from(size_of_val(&value)).map_err(io::Error::other)?;
    let (fd, at) = (stream.as_raw_fd(), (&raw const value).cast());
    // SAFETY: `at` points at a live int and `size` is its size; the kernel only reads it.
    let done =
        unsafe { libc::setsockopt(fd, libc::IPPROTO_IP, libc::IP_BIND_ADDRESS_NO_PORT, at, size) };
    if done < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Raises the limit of open files as far as possible, and returns the number of descriptors left
/// for connections.
pub fn room_for_files() -> io::Result<usize> {
    /// For the standard streams, epoll, pipes, and descriptors of libraries.
    const SPARE: u64 = 200;
    let hard = getrlimit(Resource::Nofile).maximum;
    setrlimit(Resource::Nofile, Rlimit { current: hard, maximum: hard })?;
    Ok(usize::try_from(hard.unwrap_or(1 << 20).saturating_sub(SPARE)).unwrap_or(usize::MAX))
}

/// 16 random bytes in base64.
pub fn random_key() -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut key = String::with_capacity(24);
    key.extend((0..21).map(|_| char::from(DIGITS[fastrand::usize(..64)])));
    // The last digit has only two significant bits.
    key.push(char::from(DIGITS[fastrand::usize(..4) << 4]));
    key + "=="
}

/// Checks the head of a response to a request for `path` with `key`, and with an offer of
/// permessage-deflate if `deflate`.
pub fn check_answer(
    head: &[u8],
    path: &str,
    key: &str,
    offered: bool,
) -> io::Result<Option<Agreed>> {
    let head = String::from_utf8_lossy(head);
    let line = head.lines().next().unwrap_or_default();
    let wrong = |what: &str| {
        io::Error::other(format!("the answer to the handshake for {path}, `{line}`, {what}"))
    };
    if !head.ends_with("\r\n\r\n") {
        return Err(wrong("ends too early"));
    }
    if !line.starts_with("HTTP/1.1 101 ") && line != "HTTP/1.1 101" {
        return Err(wrong("is not 101: does the server take WebSocket connections at this path?"));
    }
    let lists = |name, token: &str| {
        let value = frames::field(&head, name).unwrap_or_default();
        value.split(',').any(|part| part.trim().eq_ignore_ascii_case(token))
    };
    if !lists("Upgrade", "websocket") || !lists("Connection", "upgrade") {
        return Err(wrong("lacks `Upgrade: websocket` or `Connection: Upgrade`"));
    }
    let accept = frames::field(&head, "Sec-WebSocket-Accept").unwrap_or_default();
    if accept.as_bytes() != accept_key(key) {
        return Err(wrong(&format!("has the wrong Sec-WebSocket-Accept `{accept}`")));
    }
    if let Some(protocol) = frames::field(&head, "Sec-WebSocket-Protocol") {
        return Err(wrong(&format!("chose a subprotocol, `{protocol}`: none was offered")));
    }
    let all = "Sec-WebSocket-Extensions";
    let lines = head.lines().filter_map(|l| l.split_once(':'));
    let values: Vec<&str> =
        lines.filter(|(n, _)| n.eq_ignore_ascii_case(all)).map(|(_, v)| v.trim()).collect();
    match values.join(", ") {
        none if none.is_empty() => Ok(None),
        value if !offered => Err(wrong(&format!("holds extensions, `{value}`: none was offered"))),
        value => match agreed(&value) {
            Some(agreed) => Ok(Some(agreed)),
            None => Err(wrong(&format!("holds extensions that were not offered, `{value}`"))),
        },
    }
}

/// Parses the one extension that was offered; `None` if it is another or invalid.
fn agreed(value: &str) -> Option<Agreed> {
    let mut parts = value.split(';').map(str::trim);
    if !parts.next()?.eq_ignore_ascii_case("permessage-deflate") {
        return None;
    }
    let (mut server, mut client, mut server_bits, mut client_bits) = (None, None, None, None);
    for part in parts {
        let (name, value) = match part.split_once('=') {
            Some((name, value)) => (name.trim(), Some(value.trim().trim_matches('"'))),
            None => (part, None),
        };
        let bits = || value?.parse().ok().filter(|bits| (8..=15_u8).contains(bits));
        let twice = match name {
            "server_no_context_takeover" if value.is_none() => server.replace(()).is_some(),
            "client_no_context_takeover" if value.is_none() => client.replace(()).is_some(),
            "server_max_window_bits" => server_bits.replace(bits()?).is_some(),
            "client_max_window_bits" => client_bits.replace(bits()?).is_some(),
            _ => return None,
        };
        if twice {
            return None;
        }
    }
    Some(Agreed {
        server_no_takeover: server.is_some(),
        client_no_takeover: client.is_some(),
        server_bits: server_bits.unwrap_or(15),
        client_bits: client_bits.unwrap_or(15),
    })
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::thread;

    use super::*;

    /// The result of `open` with a server that sends `answer` with the right key for `KEY`.
    fn ask(answer: &str, deflate: bool) -> io::Result<Opened> {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let answer = answer.replace('\n', "\r\n");
        let server = thread::spawn(move || {
            let (mut stream, from) = listener.accept().unwrap();
            let (mut head, mut part) = (Vec::new(), [0; 512]);
            while frames::head_end(&head).is_none() {
                let n = stream.read(&mut part).unwrap();
                head.extend_from_slice(&part[..n]);
            }
            let head = String::from_utf8(head).unwrap();
            let key = accept_key(frames::field(&head, "Sec-WebSocket-Key").unwrap());
            let key = String::from_utf8(key.to_vec()).unwrap();
            // In two pieces, so that the head must be assembled.
            let answer = answer.replace("KEY", &key);
            let (one, two) = answer.split_at(answer.len() / 2);
            stream.write_all(one.as_bytes()).unwrap();
            thread::sleep(Duration::from_millis(5));
            stream.write_all(two.as_bytes()).unwrap();
            (head, from)
        });
        let opened = open(address, "/a?b=c", deflate, Some(Ipv4Addr::new(127, 0, 0, 9)));
        let (head, from) = server.join().unwrap();
        assert!(head.starts_with("GET /a?b=c HTTP/1.1\r\n"), "{head}");
        assert_eq!(frames::field(&head, "Host").unwrap(), address.to_string());
        let offer = deflate.then_some("permessage-deflate; client_max_window_bits");
        assert_eq!(frames::field(&head, "Sec-WebSocket-Extensions"), offer);
        assert_eq!(from.ip().to_string(), "127.0.0.9");
        opened
    }

    const GOOD: &str = "HTTP/1.1 101 Switching Protocols\nupgrade: WebSocket\n\
                        Connection: keep-alive, Upgrade\nSec-WebSocket-Accept: KEY\n";

    #[test]
    fn a_good_answer_opens() {
        let opened = ask(&format!("{GOOD}\nmore"), false).unwrap();
        assert_eq!((opened.rest.as_slice(), opened.deflate), (b"more".as_slice(), None));
        assert!(opened.stream.read_timeout().unwrap().is_none());
        assert_eq!(ask(&format!("{GOOD}\n"), true).unwrap().deflate, None);
    }

    #[test]
    fn the_parameters_of_deflate_are_read() {
        let value = "permessage-deflate; server_no_context_takeover; server_max_window_bits=\"9\"";
        let answer = format!("{GOOD}Sec-WebSocket-Extensions: {value}\n\n");
        let want = Agreed {
            server_no_takeover: true,
            client_no_takeover: false,
            server_bits: 9,
            client_bits: 15,
        };
        assert_eq!(ask(&answer, true).unwrap().deflate, Some(want));
        let text = ask(&answer, false).unwrap_err().to_string();
        assert!(text.contains("none was offered"), "{text}");
        for bad in [
            "permessage-deflate; server_max_window_bits=16",
            "permessage-deflate; client_max_window_bits",
            "permessage-deflate; server_no_context_takeover; server_no_context_takeover",
            "permessage-deflate; other",
            "permessage-deflate, permessage-deflate",
            "other",
        ] {
            assert_eq!(agreed(bad), None, "{bad}");
        }
        assert_eq!(agreed("permessage-deflate; client_max_window_bits=8").unwrap().client_bits, 8);
    }

    #[test]
    fn bad_answers_are_refused_by_name() {
        let no_upgrade = GOOD.replace("WebSocket", "h2c");
        let protocol = format!("{GOOD}Sec-WebSocket-Protocol: chat\n\n");
        for (answer, want) in [
            ("HTTP/1.1 404 Not Found\n\n", "/a?b=c, `HTTP/1.1 404 Not Found`, is not 101"),
            ("HTTP/1.1 101 Switching", "ends too early"),
            ("", "ends too early"),
            (&*format!("{no_upgrade}\n"), "lacks `Upgrade"),
            (&*format!("{}\n", GOOD.replace("KEY", "abc")), "wrong Sec-WebSocket-Accept `abc`"),
            (&*protocol, "subprotocol"),
        ] {
            let text = ask(answer, false).unwrap_err().to_string();
            assert!(text.contains(want), "{text}");
        }
    }

    #[test]
    fn nobody_there_is_said_with_the_address() {
        let gone = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let text = open(gone, "/x", false, None).unwrap_err().to_string();
        assert!(text.contains(&format!("connecting to {gone}/x: ")), "{text}");
    }

    #[test]
    fn sources_are_spread_over_loopback_only() {
        let loopback = "127.0.0.1:9001".parse().unwrap();
        let at = |n| source(loopback, n).unwrap().to_string();
        assert_eq!((at(0), at(9_999), at(10_000)), ("127.0.0.1".into(), at(0), "127.0.0.2".into()));
        assert_eq!(spread(loopback, 256).unwrap().to_string(), "127.0.1.1");
        assert_eq!(spread(loopback, 0x00ff_fffd).unwrap().to_string(), "127.255.255.254");
        assert_eq!(spread(loopback, 0x00ff_fffe), spread(loopback, 0));
        assert_eq!(source("10.0.0.1:9001".parse().unwrap(), 0), None);
        assert_eq!(source("[::1]:9001".parse().unwrap(), 0), None);
    }

    #[test]
    fn keys_are_base64_of_16_bytes() {
        let key = random_key();
        assert_eq!(key.len(), 24);
        assert!(key.ends_with("==") && "AQgw".contains(&key[21..22]), "{key}");
        assert_ne!(key, random_key());
    }
}
