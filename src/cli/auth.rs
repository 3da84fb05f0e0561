//! The backend that the settings name.

use std::sync::Arc;

use corecast::authority::Tokens;
use corecast::base::file;
use corecast::error::Error;
use corecast::server::Server;
use corecast::subrequest::{SetupError, Subrequests};

use super::settings::AuthOptions;

/// Has the server ask the backend, if there is one. API keys are verified without it.
pub(super) fn apply(
    options: &AuthOptions,
    keys: Option<&Arc<Tokens>>,
    server: Server,
) -> Result<Server, Error> {
    let Some(url) = &options.url else { return Ok(server) };
    let mut builder = Subrequests::of(url)
        .timeout(options.timeout)
        .cache(options.cache)
        .connections(options.connections);
    if let Some(keys) = keys {
        builder = builder.api_keys(Arc::<Tokens>::clone(keys));
    }
    let mut certificates = Vec::new();
    for path in &options.ca {
        let fault = |reason: String| {
            let reason = format!("{reason} (a file of `auth-ca`)");
            Error::Keys { path: path.clone(), reason }
        };
        let text = file::read(path).map_err(|error| fault(error.to_string()))?;
        // Each is looked at by itself, so that the message names the file.
        Subrequests::check_certificates(&text).map_err(|error| fault(error.to_string()))?;
        certificates.extend_from_slice(&text);
        certificates.push(b'\n');
    }
    if !certificates.is_empty() {
        builder = builder.certificates(&certificates);
    }
    let subrequests = builder.start().map_err(|error| match error {
        SetupError::Thread(error) => Error::Thread(error),
        error => Error::Keys { path: url.into(), reason: error.to_string() },
    })?;
    Ok(server.authority(Arc::new(subrequests)))
}
