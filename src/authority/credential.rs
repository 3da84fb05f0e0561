//! Where a request has its token.

use std::borrow::Cow;
use std::fmt;

use super::error::TokenError;
use crate::protocol::websocket::handshake::Request;

/// The most bytes of a token or an API key.
pub const MAX_TOKEN: usize = 8 << 10;
/// How the subprotocol that carries a token begins.
const BEARER: &str = "bearer.";
const API_KEY: &str = "x-api-key";

/// What a client has shown.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Credential<'a> {
    /// A bearer token (RFC 6750).
    Token(Cow<'a, str>),
    /// A key in the header `X-API-Key`.
    ApiKey(&'a str),
}

/// Without the secret, which must not come into a log.
impl fmt::Debug for Credential<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Token(_) => "Token(..)",
            Self::ApiKey(_) => "ApiKey(..)",
        })
    }
}

/// Whether a subprotocol carries a token.
pub(crate) fn is_bearer(protocol: &str) -> bool {
    protocol.starts_with(BEARER)
}

/// What a request shows: in the header `Authorization` with the scheme `Bearer`, the parameter
/// `access_token`, a subprotocol that begins with `bearer.`, the cookie of this name, or the header
/// `X-API-Key`.
///
/// # Errors
/// [`TokenError::Several`] if it shows several that differ: then nobody could say which of them
/// counts.
pub fn find_credential<'r>(
    request: &Request<'r>,
    cookie: Option<&str>,
) -> Result<Option<Credential<'r>>, TokenError> {
    let mut found: Option<Credential<'r>> = None;
    let mut add = |one: Credential<'r>| match found.replace(one) {
        Some(before) if found.as_ref() != Some(&before) => Err(TokenError::Several),
        _ => Ok(()),
    };
    for (name, value) in request.headers() {
        let text = || str::from_utf8(value).map_err(|_| TokenError::Malformed("it is not ASCII"));
        if name.eq_ignore_ascii_case("authorization") {
            if let Some(token) = bearer(text()?) {
                add(Credential::Token(token.into()))?;
            }
        } else if name.eq_ignore_ascii_case(API_KEY) {
            add(Credential::ApiKey(text()?))?;
        }
    }
    for (_, token) in request.query_pairs().filter(|(name, _)| name == "access_token") {
        add(Credential::Token(token))?;
    }
    for token in request.subprotocols().filter_map(|name| name.strip_prefix(BEARER)) {
        add(Credential::Token(token.into()))?;
    }
    if let Some(cookie) = cookie {
        for (_, token) in request.cookies().filter(|(name, _)| *name == cookie) {
            add(Credential::Token(token.into()))?;
        }
    }
    Ok(found)
}

/// The token of a header with the scheme `Bearer`, whose name has no case (RFC 9110 section 11.1).
/// Other schemes are for others, such as a proxy.
fn bearer(value: &str) -> Option<&str> {
    let (scheme, token) = value.split_once(' ').unwrap_or((value, ""));
    scheme.eq_ignore_ascii_case("bearer").then_some(token.trim_ascii())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::http::HeadLimits;
    use crate::protocol::websocket::handshake::{Parsed, parse};

    fn found(target: &str, headers: &str) -> Result<Option<String>, TokenError> {
        let head = format!(
            "GET {target} HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\
             {headers}\r\n"
        );
        let Ok(Parsed::Upgrade(request)) = parse(head.as_bytes(), &HeadLimits::default()) else {
            panic!("{head}");
        };
        let found = find_credential(&request, Some("session"))?;
        if let Some(found) = &found {
            assert!(!format!("{found:?}").contains("secret"));
        }
        Ok(found.map(|found| match found {
            Credential::Token(token) => format!("token {token}"),
            Credential::ApiKey(key) => format!("key {key}"),
        }))
    }

    #[test]
    fn a_token_is_found_in_each_place() {
        let token = Ok(Some("token secret".to_owned()));
        for (target, headers) in [
            ("/", "Authorization: Bearer secret\r\n"),
            ("/", "authorization: bEARER   secret\r\n"),
            ("/?access_token=secret", ""),
            ("/?a=1&access_token=s%65cret", ""),
            ("/", "Sec-WebSocket-Protocol: chat, bearer.secret\r\n"),
            ("/", "Cookie: a=b; session=secret\r\n"),
            // The same twice.
            ("/?access_token=secret&access_token=secret", "Authorization: Bearer secret\r\n"),
        ] {
            assert_eq!(found(target, headers), token, "{target} {headers}");
        }
        assert_eq!(found("/", "X-API-Key: secret\r\n"), Ok(Some("key secret".to_owned())));
        for (target, headers) in [
            ("/", ""),
            ("/?token=secret", ""),
            ("/?Access_Token=secret", ""),
            ("/", "Authorization: Basic secret\r\n"),
            ("/", "Cookie: other=secret\r\n"),
            ("/", "Sec-WebSocket-Protocol: Bearer.secret\r\n"),
        ] {
            assert_eq!(found(target, headers), Ok(None), "{target} {headers}");
        }
        // An empty one is one, which is not valid.
        for headers in ["Authorization: Bearer\r\n", "Sec-WebSocket-Protocol: bearer.\r\n"] {
            assert_eq!(found("/", headers), Ok(Some("token ".to_owned())));
        }
    }

    #[test]
    fn two_that_differ_are_refused() {
        for (target, headers) in [
            ("/?access_token=a", "Authorization: Bearer b\r\n"),
            ("/?access_token=a&access_token=b", ""),
            ("/", "Authorization: Bearer a\r\nAuthorization: Bearer b\r\n"),
            ("/", "Sec-WebSocket-Protocol: bearer.a, bearer.b\r\n"),
            ("/", "Cookie: session=a\r\nSec-WebSocket-Protocol: bearer.b\r\n"),
            ("/", "Authorization: Bearer a\r\nX-API-Key: a\r\n"),
            ("/", "X-API-Key: a\r\nX-API-Key: b\r\n"),
        ] {
            assert_eq!(found(target, headers), Err(TokenError::Several), "{target} {headers}");
        }
        let bytes = found("/", "Authorization: Bearer \u{fc}\r\n");
        assert!(bytes.is_ok(), "it is UTF-8");
    }
}
