//! The flags of TLS, and the certificates that they name.

use std::path::PathBuf;

use clap::Args;
use corecast::error::Error;
use corecast::server::{Server, ServerHandle};
use corecast::transport::tls::Tls;

use super::listen::{Listens, parse_listen};

#[derive(Clone, Debug, Args)]
pub(super) struct TlsFlags {
    /// An address to listen on with TLS (wss:// and https://), in the forms of --listen; may be
    /// given several times. Needs --tls-cert and --tls-key. Without --listen there is no listener
    /// without TLS then.
    #[arg(long, value_name = "ADDR:PORT", value_parser = parse_listen)]
    #[arg(requires = "tls_cert")]
    listen_tls: Vec<Listens>,
    /// A file with a certificate and those that lead to its root, in PEM; may be given several
    /// times, each with its --tls-key in the same order. The first one is the default, others are
    /// used for clients that ask for their names (SNI). SIGHUP has all files read again, for new
    /// connections.
    #[arg(long, value_name = "FILE", requires = "listen_tls")]
    tls_cert: Vec<PathBuf>,
    /// A file with the private key of a certificate, in PEM.
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    tls_key: Vec<PathBuf>,
}

impl TlsFlags {
    /// Whether anything listens with TLS.
    pub(super) fn is_used(&self) -> bool {
        !self.listen_tls.is_empty()
    }

    /// Adds the listeners and the certificates.
    pub(super) fn apply(&self, mut server: Server) -> Result<Server, Error> {
        if !self.is_used() {
            return Ok(server);
        }
        for listen in self.listen_tls.iter().flat_map(|listens| &listens.0) {
            server = server.listen_on(listen.clone().tls());
        }
        Ok(server.tls(self.read()?))
    }

    /// Reads the files.
    fn read(&self) -> Result<Tls, Error> {
        if self.tls_cert.len() != self.tls_key.len() {
            return Err(Error::Usage("give one --tls-key for each --tls-cert, in the same order"));
        }
        let mut all: Option<Tls> = None;
        for (cert, key) in self.tls_cert.iter().zip(&self.tls_key) {
            let tls = Tls::from_files(cert, key).map_err(Error::Tls)?;
            all = Some(match all {
                Some(before) => before.and(tls),
                None => tls,
            });
        }
        all.ok_or(Error::Usage("--listen-tls needs --tls-cert and --tls-key"))
    }

    /// Reads the files again. If that fails, all stays as it is.
    pub(super) fn reload(&self, server: &ServerHandle) {
        match self.read().and_then(|tls| server.reload_tls(&tls)) {
            Ok(()) => tracing::info!("the certificates were read again; new connections get them"),
            Err(error) => tracing::error!("the certificates stay as they were: {error}"),
        }
    }
}
