//! Settings that replace those of a running server.

use super::{Config, RouteError};

impl Config {
    /// These settings with those of `next` that can change while a server runs, and the names of
    /// the fields of `next` that differ and cannot. `wants_peers` says that accepts ask for the
    /// addresses of peers.
    ///
    /// # Errors
    /// If the routes cannot follow on those that there are.
    pub(crate) fn followed_by(
        &self,
        next: &Self,
        wants_peers: bool,
    ) -> Result<(Self, Vec<&'static str>), RouteError> {
        let mut config = next.clone();
        config.routes = self.routes.followed_by(&next.routes)?;
        let mut kept = Vec::new();
        macro_rules! keep {
            ($($field:ident).+) => {
                if config.$($field).+ != self.$($field).+ {
                    config.$($field).+ = self.$($field).+.clone();
                    kept.push(stringify!($($field).+));
                }
            };
        }
        keep!(backend);
        keep!(buffers);
        keep!(deflate_level);
        keep!(limits.max_connections);
        keep!(limits.max_connections_per_address);
        keep!(limits.handshake_rate);
        keep!(limits.handshake_burst);
        keep!(pubsub.backlog);
        keep!(pubsub.max_topic);
        keep!(pubsub.max_retained);
        keep!(pubsub.max_retained_bytes);
        if wants_peers {
            config.peer_addresses = self.peer_addresses;
        } else {
            if config.peer_addresses {
                // The lines would have no addresses.
                keep!(access_log);
            }
            keep!(peer_addresses);
            keep!(trusted_proxies);
        }
        Ok((config, kept))
    }

    /// Whether accepts of a server with these settings ask for the addresses of peers: from the
    /// start, or never.
    pub(crate) fn wants_peers(&self) -> bool {
        self.peer_addresses || !self.trusted_proxies.is_empty()
    }
}
