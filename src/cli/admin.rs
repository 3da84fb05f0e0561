//! The flags of the admin listener.

use std::fs;
use std::path::PathBuf;

use clap::Args;
use corecast::error::Error;
use corecast::server::{Listen, Server};

use super::listen::{Listens, parse_listen};

#[derive(Clone, Debug, Args)]
pub(super) struct AdminFlags {
    /// An address for those who administrate the server, in the forms of --listen: metrics for
    /// Prometheus, health, lists of connections and topics, and orders to close, publish and drain.
    /// May be given several times. Without --admin-token-file it has to be on this machine alone.
    #[arg(long, value_name = "ADDR:PORT", value_parser = parse_listen)]
    admin: Vec<Listens>,
    /// A file with the token that requests to --admin have to give, as `Authorization: Bearer`.
    #[arg(long, value_name = "FILE", requires = "admin")]
    admin_token_file: Option<PathBuf>,
}

impl AdminFlags {
    /// Adds the listeners and the token.
    pub(super) fn apply(&self, mut server: Server) -> Result<Server, Error> {
        for listen in self.admin.iter().flat_map(|listens| &listens.0) {
            server = server.listen_on(Listen::admin(listen.clone()));
        }
        let Some(file) = &self.admin_token_file else { return Ok(server) };
        match fs::read_to_string(file) {
            Ok(token) => Ok(server.admin_token(&token)),
            Err(source) => Err(Error::AdminTokenFile { path: file.clone(), source }),
        }
    }
}
