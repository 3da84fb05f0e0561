//! The flags of tokens and API keys, and the files that they name.

use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use clap::Args;
use corecast::authority::{Keys, Tokens};
use corecast::config::Config;
use corecast::error::Error;
use corecast::protocol::websocket::handshake::Origins;
use corecast::server::Server;

use super::values::parse_leeway;

#[derive(Clone, Debug, Args)]
pub(super) struct TokenFlags {
    /// A file with a secret of 32 bytes or more, with which tokens are verified (HS256); may be
    /// given several times. With this or one of the next three, clients of /topics/... and /pubsub
    /// need a token or an API key. SIGHUP has all files read again.
    #[arg(long, value_name = "FILE")]
    token_secret: Vec<PathBuf>,
    /// A file with a public key in PEM, with which tokens are verified: RSA (RS256), P-256 (ES256)
    /// or Ed25519 (EdDSA); may be given several times.
    #[arg(long, value_name = "FILE")]
    token_key: Vec<PathBuf>,
    /// A file with a JSON Web Key Set, whose keys tokens choose by their kid; may be given several
    /// times.
    #[arg(long, value_name = "FILE")]
    token_jwks: Vec<PathBuf>,
    /// A file with API keys for programs, which send them as X-API-Key: lines such as
    /// `name sha256=HASH publish=prices/# subscribe=orders/+`, with the SHA-256 of the key in
    /// hexadecimal; may be given several times.
    #[arg(long, value_name = "FILE")]
    api_keys: Vec<PathBuf>,
    /// Accept tokens for this audience only (the claim aud); may be given several times.
    #[arg(long, value_name = "NAME")]
    token_audience: Vec<String>,
    /// Seconds by which the clock of who makes tokens may differ: 0 to 3600, 10 without the flag.
    #[arg(long, value_name = "SECONDS", value_parser = parse_leeway,
        allow_negative_numbers = true)]
    token_leeway: Option<u64>,
    /// Also take tokens from the cookie of this name. Needs --allow-origin with the origins of your
    /// pages, because browsers send cookies with the requests of every page.
    #[arg(long, value_name = "NAME")]
    token_cookie: Option<String>,
    /// What verifies them, once it is made.
    #[arg(skip)]
    tokens: OnceLock<Arc<Tokens>>,
}

/// Adds the keys of a file.
type Add = fn(Keys, &[u8]) -> Result<Keys, String>;

impl TokenFlags {
    /// Whether tokens or API keys are verified.
    pub(super) fn is_used(&self) -> bool {
        let files = [&self.token_secret, &self.token_key, &self.token_jwks, &self.api_keys];
        files.into_iter().any(|files| !files.is_empty())
    }

    /// Whether the flags fit one another and `config`.
    pub(super) fn check(&self, config: &Config) -> Result<(), Error> {
        let has_details = !self.token_audience.is_empty()
            || self.token_leeway.is_some()
            || self.token_cookie.is_some();
        if has_details && !self.is_used() {
            return Err(Error::Usage(
                "--token-audience, --token-leeway and --token-cookie need --token-secret, \
                 --token-key or --token-jwks",
            ));
        }
        if self.token_cookie.is_some() && config.origins == Origins::Any {
            return Err(Error::Usage(
                "--token-cookie needs --allow-origin with the origins of your pages; otherwise any \
                 page could use the cookies of its visitors",
            ));
        }
        Ok(())
    }

    /// Has tokens verified, if there are keys.
    pub(super) fn apply(&self, server: Server) -> Result<Server, Error> {
        if !self.is_used() {
            return Ok(server);
        }
        let mut tokens = Tokens::new(self.read()?);
        for audience in &self.token_audience {
            tokens = tokens.audience(audience);
        }
        if let Some(seconds) = self.token_leeway {
            tokens = tokens.leeway(Duration::from_secs(seconds));
        }
        if let Some(cookie) = &self.token_cookie {
            tokens = tokens.with_cookie(cookie);
        }
        let tokens = Arc::clone(self.tokens.get_or_init(|| Arc::new(tokens)));
        Ok(server.authority(tokens))
    }

    /// Reads the files.
    fn read(&self) -> Result<Keys, Error> {
        let mut keys = Keys::default();
        let mut last = None;
        let kinds: [(&[PathBuf], Add); 4] = [
            (&self.token_secret, |keys, text| keys.secret(text).map_err(|it| it.to_string())),
            (&self.token_key, |keys, text| keys.public_pem(text).map_err(|it| it.to_string())),
            (&self.token_jwks, |keys, text| keys.jwks(text).map_err(|it| it.to_string())),
            (&self.api_keys, |keys, text| {
                let lines = str::from_utf8(text).map_err(|it| it.to_string())?;
                keys.api_keys(lines).map_err(|it| it.to_string())
            }),
        ];
        for (files, add) in kinds {
            for path in files {
                let fault = |reason: String| Error::Keys { path: path.clone(), reason };
                let text = std::fs::read(path).map_err(|error| fault(error.to_string()))?;
                keys = add(keys, &text).map_err(fault)?;
                last = Some(path);
            }
        }
        match last.filter(|_| keys.is_empty()) {
            Some(path) => {
                Err(Error::Keys { path: path.clone(), reason: "it holds no key".to_owned() })
            }
            None => Ok(keys),
        }
    }

    /// Reads the files again. If that fails, all stays as it is.
    pub(super) fn reload(&self) {
        let Some(tokens) = self.tokens.get() else { return };
        match self.read() {
            Ok(keys) => {
                tokens.replace(keys);
                tracing::info!("the keys of tokens were read again; new tokens need them");
            }
            Err(error) => tracing::error!("the keys of tokens stay as they were: {error}"),
        }
    }
}
