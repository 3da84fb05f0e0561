//! Shared by the compared servers: the command line, the listener, the runtime, and the members of
//! topics. Everything else is the library's.

pub mod drive;
pub mod gather;
pub mod handshake;
#[path = "../../src/pool.rs"]
#[allow(unsafe_code)]
pub mod pool;
#[allow(unsafe_code)]
pub mod relay;
#[path = "../../src/sys.rs"]
#[allow(unsafe_code)]
pub mod sys;
pub mod tls;
pub mod topics;

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use mimalloc::MiMalloc;
use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, ipproto, listen, sockopt};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustls::ServerConfig;
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// The message size limit of every peer, as in corecast by default.
pub const MAX_MESSAGE: usize = 16 << 20;

/// The accept queue of the listener in connections; the system may allow fewer.
const BACKLOG: i32 = 4096;

/// The beginning of a peer.
#[derive(Debug)]
pub struct Start {
    pub listener: TcpListener,
    /// The settings of TLS, if it is asked for.
    pub tls: Option<Arc<ServerConfig>>,
}

/// Handles the command line of a peer without TLS; see [`start_with`].
pub fn start(library: &str, version: &str) -> io::Result<Option<TcpListener>> {
    let Some(start) = start_with(library, version)? else { return Ok(None) };
    match start.tls {
        None => Ok(Some(start.listener)),
        Some(_) => Err(io::Error::other("this peer has no TLS")),
    }
}

/// Handles the command line: `--version` prints `NAME x.y.z` of the wrapped library and returns
/// `None`; `--listen ADDR:PORT` opens the listener and prints its address; with `--tls-cert FILE`
/// and `--tls-key FILE` after it, connections are to use TLS.
pub fn start_with(library: &str, version: &str) -> io::Result<Option<Start>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (address, pair) = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["--version"] => {
            println!("{library} {version}");
            return Ok(None);
        }
        ["--listen", address] => (address, None),
        ["--listen", address, "--tls-cert", certificate, "--tls-key", key] => {
            (address, Some((certificate, key)))
        }
        _ => {
            return Err(io::Error::other(
                "usage: --listen ADDR:PORT [--tls-cert FILE --tls-key FILE], or --version",
            ));
        }
    };
    let address: SocketAddr = address.parse().map_err(|_| {
        io::Error::other(format!("{address} is no address; give one such as 127.0.0.1:9001"))
    })?;
    let tls = pair.map(|(certificate, key)| tls::settings(certificate, key)).transpose()?;
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit })?;
    let listener = listener(address).map_err(|error| {
        io::Error::other(format!("cannot listen on {address}: {error}; try port 0"))
    })?;
    println!("listening on {}", listener.local_addr()?);
    Ok(Some(Start { listener, tls }))
}

fn listener(address: SocketAddr) -> io::Result<TcpListener> {
    let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let (kind, flags) = (SocketType::STREAM, SocketFlags::CLOEXEC);
    let socket = rustix::net::socket_with(family, kind, flags, Some(ipproto::TCP))?;
    sockopt::set_socket_reuseaddr(&socket, true)?;
    // Accepted sockets inherit this option, so it costs no call per connection.
    sockopt::set_tcp_nodelay(&socket, true)?;
    bind(&socket, &address)?;
    listen(&socket, BACKLOG)?;
    Ok(socket.into())
}

/// Runs a peer on tokio, on this thread only: `connection` for each connection.
pub fn serve<F>(library: &str, version: &str, connection: fn(TcpStream) -> F) -> io::Result<()>
where
    F: Future<Output = ()> + Send + 'static,
{
    let Some(listener) = start(library, version)? else { return Ok(()) };
    accept(listener, |stream| drop(tokio::spawn(connection(stream))))
}

/// As [`serve`], for a peer that can use TLS: `secured` for each connection if it is asked for.
pub fn serve_with_tls<F, G>(
    library: &str,
    version: &str,
    connection: fn(TcpStream) -> F,
    secured: fn(TlsStream<TcpStream>) -> G,
) -> io::Result<()>
where
    F: Future<Output = ()> + Send + 'static,
    G: Future<Output = ()> + Send + 'static,
{
    let Some(start) = start_with(library, version)? else { return Ok(()) };
    let Some(settings) = start.tls else {
        return accept(start.listener, |stream| drop(tokio::spawn(connection(stream))));
    };
    let acceptor = TlsAcceptor::from(settings);
    accept(start.listener, |stream| {
        let handshake = acceptor.accept(stream);
        drop(tokio::spawn(async move {
            if let Ok(stream) = handshake.await {
                secured(stream).await;
            }
        }));
    })
}

/// Accepts connections until the process is killed.
fn accept(listener: TcpListener, connection: impl Fn(TcpStream)) -> io::Result<()> {
    listener.set_nonblocking(true)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::from_std(listener)?;
        loop {
            match listener.accept().await {
                Ok((stream, _)) => connection(stream),
                Err(error) => {
                    eprintln!("cannot accept: {error}; trying again");
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
            }
        }
    })
}
