//! JSON Web Tokens (RFC 7519) and API keys.

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, Validation, decode, decode_header};

use super::access::Authority;
use super::claims::Claims;
use super::credential::{Credential, MAX_TOKEN};
use super::error::TokenError;
use super::keys::Keys;
use super::provider;
use super::verify::{Verify, Verifying};
use crate::base::Work;

/// How far clocks may be apart.
const LEEWAY: Duration = Duration::from_secs(10);
/// Why the header is wrong.
const WRONG_HEADER: &str = "its header is no JSON object, or its alg is none that is known";
/// Why the claims are wrong, of which each has a reason of its own.
const WRONG_CLAIMS: &str = "its claims are no JSON object, or one is there twice";

/// Verifies JSON Web Tokens and API keys. The keys may be replaced at any time.
///
/// A token needs the claims `sub`, the user, and `exp`. `nbf` and `aud` count if they are there;
/// with [`audience`](Self::audience), `aud` has to be. `publish` and `subscribe` are lists of
/// filters; what is not listed is not allowed. In them `{sub}` stands for the user.
pub struct Tokens {
    keys: RwLock<Arc<Keys>>,
    audiences: Vec<String>,
    leeway: Duration,
    cookie: Option<String>,
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { audiences, leeway, cookie, .. } = self;
        let mut debug = f.debug_struct("Tokens");
        debug.field("audiences", audiences).field("leeway", leeway).field("cookie", cookie);
        debug.finish_non_exhaustive()
    }
}

impl Tokens {
    /// With these keys. Installs a provider of cryptography for the crate `jsonwebtoken`, if the
    /// process has none yet.
    #[must_use]
    pub fn new(keys: Keys) -> Self {
        provider::install();
        let keys = RwLock::new(Arc::new(keys));
        Self { keys, audiences: Vec::new(), leeway: LEEWAY, cookie: None }
    }

    /// Accepts tokens for this audience, the claim `aud`, and for others that are given. Without
    /// one a token that has the claim is refused (RFC 7519 section 4.1.3).
    #[must_use]
    pub fn audience(mut self, audience: impl Into<String>) -> Self {
        self.audiences.push(audience.into());
        self
    }

    /// How far the clocks of those who make tokens may be from that of the server: a token is
    /// accepted so long before `nbf` and after `exp`. Default 10 s.
    #[must_use]
    pub const fn leeway(mut self, leeway: Duration) -> Self {
        self.leeway = leeway;
        self
    }

    /// Also takes tokens from the cookie of this name. Browsers send cookies with the requests of
    /// every page: `Config::origins` has to say which pages may connect.
    #[must_use]
    pub fn with_cookie(mut self, name: impl Into<String>) -> Self {
        self.cookie = Some(name.into());
        self
    }

    /// Later tokens and API keys are verified with these keys. What was accepted stays so.
    pub fn replace(&self, keys: Keys) {
        *self.keys.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(keys);
    }

    fn keys(&self) -> Arc<Keys> {
        Arc::clone(&self.keys.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn verify_token(&self, token: &str, cx: &mut Verifying) -> Result<Authority, TokenError> {
        let keys = self.keys();
        if token.len() > MAX_TOKEN {
            return Err(TokenError::TooLong);
        }
        if !keys.has_keys() {
            let why = "API keys are accepted here, in the header X-API-Key, and no tokens.";
            return Err(TokenError::Unsupported(why));
        }
        cx.charge(token.len() as u64 * Work::TOKEN_BYTE);
        let header = decode_header(token).map_err(|error| fault(error.kind(), WRONG_HEADER))?;
        if !keys.know(header.alg) {
            return Err(TokenError::Algorithm);
        }
        let validation = self.validation(header.alg);
        let mut error = TokenError::UnknownKey;
        for key in keys.of(header.alg, header.kid.as_deref()) {
            cx.charge(key.work);
            match decode::<Claims>(token, &key.key, &validation) {
                Ok(token) => {
                    return token.claims.into_authority(cx.now, self.leeway, cx.max_topic);
                }
                // Another key may have made it.
                Err(wrong) => error = fault(wrong.kind(), WRONG_CLAIMS),
            }
            if error != TokenError::Signature {
                break;
            }
        }
        match error {
            TokenError::Audience if self.audiences.is_empty() => Err(TokenError::NoAudience),
            error => Err(error),
        }
    }

    /// What is checked with the signature: the audience. The times are checked after it, because
    /// the crate would ask the clock.
    fn validation(&self, algorithm: Algorithm) -> Validation {
        let mut validation = Validation::new(algorithm);
        validation.validate_exp = false;
        validation.required_spec_claims.clear();
        if !self.audiences.is_empty() {
            validation.set_audience(&self.audiences);
            validation.required_spec_claims.insert("aud".to_owned());
        }
        validation
    }
}

impl Verify for Tokens {
    fn verify(
        &self,
        credential: &Credential<'_>,
        cx: &mut Verifying,
    ) -> Result<Authority, TokenError> {
        match credential {
            Credential::Token(token) => self.verify_token(token, cx),
            Credential::ApiKey(key) if key.len() > MAX_TOKEN => Err(TokenError::ApiKey),
            Credential::ApiKey(key) => self.keys().api.verify(key, cx),
        }
    }

    fn cookie(&self) -> Option<&str> {
        self.cookie.as_deref()
    }

    fn missing(&self) -> TokenError {
        if self.keys().has_keys() { TokenError::Missing } else { TokenError::MissingApiKey }
    }
}

/// What the crate says, for the client. `wrong_json` says what of the JSON that it reads is wrong.
fn fault(kind: &ErrorKind, wrong_json: &'static str) -> TokenError {
    match kind {
        ErrorKind::InvalidSignature => TokenError::Signature,
        ErrorKind::InvalidAlgorithm | ErrorKind::UnsupportedAlgorithm => TokenError::Algorithm,
        ErrorKind::InvalidAudience => TokenError::Audience,
        ErrorKind::MissingRequiredClaim(_) => TokenError::Claim("it has no claim aud".to_owned()),
        ErrorKind::InvalidClaimFormat(_) => TokenError::Claim("its claim aud is malformed".into()),
        ErrorKind::Base64(_) => TokenError::Malformed("a part of it is not base64url"),
        ErrorKind::Json(_) | ErrorKind::Utf8(_) => TokenError::Malformed(wrong_json),
        ErrorKind::InvalidToken => {
            TokenError::Malformed("it has not three parts, or its header demands what is not known")
        }
        _ => TokenError::Signature,
    }
}
