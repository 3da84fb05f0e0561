//! The server as a part of the test's own process, for limits that have no flag.

use std::net::SocketAddr;

use corecast::config::Config;
use corecast::echo::Echo;
use corecast::server::{Running, Server};

/// An echo server on one core. Stops when dropped.
pub(crate) struct Embedded(Option<Running>);

impl Embedded {
    pub(crate) fn start(config: Config) -> Self {
        let address = SocketAddr::from(([127, 0, 0, 1], 0));
        let core = corecast::server::allowed_cores()[0];
        let server = Server::new(config).listen(address).cores(vec![core]);
        Self(Some(server.start(|_| Echo).unwrap()))
    }

    pub(crate) fn addr(&self) -> SocketAddr {
        self.0.as_ref().unwrap().addresses()[0]
    }
}

impl Drop for Embedded {
    fn drop(&mut self) {
        if let Some(running) = self.0.take() {
            running.stopper().stop();
            // A panic of a worker shows here as well.
            let stopped = running.join();
            assert!(stopped.is_ok() || std::thread::panicking(), "{stopped:?}");
        }
    }
}
