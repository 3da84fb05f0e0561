//! The settings of a running server.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::config::Config;

/// The settings that hold, and what they are compared with when others are to hold.
#[derive(Debug)]
pub(super) struct Holding {
    config: Mutex<Arc<Config>>,
    /// The limit of connections of each loop that was asked for.
    pub(super) asked_connections: u32,
    /// Accepts ask for the addresses of peers.
    pub(super) wants_peers: bool,
    /// Something verifies tokens.
    pub(super) has_authority: bool,
}

impl Holding {
    pub(super) fn new(config: &Arc<Config>, asked_connections: u32, has_authority: bool) -> Self {
        let (wants_peers, config) = (config.wants_peers(), Mutex::new(Arc::clone(config)));
        Self { config, asked_connections, wants_peers, has_authority }
    }

    /// The settings.
    pub(super) fn get(&self) -> Arc<Config> {
        Arc::clone(&self.lock())
    }

    /// The settings, which nobody else replaces meanwhile.
    pub(super) fn lock(&self) -> MutexGuard<'_, Arc<Config>> {
        self.config.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
