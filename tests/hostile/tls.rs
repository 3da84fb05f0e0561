//! TLS for the attackers: the certificate of the server, and clients that trust any.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use rustls::crypto::{CryptoProvider, SupportedKxGroup, ring};
use rustls::version::TLS13;
use rustls::{ClientConfig, ClientConnection};

use crate::certificates::{Pair, Trusting};
use crate::script::{Over, Secure};

/// More than any record has.
const WHOLE: usize = 1 << 20;

/// A certificate and its key in files, which a server reads when it starts. Removed when dropped.
pub(crate) struct Files([PathBuf; 2]);

impl Files {
    pub(crate) fn new() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let pair = Pair::p256(&["localhost"]);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        Self([("cert", pair.cert), ("key", pair.key)].map(|(kind, pem)| {
            let name = format!("hostile-{}-{number}-{kind}.pem", std::process::id());
            let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
            fs::write(&path, pem).unwrap();
            path
        }))
    }

    /// The flags of a server that also listens with TLS.
    pub(crate) fn flags(&self) -> [String; 3] {
        let [cert, key] = self.0.each_ref().map(|path| path.display());
        let cert = format!("--tls-cert={cert}");
        ["--listen-tls=127.0.0.1:0".to_owned(), cert, format!("--tls-key={key}")]
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        self.0.iter().for_each(|path| drop(fs::remove_file(path)));
    }
}

fn config(groups: Vec<&'static dyn SupportedKxGroup>) -> ClientConfig {
    let provider = CryptoProvider { kx_groups: groups, ..ring::default_provider() };
    let mut config = ClientConfig::builder_with_provider(Arc::new(provider))
        .with_protocol_versions(&[&TLS13])
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Trusting))
        .with_no_client_auth();
    // Each connection costs the server a signature and a key exchange.
    config.resumption = rustls::client::Resumption::disabled();
    config
}

fn secure() -> Secure {
    let config = Arc::new(config(vec![ring::kx_group::X25519]));
    Secure { config, record: WHOLE, updates: false }
}

/// A client of TLS 1.3.
pub(crate) fn client() -> Over {
    Over::Tls(secure())
}

/// The same, which puts each byte in a record of its own.
pub(crate) fn with_tiny_records() -> Over {
    Over::Tls(Secure { record: 1, ..secure() })
}

/// The same, which updates its key before each byte.
pub(crate) fn with_updates() -> Over {
    Over::Tls(Secure { record: 1, updates: true, ..secure() })
}

fn hello_of(config: ClientConfig) -> Vec<u8> {
    let name = "localhost".try_into().unwrap();
    let mut connection = ClientConnection::new(Arc::new(config), name).unwrap();
    let mut hello = Vec::new();
    connection.write_tls(&mut hello).unwrap();
    hello
}

/// A whole first message, as the server answers it with a signature.
pub(crate) fn hello() -> Vec<u8> {
    hello_of(config(vec![ring::kx_group::X25519]))
}

/// The same with a key of the curve P-384, the exchange of which costs the server most.
pub(crate) fn costly_hello() -> Vec<u8> {
    hello_of(config(vec![ring::kx_group::SECP384R1]))
}
