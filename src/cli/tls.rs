//! The certificates that the settings of TLS name.

use corecast::error::Error;
use corecast::server::{Server, ServerHandle};
use corecast::transport::tls::Tls;

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
        let tls = Tls::from_files(cert, key).map_err(Error::Tls)?;
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
