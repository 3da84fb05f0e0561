//! The admin listener that the settings name.

use std::io;

use corecast::base::file;
use corecast::error::Error;
use corecast::server::{Listen, Server, ServerHandle};

use super::settings::AdminOptions;

/// Adds the listeners and the token.
pub(super) fn apply(options: &AdminOptions, mut server: Server) -> Result<Server, Error> {
    for listen in options.listen.iter().flat_map(|listens| &listens.places) {
        server = server.listen_on(Listen::admin(listen.clone()));
    }
    Ok(match token(options)? {
        Some(token) => server.admin_token(&token),
        None => server,
    })
}

/// Has requests give this token.
pub(super) fn replace(token: &str, server: &ServerHandle) {
    match server.replace_admin_token(token) {
        Ok(()) => tracing::info!("the admin token was read again"),
        Err(error) => tracing::error!("the admin token stays as it was: {error}"),
    }
}

/// Reads the file with the token, if there is one.
pub(super) fn token(options: &AdminOptions) -> Result<Option<String>, Error> {
    let Some(path) = &options.token_file else { return Ok(None) };
    let fault = |source| Error::AdminTokenFile { path: path.clone(), source };
    let token = file::read_text(path).map_err(fault)?;
    match Server::check_admin_token(&token) {
        Ok(()) => Ok(Some(token)),
        Err(error) => Err(fault(io::Error::other(error.to_string()))),
    }
}
