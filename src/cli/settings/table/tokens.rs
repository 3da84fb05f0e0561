//! Tokens and API keys.

use crate::cli::settings::amount::{Amount, Unit};
use crate::cli::settings::field::{Form, Texts};
use crate::cli::settings::paths::Files;
use crate::cli::settings::setting::Setting;

pub(crate) const SETTINGS: &[Setting] = &[
    Setting {
        name: "token-secret",
        help: "A file with a secret of 32 bytes or more, with which tokens are verified (HS256); \
               may be given several times. It is taken as it is, without a line end behind it. \
               With this, --token-key, --token-jwks or --api-keys, clients of /topics/... and \
               /pubsub need a token or an API key. SIGHUP has all files read again.",
        example: &["/etc/corecast/secret"],
        field: &Files { at: |options| &mut options.tokens.secrets },
    },
    Setting {
        name: "token-key",
        help: "A file with a public key in PEM, with which tokens are verified: RSA (RS256), \
               P-256 (ES256) or Ed25519 (EdDSA); may be given several times.",
        example: &["/etc/corecast/issuer.pem"],
        field: &Files { at: |options| &mut options.tokens.keys },
    },
    Setting {
        name: "token-jwks",
        help: "A file with a JSON Web Key Set, whose keys tokens choose by their kid; may be \
               given several times.",
        example: &["/etc/corecast/jwks.json"],
        field: &Files { at: |options| &mut options.tokens.jwks },
    },
    Setting {
        name: "api-keys",
        help: "A file with API keys for programs, which send them as X-API-Key; may be given \
               several times. Its lines are such as `name sha256=HASH publish=prices/# \
               subscribe=orders/+`, with the SHA-256 of the key in hexadecimal.",
        example: &["/etc/corecast/api-keys"],
        field: &Files { at: |options| &mut options.tokens.api_keys },
    },
    Setting {
        name: "token-audience",
        help: "Accept tokens for this audience only (the claim aud); may be given several times.",
        example: &["corecast"],
        field: &Texts {
            form: Form::List,
            value_name: "NAME",
            parse: |text| match text {
                "" => Err("it is empty; write the name that tokens have in `aud`".to_owned()),
                name => Ok(name.to_owned()),
            },
            set: |options, names| {
                options.tokens.audiences = names;
                Ok(())
            },
            get: |options| options.tokens.audiences.clone(),
        },
    },
    Setting {
        name: "token-leeway",
        help: "Seconds by which the clock of who makes tokens may differ.",
        example: &["30"],
        field: &Amount {
            at: |options| &mut options.tokens.leeway,
            unit: Unit::Seconds,
            range: 0..=3_600,
        },
    },
    Setting {
        name: "token-cookie",
        help: "Also take tokens from the cookie of this name. Needs --allow-origin with the \
               origins of your pages, because browsers send cookies with the requests of every \
               page.",
        example: &["token"],
        field: &Texts {
            form: Form::Text,
            value_name: "NAME",
            parse: cookie_name,
            set: |options, names| {
                options.tokens.cookie = names.into_iter().next().filter(|name| !name.is_empty());
                Ok(())
            },
            get: |options| options.tokens.cookie.iter().cloned().collect(),
        },
    },
];

/// A name that a cookie can have (RFC 6265 section 4.1.1). An empty one is none.
fn cookie_name(text: &str) -> Result<String, String> {
    const SEPARATORS: &[u8] = b"()<>@,;:\\\"/[]?={}";
    let is_plain = |byte: u8| byte.is_ascii_graphic() && !SEPARATORS.contains(&byte);
    match text.chars().find(|c| !u8::try_from(*c).is_ok_and(is_plain)) {
        None => Ok(text.to_owned()),
        Some(c) => Err(format!("no cookie has a `{}` in its name", c.escape_debug())),
    }
}
