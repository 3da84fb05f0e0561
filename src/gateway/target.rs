//! Parts of a request target, for the endpoints that parse their own.

use std::borrow::Cow;

use crate::protocol::http::{PercentError, percent_decoded};

/// The names of parameters that do not belong to an endpoint.
#[derive(Clone, Copy, Debug)]
pub(super) struct Foreign {
    /// Those of the application ([`Handler::PARAMETERS`](crate::app::Handler::PARAMETERS)). `*` is
    /// every name that the endpoint does not know.
    pub(super) app: &'static [&'static str],
    /// Whether one may carry a token.
    pub(super) has_tokens: bool,
}

impl Foreign {
    fn contains(self, name: &str) -> bool {
        self.has_tokens && name == "access_token"
            || self.app.iter().any(|known| matches!(*known, "*") || *known == name)
    }
}

#[cfg(test)]
impl Foreign {
    /// Those of an application, without tokens.
    pub(super) const fn of(app: &'static [&'static str]) -> Self {
        Self { app, has_tokens: false }
    }
}

/// The names and values of a query, as far as they are for the endpoint: not those that are
/// `foreign` to it, unless it knows the name. The application has decided about the client by
/// these.
pub(super) fn pairs<'q>(
    query: &'q str,
    known: &'q [&str],
    foreign: Foreign,
) -> impl Iterator<Item = (&'q str, &'q str)> {
    let pair = |parameter| str::split_once(parameter, '=').unwrap_or((parameter, ""));
    let all = query.split('&').filter(|_| !query.is_empty()).map(pair);
    all.filter(move |(name, _)| known.contains(name) || !foreign.contains(name))
}

/// Decodes `%` and two hexadecimal digits (RFC 3986 section 2.1) in a topic of a path. `+` is not
/// decoded.
///
/// # Errors
/// One line for the client, if a `%` has no digits, or the topic is not UTF-8.
pub(super) fn percent_decode(text: &str) -> Result<Cow<'_, str>, String> {
    percent_decoded(text).map_err(|error| match error {
        PercentError::Digits => "A % in the path has no two hexadecimal digits after it.".into(),
        PercentError::NotUtf8 => "The topic in the path is not valid UTF-8.".into(),
    })
}
