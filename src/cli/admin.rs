//! The admin listener that the settings name.

use std::fs;

use corecast::error::Error;
use corecast::server::{Listen, Server};

use super::settings::AdminOptions;

/// Adds the listeners and the token.
pub(super) fn apply(options: &AdminOptions, mut server: Server) -> Result<Server, Error> {
    for listen in options.listen.iter().flat_map(|listens| &listens.places) {
        server = server.listen_on(Listen::admin(listen.clone()));
    }
    let Some(file) = &options.token_file else { return Ok(server) };
    match fs::read_to_string(file) {
        Ok(token) => Ok(server.admin_token(&token)),
        Err(source) => Err(Error::AdminTokenFile { path: file.clone(), source }),
    }
}
