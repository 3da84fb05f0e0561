//! Parts of a request target, for the endpoints that parse their own.

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
pub(super) fn percent_decode(text: &str) -> Result<String, String> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            decoded.push(byte);
            continue;
        }
        let digits = bytes.next().and_then(hex).zip(bytes.next().and_then(hex));
        let Some((high, low)) = digits else {
            return Err("A % in the path has no two hexadecimal digits after it.".into());
        };
        decoded.push(high << 4 | low);
    }
    String::from_utf8(decoded).map_err(|_| "The topic in the path is not valid UTF-8.".into())
}

fn hex(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}
