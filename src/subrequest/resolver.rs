//! The look-up of the name of the backend.
//!
//! The resolver of the HTTP client starts a thread for each request, however many hang. This one
//! needs none for an address, and has one thread for a name: whoever asks waits for it, as long as
//! its time allows.

use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use ureq::Error;
use ureq::config::Config;
use ureq::http::Uri;
use ureq::unversioned::resolver::{ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::NextTimeout;

use super::error::SetupError;

/// Addresses are looked up again after this time.
const FRESH: Duration = Duration::from_secs(5);
/// The most addresses that are tried.
const MOST: usize = 16;

/// Finds the addresses of one host.
#[derive(Debug)]
pub(super) struct OneHost {
    found: Arc<Found>,
}

#[derive(Debug, Default)]
struct Found {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    addresses: Vec<SocketAddr>,
    /// When these were found; `None` for those that always hold.
    at: Option<Instant>,
    /// How many look-ups have ended.
    ended: u64,
    is_wanted: bool,
    is_over: bool,
}

impl OneHost {
    /// Of this host, and this port.
    pub(super) fn new(host: &str, port: u16) -> Result<Self, SetupError> {
        let found = Arc::new(Found::default());
        if let Ok(address) = host.trim_matches(['[', ']']).parse() {
            found.lock().addresses.push(SocketAddr::new(address, port));
        } else {
            let (own, host) = (Arc::clone(&found), host.to_owned());
            let thread = thread::Builder::new().name("corecast-lookup".to_owned());
            let look_up = move || own.look_up(&host, port);
            thread.spawn(look_up).map_err(SetupError::Thread)?;
            found.lock().is_wanted = true;
        }
        Ok(Self { found })
    }

    /// The addresses, or none if they are not found within `limit`.
    fn addresses(&self, limit: Duration) -> Vec<SocketAddr> {
        let mut state = self.found.lock();
        let is_name = state.at.is_some() || state.addresses.is_empty();
        if !is_name || state.at.is_some_and(|at| at.elapsed() < FRESH) {
            return state.addresses.clone();
        }
        let before = state.ended;
        state.is_wanted = true;
        self.found.changed.notify_all();
        let waits = |state: &mut State| state.ended == before;
        let waited = self.found.changed.wait_timeout_while(state, limit, waits);
        let (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        if state.ended == before { Vec::new() } else { state.addresses.clone() }
    }
}

impl Drop for OneHost {
    fn drop(&mut self) {
        self.found.lock().is_over = true;
        self.found.changed.notify_all();
    }
}

impl Found {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks up whenever that is wanted, until nobody can want it any more.
    fn look_up(&self, host: &str, port: u16) {
        loop {
            let waits = |state: &mut State| !state.is_wanted && !state.is_over;
            let waited = self.changed.wait_while(self.lock(), waits);
            if waited.unwrap_or_else(PoisonError::into_inner).is_over {
                return;
            }
            let addresses = (host, port).to_socket_addrs();
            let mut state = self.lock();
            state.addresses = addresses.map_or_else(|_| Vec::new(), |all| all.take(MOST).collect());
            state.at = Some(Instant::now()).filter(|_| !state.addresses.is_empty());
            state.ended += 1;
            state.is_wanted = false;
            drop(state);
            self.changed.notify_all();
        }
    }
}

impl Resolver for OneHost {
    fn resolve(
        &self,
        _: &Uri,
        _: &Config,
        timeout: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, Error> {
        let mut all = self.empty();
        self.addresses(*timeout.after).into_iter().for_each(|address| all.push(address));
        if all.is_empty() { Err(Error::HostNotFound) } else { Ok(all) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_secs(20);

    #[test]
    fn addresses_and_names_are_found() {
        for host in ["127.0.0.1", "[::1]"] {
            let one = OneHost::new(host, 80).unwrap().addresses(Duration::ZERO);
            assert_eq!(one.len(), 1, "{host}");
        }
        let name = OneHost::new("localhost", 8_080).unwrap();
        for _ in 0..2 {
            let found = name.addresses(LIMIT);
            assert!(!found.is_empty(), "no address");
            assert!(found.iter().all(|it| it.ip().is_loopback() && it.port() == 8_080));
        }
        assert_eq!(name.found.lock().ended, 1, "it is looked up once");
        let none = OneHost::new("no-such-host.invalid", 80).unwrap();
        assert!(none.addresses(LIMIT).is_empty());
    }

    #[test]
    fn nobody_waits_longer_than_its_time() {
        let found = Arc::new(Found::default());
        // Nobody looks it up.
        let hanging = OneHost { found };
        assert!(hanging.addresses(Duration::from_millis(10)).is_empty());
    }
}
