//! The backend of the servers under test: io_uring where it can be used, or what
//! `CORECAST_TEST_BACKEND` names (`uring` or `epoll`).

use corecast::config::{Backend, Config};
use corecast::server::Server;

/// The value for `--backend`, if one is chosen.
pub(crate) fn flag() -> Option<String> {
    std::env::var("CORECAST_TEST_BACKEND").ok().filter(|name| !name.is_empty())
}

/// The chosen backend.
pub(crate) fn chosen() -> Backend {
    match flag().as_deref() {
        None => Backend::Auto,
        Some("uring") => Backend::Uring,
        Some("epoll") => Backend::Epoll,
        Some(other) => panic!("CORECAST_TEST_BACKEND={other}: it is uring or epoll"),
    }
}

/// A server of the test's own process on the chosen backend.
pub(crate) fn server(mut config: Config) -> Server {
    config.backend = chosen();
    Server::new(config)
}
