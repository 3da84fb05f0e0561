//! The traffic secrets of TLS 1.3, as a handshake makes them.
//!
//! rustls hands out the keys of a connection, but not the secrets from which the next keys are
//! made. It keeps these itself, in a state of 800 bytes for each connection. They are 96 bytes,
//! and rustls tells them to a [`KeyLog`] when they are made: here they go to the handshake that is
//! under way on this thread, and nowhere else. That they are the right ones is checked against the
//! keys.

use std::cell::Cell;

use rustls::KeyLog;

use super::keys::Secret;

const CLIENT: &str = "CLIENT_TRAFFIC_SECRET_0";
const SERVER: &str = "SERVER_TRAFFIC_SECRET_0";
const HANDSHAKE: &str = "CLIENT_HANDSHAKE_TRAFFIC_SECRET";

/// The secrets with which what a client and a server send is protected.
#[derive(Default)]
pub(super) struct Secrets {
    pub(super) client: Option<Secret>,
    pub(super) server: Option<Secret>,
    /// With which the client protects the end of its handshake.
    pub(super) handshake: Option<Secret>,
}

impl Secrets {
    /// Takes what was made on this thread since the last call.
    pub(super) fn collect(&mut self) {
        let Self { client, server, handshake } = self;
        for (made, to) in
            [(&CLIENT_MADE, client), (&SERVER_MADE, server), (&HANDSHAKE_MADE, handshake)]
        {
            if let Some(secret) = made.take() {
                // What was taken has left its bytes there.
                made.set(Some(Secret::NONE));
                drop(made.take());
                *to = Some(secret);
            }
        }
    }

    /// Takes those of the connection after the handshake, and overwrites all where they were.
    pub(super) fn take(&mut self) -> Self {
        let (client, server) = (self.client.clone(), self.server.clone());
        let taken = Self { client, server, handshake: None };
        self.wipe();
        taken
    }

    /// Overwrites them where they are.
    pub(super) fn wipe(&mut self) {
        let Self { client, server, handshake } = self;
        [client, server, handshake].into_iter().flatten().for_each(Secret::wipe);
    }
}

thread_local! {
    static CLIENT_MADE: Cell<Option<Secret>> = const { Cell::new(None) };
    static SERVER_MADE: Cell<Option<Secret>> = const { Cell::new(None) };
    static HANDSHAKE_MADE: Cell<Option<Secret>> = const { Cell::new(None) };
}

/// Takes the secrets from rustls.
#[derive(Debug)]
pub(super) struct Collector;

impl KeyLog for Collector {
    fn log(&self, label: &str, _: &[u8], secret: &[u8]) {
        match label {
            CLIENT => CLIENT_MADE.set(Secret::new(secret)),
            SERVER => SERVER_MADE.set(Secret::new(secret)),
            HANDSHAKE => HANDSHAKE_MADE.set(Secret::new(secret)),
            _ => {}
        }
    }

    fn will_log(&self, label: &str) -> bool {
        matches!(label, CLIENT | SERVER | HANDSHAKE)
    }
}
