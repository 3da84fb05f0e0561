//! The TLS of the tokio peers: rustls with ring, as its authors set it up, and tickets.

use std::io;
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// The settings for a certificate and its key, files in PEM. Sessions are resumed by tickets that
/// the server does not store, as in corecast; without them rustls stores 256 sessions.
pub fn settings(certificate: &str, key: &str) -> io::Result<Arc<ServerConfig>> {
    let unusable = |file: &str, error: &dyn std::fmt::Display| {
        io::Error::other(format!("{file} cannot be used: {error}"))
    };
    let chain = CertificateDer::pem_file_iter(certificate)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| unusable(certificate, &error))?;
    let secret = PrivateKeyDer::from_pem_file(key).map_err(|error| unusable(key, &error))?;
    let mut settings = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?
        .with_no_client_auth()
        .with_single_cert(chain, secret)
        .map_err(|error| unusable(certificate, &error))?;
    settings.alpn_protocols = vec![b"http/1.1".to_vec()];
    settings.ticketer = ring::Ticketer::new().map_err(io::Error::other)?;
    Ok(Arc::new(settings))
}
