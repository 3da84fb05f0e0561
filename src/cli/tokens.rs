//! The keys that the settings of tokens name.

use std::path::PathBuf;
use std::sync::Arc;

use corecast::authority::{Keys, Tokens};
use corecast::base::file;
use corecast::error::Error;
use corecast::server::Server;

use super::settings::{Options, TokenOptions};

/// What adds the keys of a file.
type Add = fn(Keys, &[u8]) -> Result<Keys, String>;

/// What verifies tokens and API keys, if there are any keys.
pub(super) fn read(options: &Options) -> Result<Option<Arc<Tokens>>, Error> {
    let options = &options.tokens;
    if !options.is_used() {
        return Ok(None);
    }
    let (keys, last) = keys(options)?;
    if let Some(path) = last.filter(|_| keys.is_empty()) {
        return Err(Error::Keys { path: path.clone(), reason: "it holds no key".to_owned() });
    }
    let mut tokens = Tokens::new(keys).leeway(options.leeway);
    for audience in &options.audiences {
        tokens = tokens.audience(audience);
    }
    if let Some(cookie) = &options.cookie {
        tokens = tokens.with_cookie(cookie);
    }
    Ok(Some(Arc::new(tokens)))
}

/// Has the server verify them.
pub(super) fn apply(tokens: Option<&Arc<Tokens>>, server: Server) -> Server {
    match tokens {
        Some(tokens) => server.authority(Arc::<Tokens>::clone(tokens)),
        None => server,
    }
}

/// Reads the files again. There may be no key any more: then the last one was revoked, and nobody
/// is let in.
pub(super) fn read_again(options: &Options) -> Result<Keys, Error> {
    keys(&options.tokens).map(|(keys, _)| keys)
}

/// Has these keys hold.
pub(super) fn replace(tokens: &Tokens, keys: Keys) {
    if keys.is_empty() {
        tracing::warn!("there is no key any more: who needs a token or an API key is refused");
    }
    tokens.replace(keys);
    tracing::info!("the keys of tokens were read again; new tokens need them");
}

/// Reads the files. Returns the last one as well.
fn keys(options: &TokenOptions) -> Result<(Keys, Option<&PathBuf>), Error> {
    let mut keys = Keys::default();
    let mut last = None;
    let kinds: [(&str, &[PathBuf], Add); 4] = [
        ("token-secret", &options.secrets, |keys, text| {
            keys.secret(text).map_err(|it| it.to_string())
        }),
        ("token-key", &options.keys, |keys, text| {
            keys.public_pem(text).map_err(|it| it.to_string())
        }),
        ("token-jwks", &options.jwks, |keys, text| keys.jwks(text).map_err(|it| it.to_string())),
        ("api-keys", &options.api_keys, |keys, text| {
            let lines = str::from_utf8(text).map_err(|_| "it is not text in UTF-8".to_owned())?;
            keys.api_keys(lines).map_err(|it| it.to_string())
        }),
    ];
    for (name, files, add) in kinds {
        for path in files {
            let fault = |reason: String| {
                let reason = format!("{reason} (a file of `{name}`)");
                Error::Keys { path: path.clone(), reason }
            };
            let text = file::read(path).map_err(|error| fault(error.to_string()))?;
            keys = add(keys, &text).map_err(fault)?;
            last = Some(path);
        }
    }
    Ok((keys, last))
}
