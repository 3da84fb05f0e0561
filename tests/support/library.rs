//! The server in the test's own process, for limits that have no flag.

use std::net::SocketAddr;

use corecast::app::Handler;
use corecast::app::Publisher;
use corecast::app::echo::Echo;
use corecast::config::Config;
use corecast::server::ServerHandle;
use corecast::worker::Stats;

use super::backend;

/// A server that echoes and serves topics. Stops when dropped.
pub(crate) struct Embedded(Option<ServerHandle>);

impl Embedded {
    pub(crate) fn start(config: Config) -> Self {
        Self::start_on(config, 1)
    }

    /// The same on the given number of cores, or on all if there are fewer.
    pub(crate) fn start_on(config: Config, cores: usize) -> Self {
        let address = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut allowed = corecast::server::allowed_cores();
        allowed.truncate(cores);
        let server = backend::server(config).listen(address).cores(allowed);
        Self(Some(server.start(|_, _| Echo).unwrap()))
    }

    /// On one core, with a second listener that has TLS.
    #[cfg(feature = "tls")]
    pub(crate) fn start_tls(config: Config, tls: corecast::transport::tls::Tls) -> Self {
        let address = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut allowed = corecast::server::allowed_cores();
        allowed.truncate(1);
        let server = backend::server(config).listen(address).listen_tls(address).tls(tls);
        Self(Some(server.cores(allowed).start(|_, _| Echo).unwrap()))
    }

    /// With a handler of the test.
    pub(crate) fn start_with<H: Handler + 'static>(
        config: Config,
        make: impl Fn(usize, &ServerHandle) -> H + Send + Sync + 'static,
    ) -> Self {
        let address = SocketAddr::from(([127, 0, 0, 1], 0));
        Self(Some(backend::server(config).listen(address).start(make).unwrap()))
    }

    /// The same on one core with the given number of loops.
    pub(crate) fn start_loops(config: Config, loops: usize) -> Self {
        let address = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut allowed = corecast::server::allowed_cores();
        allowed.truncate(1);
        let server = backend::server(config).listen(address).cores(allowed).loops_per_core(loops);
        Self(Some(server.start(|_, _| Echo).unwrap()))
    }

    /// A publisher; each call returns that of another loop.
    pub(crate) fn publisher(&self) -> Publisher {
        self.0.as_ref().unwrap().publisher()
    }

    /// The handle of the server.
    pub(crate) fn handle(&self) -> &ServerHandle {
        self.0.as_ref().unwrap()
    }

    /// Stops the server; returns the counters of each core.
    pub(crate) fn stop(mut self) -> Vec<Stats> {
        let running = self.0.take().unwrap();
        running.drain();
        running.join().unwrap()
    }

    pub(crate) fn addr(&self) -> SocketAddr {
        self.0.as_ref().unwrap().addresses()[0]
    }
}

impl Drop for Embedded {
    fn drop(&mut self) {
        if let Some(running) = self.0.take() {
            running.drain();
            // A panic of a worker is reported here as well.
            let stopped = running.join();
            assert!(stopped.is_ok() || std::thread::panicking(), "{stopped:?}");
        }
    }
}
