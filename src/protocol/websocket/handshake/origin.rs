//! Which web pages may connect (RFC 6455 section 10.2).

use super::target::Authority;

/// The rule for the Origin header.
///
/// Browsers name the page that opens a WebSocket and let nobody forge it, so this is what keeps
/// other sites' pages from using a visitor's cookies here. Clients that are no browsers send
/// none or whatever they like: it is no authentication.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Origins {
    /// Every page.
    Any,
    /// Pages from the host and port that the request itself is for. The default.
    #[default]
    SameHost,
    /// Exactly these, each in the form `scheme://host[:port]` that browsers send: no path, no
    /// default port. Letters compare without case; `null` counts only if listed.
    List(Vec<String>),
}

impl Origins {
    /// Whether a request with this Origin and this Host may connect.
    ///
    /// Without an Origin it may: no browser omits it. `host` is the value of the Host header.
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
/// A missing port is the default one of the origin's scheme, on both sides: behind a proxy that
/// ends TLS, the scheme is known from the origin alone.
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
