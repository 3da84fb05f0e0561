//! The origins that may connect (RFC 6455 section 10.2).

use crate::protocol::http::Authority;

/// The rule for the Origin header.
///
/// A browser sends the origin of the page that opens a WebSocket, and no script can change it. This
/// rule therefore keeps pages of other sites from connecting with a visitor's cookies. It is no
/// authentication: clients other than browsers can send any origin or none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Origins {
    /// Every origin is allowed.
    Any,
    /// The origin must have the host and port of the request's Host header. The default.
    #[default]
    SameHost,
    /// Exactly these are allowed, each in the form `scheme://host[:port]` that browsers send: no
    /// path, no default port. They are compared without case; `null` is allowed only if listed.
    List(Vec<String>),
}

impl Origins {
    /// Whether a request with these Origin and Host headers may connect. Without an Origin it may,
    /// since every browser sends one.
    #[must_use]
    pub fn allows(&self, origin: Option<&str>, host: &str) -> bool {
        let Some(origin) = origin else { return true };
        match self {
            Self::Any => true,
            Self::SameHost => same_host(origin, host).unwrap_or(false),
            Self::List(list) => list.iter().any(|known| known.eq_ignore_ascii_case(origin)),
        }
    }
}

/// Whether an http or https origin has the host and port of `host`; `None` if one is malformed.
///
/// A missing port means the default port of the origin's scheme, on both sides: behind a proxy that
/// terminates TLS, only the origin tells the scheme.
fn same_host(origin: &str, host: &str) -> Option<bool> {
    let (scheme, rest) = origin.split_once("://")?;
    let default = if scheme.eq_ignore_ascii_case("https") {
        443
    } else if scheme.eq_ignore_ascii_case("http") {
        80
    } else {
        return None;
    };
    let (page, own) = (Authority::split(rest)?, Authority::split(host)?);
    let ports = page.port.unwrap_or(default) == own.port.unwrap_or(default);
    Some(ports && page.host.eq_ignore_ascii_case(own.host))
}
