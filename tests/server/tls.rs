//! Goal: TLS works with clients of TLS 1.2 and 1.3, and what does not keep to it ends as it should.
//! Method: a server in this process, or the command where flags and signals matter, on real
//! sockets, with rustls and the `openssl` command as clients.
mod client;
mod command;
mod faults;
mod handshakes;
mod limits;
mod messages;
mod proxied;
mod slow;

use std::net::SocketAddr;

use corecast::app::echo::Echo;
use corecast::config::Config;
use corecast::server::ServerHandle;

use crate::certificates::Pair;

/// A server with one listener without TLS and one with it. Stopped when dropped.
struct Running(ServerHandle);

impl Running {
    fn start(pair: &Pair) -> Self {
        Self::start_with(pair.tls(), Config::default())
    }

    fn start_with(tls: corecast::transport::tls::Tls, config: Config) -> Self {
        Self(Self::server(tls, config).start(|_, _| Echo).unwrap())
    }

    /// On one core, so that the limit of connections is that of one loop.
    fn start_on_one_core(tls: corecast::transport::tls::Tls, config: Config) -> Self {
        let cores = vec![corecast::server::allowed_cores()[0]];
        Self(Self::server(tls, config).cores(cores).start(|_, _| Echo).unwrap())
    }

    fn server(tls: corecast::transport::tls::Tls, config: Config) -> corecast::server::Server {
        let address = SocketAddr::from(([127, 0, 0, 1], 0));
        crate::support::backend::server(config).listen(address).listen_tls(address).tls(tls)
    }

    /// The address of the listener without TLS.
    fn plain(&self) -> SocketAddr {
        self.0.addresses()[0]
    }

    /// The address of the listener with TLS.
    fn tls(&self) -> SocketAddr {
        self.0.addresses()[1]
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.drain();
        let stopped = self.0.join();
        assert!(stopped.is_ok() || std::thread::panicking(), "{stopped:?}");
    }
}
