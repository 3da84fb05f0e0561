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
pub mod topics;

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use mimalloc::MiMalloc;
use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, ipproto, listen, sockopt};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::net::TcpStream;

#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// The message size limit of every peer, as in corecast by default.
pub const MAX_MESSAGE: usize = 16 << 20;

/// The accept queue of the listener in connections; the system may allow fewer.
const BACKLOG: i32 = 4096;

/// Handles the command line: `--version` prints `NAME x.y.z` of the wrapped library and returns
/// `None`; `--listen ADDR:PORT` returns the listener and prints its address.
pub fn start(library: &str, version: &str) -> io::Result<Option<TcpListener>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let address: SocketAddr = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["--version"] => {
            println!("{library} {version}");
            return Ok(None);
        }
        ["--listen", address] => address.parse().map_err(|_| {
            io::Error::other(format!("{address} is no address; give one such as 127.0.0.1:9001"))
        })?,
        _ => return Err(io::Error::other("usage: --listen ADDR:PORT, or --version")),
    };
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit })?;
    let listener = listener(address).map_err(|error| {
        io::Error::other(format!("cannot listen on {address}: {error}; try port 0"))
    })?;
    println!("listening on {}", listener.local_addr()?);
    Ok(Some(listener))
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
    listener.set_nonblocking(true)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::from_std(listener)?;
        loop {
            match listener.accept().await {
                Ok((stream, _)) => drop(tokio::spawn(connection(stream))),
                Err(error) => {
                    eprintln!("cannot accept: {error}; trying again");
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
            }
        }
    })
}
