//! The certificates that the settings of TLS name.

use corecast::error::Error;
use corecast::server::{Server, ServerHandle};
use corecast::transport::tls::{Tls, TlsError, Validity};

use super::settings::Options;

/// Whether anything listens with TLS.
pub(super) fn is_used(options: &Options) -> bool {
    !options.listen_tls.is_empty()
}

/// Adds the listeners and the certificates.
pub(super) fn apply(options: &Options, mut server: Server) -> Result<Server, Error> {
    if !is_used(options) {
        return Ok(server);
    }
    for listen in options.listen_tls.iter().flat_map(|listens| &listens.places) {
        server = server.listen_on(listen.clone().tls());
    }
    Ok(server.tls(read(options)?))
}

/// Reads the files.
pub(super) fn read(options: &Options) -> Result<Tls, Error> {
    let mut all: Option<Tls> = None;
    for (cert, key) in options.tls_cert.iter().zip(&options.tls_key) {
        let named = |error| match error {
            TlsError::Read { path, error } => {
                let name = if path == *cert { "tls-cert" } else { "tls-key" };
                TlsError::Read { path, error: format!("{error} (a file of `{name}`)") }
            }
            error => error,
        };
        let tls = Tls::from_files(cert, key).map_err(|error| Error::Tls(named(error)))?;
        match tls.validity() {
            Validity::Valid => {}
            Validity::Expired => {
                tracing::warn!(
                    "the certificate in {} has expired: clients refuse it",
                    cert.display()
                );
            }
            Validity::NotYet => tracing::warn!(
                "the certificate in {} is not valid yet: clients refuse it; is the clock right?",
                cert.display()
            ),
        }
        all = Some(match all {
            Some(before) => before.and(tls),
            None => tls,
        });
    }
    all.ok_or(Error::Usage("--listen-tls needs --tls-cert and --tls-key"))
}

/// Has new connections get these certificates.
pub(super) fn replace(tls: &Tls, server: &ServerHandle) {
    match server.reload_tls(tls) {
        Ok(()) => tracing::info!("the certificates were read again; new connections get them"),
        Err(error) => tracing::error!("the certificates stay as they were: {error}"),
    }
}
