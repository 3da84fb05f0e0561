//! The origins that may connect (RFC 6455 section 10.2).

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

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
    /// Pages of exactly these origins. See [`Origins::list`].
    List(Vec<Origin>),
}

impl Origins {
    /// Pages of exactly these origins, such as `https://example.org`. `*` among them is every page.
    ///
    /// # Errors
    /// The first that no browser would send; see [`Origin::from_str`].
    ///
    /// ```
    /// use corecast::protocol::websocket::handshake::Origins;
    ///
    /// let origins = Origins::list(["https://example.org", "http://localhost:8080"])?;
    /// assert!(origins.allows(Some("https://example.org"), "ws.example.org"));
    /// assert!(Origins::list(["example.org"]).is_err());
    /// assert_eq!(Origins::list(["*"])?, Origins::Any);
    /// # Ok::<(), corecast::protocol::websocket::handshake::OriginError>(())
    /// ```
    pub fn list<T: AsRef<str>>(origins: impl IntoIterator<Item = T>) -> Result<Self, OriginError> {
        let (mut list, mut any) = (Vec::new(), false);
        for text in origins {
            match text.as_ref() {
                "*" => any = true,
                text => list.push(text.parse()?),
            }
        }
        Ok(if any { Self::Any } else { Self::List(list) })
    }

    /// Whether a request with this Origin and this Host may connect.
    ///
    /// Without an Origin it may: no browser omits it. `host` is the value of the Host header.
    #[must_use]
    pub fn allows(&self, origin: Option<&str>, host: &str) -> bool {
        let Some(origin) = origin else { return true };
        match self {
            Self::Any => true,
            Self::SameHost => same_host(origin, host).unwrap_or(false),
            Self::List(list) => list.iter().any(|known| known.0.eq_ignore_ascii_case(origin)),
        }
    }
}

/// Whether an http or https origin has the host and port of `host`; `None` if one is malformed.
///
/// A missing port means the default port of the origin's scheme, on both sides: behind a proxy that
/// terminates TLS, only the origin tells the scheme.
fn same_host(origin: &str, host: &str) -> Option<bool> {
    let (scheme, rest) = origin.split_once("://")?;
    let default = default_port(scheme)?;
    let (page, own) = (Authority::split(rest)?, Authority::split(host)?);
    let ports = page.port.unwrap_or(default) == own.port.unwrap_or(default);
    Some(ports && page.host.eq_ignore_ascii_case(own.host))
}

/// The port of http or https that stands in no origin.
fn default_port(scheme: &str) -> Option<u16> {
    if scheme.eq_ignore_ascii_case("https") {
        Some(443)
    } else if scheme.eq_ignore_ascii_case("http") {
        Some(80)
    } else {
        None
    }
}

/// The origin of a page in the form that browsers send (RFC 6454 section 6.2):
/// `scheme://host[:port]`, in lower case, without a default port, or `null`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Origin(String);

impl Origin {
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Origin {
    type Err = OriginError;

    /// Reads an origin. Upper case, one `/` at the end, a default port and the longer forms of an
    /// IPv6 address are brought into the form that browsers send. `null` stands for pages without
    /// an origin, such as local files.
    ///
    /// # Errors
    /// Text that is no origin, or one that no browser sends: without a scheme, with a path, a
    /// query, user information or a wildcard, with the scheme of a WebSocket instead of the page's,
    /// or with a host outside ASCII.
    fn from_str(text: &str) -> Result<Self, OriginError> {
        read(text).map(Self).map_err(|fault| OriginError { text: text.to_owned(), fault })
    }
}

/// Why text is no origin that a browser sends. Its text shows the form where that is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OriginError {
    text: String,
    fault: Fault,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Fault {
    /// The same text with a scheme, if that makes it an origin.
    NoScheme(Option<String>),
    /// No `//` behind the scheme; the origin with it.
    NoSlashes(String),
    /// The scheme is that of the WebSocket; the one of the page with the same host.
    WebSocket(String),
    /// Pages of this scheme send `null`.
    Opaque,
    /// Something behind the host; the origin without it.
    Path(String),
    Several,
    UserInformation,
    Wildcard,
    NotAscii,
    Ipv4,
    Port,
    Host,
}

impl fmt::Display for OriginError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` is not an origin that a browser sends: ", self.text)?;
        match &self.fault {
            Fault::NoScheme(Some(form)) => write!(f, "it has no scheme; write `{form}`"),
            Fault::NoScheme(None) => {
                f.write_str("the form is `https://example.org` or `http://localhost:8080`")
            }
            Fault::NoSlashes(form) => {
                write!(f, "it lacks `//` behind the scheme; write `{form}`")
            }
            Fault::WebSocket(form) => {
                write!(f, "it has the scheme of the WebSocket, not of the page; write `{form}`")
            }
            Fault::Opaque => f.write_str("pages of this scheme send `null`; write `null`"),
            Fault::Path(form) => {
                write!(f, "it has more than scheme, host and port; write `{form}`")
            }
            Fault::Several => f.write_str("it is more than one; give each by itself"),
            Fault::UserInformation => {
                f.write_str("it has user information; leave out what stands before the `@`")
            }
            Fault::Wildcard => f.write_str(
                "it has a wildcard; write each host, or `*` alone for the pages of all hosts",
            ),
            Fault::NotAscii => {
                f.write_str("the host is not ASCII; write its Punycode form, which begins `xn--`")
            }
            Fault::Ipv4 => f.write_str("the host is not a full IPv4 address, such as 192.0.2.1"),
            Fault::Port => f.write_str("the port is not a number from 0 to 65535"),
            Fault::Host => f.write_str("the host is not a name or an address"),
        }
    }
}

impl std::error::Error for OriginError {}

/// The form that browsers send of the origin `text`.
fn read(text: &str) -> Result<String, Fault> {
    if text.eq_ignore_ascii_case("null") {
        return Ok("null".to_owned());
    }
    if text.contains(',') || text.matches("://").count() > 1 {
        return Err(Fault::Several);
    }
    let Some((scheme, rest)) = text.split_once("://") else {
        if let Some((scheme, rest)) = text.split_once(':')
            && ["http", "https"].iter().any(|it| it.eq_ignore_ascii_case(scheme))
            && rest.parse::<u16>().is_err()
        {
            return Err(match read(&format!("{scheme}://{}", rest.trim_start_matches('/'))) {
                Ok(form) | Err(Fault::Path(form)) => Fault::NoSlashes(form),
                Err(fault) => fault,
            });
        }
        return Err(match read(&format!("https://{text}")) {
            Ok(form) | Err(Fault::Path(form)) => Fault::NoScheme(Some(form)),
            Err(Fault::Host) => Fault::NoScheme(None),
            Err(fault) => fault,
        });
    };
    let scheme = scheme.to_ascii_lowercase();
    if !is_scheme(&scheme) {
        return Err(Fault::NoScheme(None));
    }
    match scheme.as_str() {
        "file" | "data" | "about" | "javascript" => return Err(Fault::Opaque),
        "ws" => return Err(Fault::WebSocket(read(&format!("http://{rest}"))?)),
        "wss" => return Err(Fault::WebSocket(read(&format!("https://{rest}"))?)),
        _ => {}
    }
    let end = rest.find(['/', '?', '#', '\\']).unwrap_or(rest.len());
    let (authority, behind) = rest.split_at(end);
    let origin = format!("{scheme}://{}", host_and_port(&scheme, authority)?);
    if matches!(behind, "" | "/") { Ok(origin) } else { Err(Fault::Path(origin)) }
}

/// RFC 3986 section 3.1.
fn is_scheme(text: &str) -> bool {
    let first = text.bytes().next();
    first.is_some_and(|byte| byte.is_ascii_alphabetic())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
}

/// The host in lower case, with its port unless that is the default of the scheme.
fn host_and_port(scheme: &str, authority: &str) -> Result<String, Fault> {
    for (part, fault) in [("@", Fault::UserInformation), ("*", Fault::Wildcard)] {
        if authority.contains(part) {
            return Err(fault);
        }
    }
    if !authority.is_ascii() {
        return Err(Fault::NotAscii);
    }
    let Some(Authority { host, port }) = Authority::split(authority) else {
        let host = authority.rsplit_once(':').map_or(authority, |(host, _)| host);
        let is_host = Authority::split(host).is_some_and(|authority| authority.port.is_none());
        return Err(if is_host { Fault::Port } else { Fault::Host });
    };
    let host = host.to_ascii_lowercase();
    let host = match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
        Some(address) => format!("[{}]", short_form(address.parse().map_err(|_| Fault::Host)?)),
        // The host parser of browsers takes a last label that is a number for an IPv4 address, and
        // writes that in full.
        None if ends_in_number(&host) && host.parse::<Ipv4Addr>().is_err() => {
            return Err(Fault::Ipv4);
        }
        None if host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte)) => {
            host
        }
        None => return Err(Fault::Host),
    };
    Ok(match port.filter(|port| default_port(scheme) != Some(*port)) {
        Some(port) => format!("{host}:{port}"),
        None => host,
    })
}

/// An IPv6 address as browsers write it: as short as it gets, and never with an IPv4 part.
fn short_form(address: Ipv6Addr) -> String {
    match (address.to_ipv4_mapped(), address.segments()) {
        (Some(_), [.., high, low]) => format!("::ffff:{high:x}:{low:x}"),
        _ => address.to_string(),
    }
}

fn ends_in_number(host: &str) -> bool {
    let last = host.strip_suffix('.').unwrap_or(host).rsplit('.').next().unwrap_or_default();
    let hexadecimal = last.strip_prefix("0x");
    let is_hexadecimal = |digits: &str| digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    !last.is_empty() && last.bytes().all(|byte| byte.is_ascii_digit())
        || hexadecimal.is_some_and(is_hexadecimal)
}
