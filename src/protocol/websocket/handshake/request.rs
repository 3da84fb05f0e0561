//! Requests judged as opening handshakes (RFC 6455 section 4.2.1).

use std::net::{IpAddr, SocketAddr};

use super::extensions::Items;
use super::fields::{EXTENSIONS, HandshakeFields, PROTOCOL};
use super::rejection::Rejection;
use crate::protocol::http;
use crate::protocol::http::syntax::{is_token, visible};
use crate::protocol::http::{
    Cookies, Elements, FieldLines, HeadError, HeadLimits, Headers, QueryPairs, Values, Version,
};

/// More subprotocols than this are refused, which bounds the search for repeated ones.
const MAX_PROTOCOLS: usize = 64;
/// More extensions and parameters than this together are refused, which bounds the work of the
/// negotiation. Browsers send one extension with a parameter or two.
const MAX_EXTENSION_ITEMS: usize = 64;

/// A well-formed request.
#[derive(Debug, Clone)]
pub enum Parsed<'a> {
    /// A valid opening handshake.
    Upgrade(Request<'a>),
    /// Any other request. A body may follow its head.
    Plain(http::Request<'a>),
}

/// A valid opening handshake, borrowing from the received bytes.
///
/// All text in it comes from the client. Values are not decoded unless a method says so.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Request<'a> {
    /// The request target as sent: visible ASCII without `#`.
    pub target: &'a str,
    /// The path of the target, not decoded: begins with `/` and ends before `?`.
    pub path: &'a str,
    /// The part of the target after the first `?`, not decoded.
    pub query: Option<&'a str>,
    /// The Host header: a host with an optional port.
    pub host: &'a str,
    /// The Origin header: visible ASCII. Browsers always send it, other clients rarely.
    pub origin: Option<&'a str>,
    /// The `Sec-WebSocket-Key`: 24 characters.
    pub key: &'a str,
    /// The address that the connection comes from; of a client behind a proxy, that of the proxy.
    /// It is no part of the request head: only a server that was asked for it sets it.
    pub peer_addr: Option<SocketAddr>,
    /// The address of the client: that of `peer_addr`, or what a proxy that the server trusts has
    /// said of it. Set as that is.
    pub client_addr: Option<IpAddr>,
    headers: Headers<'a>,
    subprotocols: FieldLines<'a>,
    extensions: FieldLines<'a>,
}

impl<'a> Request<'a> {
    /// Judges a request as an opening handshake.
    ///
    /// # Errors
    ///
    /// The first fault in the order that [`parse`] documents, from the HTTP version on.
    pub fn from_http(request: &http::Request<'a>) -> Result<Self, Rejection> {
        if request.version != Version::Http11 {
            return Err(HeadError::UnsupportedVersion.into());
        }
        if request.method != "GET" {
            return Err(Rejection::Method);
        }
        let host = request.host.ok_or(HeadError::MissingHost)?;
        request.expect_no_body()?;
        check_upgrade(request.upgrade())?;
        check_connection(request.connection())?;
        let headers = request.headers();
        let fields = HandshakeFields::collect(headers.clone());
        check_version(&fields)?;
        let key = key(&fields)?;
        let origin = origin(&fields)?;
        if fields.protocol.count > 0 {
            check_subprotocols(fields.protocol.elements(PROTOCOL, &headers))?;
        }
        check_extensions(fields.extensions.values(EXTENSIONS, &headers))?;
        let http::Request { target, path, query, .. } = *request;
        let (subprotocols, extensions) = (fields.protocol, fields.extensions);
        Ok(Self {
            target,
            path,
            query,
            host,
            origin,
            key,
            peer_addr: None,
            client_addr: None,
            headers,
            subprotocols,
            extensions,
        })
    }

    /// The `name=value` pairs of the query, percent-decoded; see
    /// [`http::query_pairs`](crate::protocol::http::query_pairs).
    #[must_use]
    pub fn query_pairs(&self) -> QueryPairs<'a> {
        http::query_pairs(self.query.unwrap_or_default())
    }

    /// All header lines.
    #[must_use]
    pub fn headers(&self) -> Headers<'a> {
        self.headers.clone()
    }

    /// The value of the first line with this name, compared without case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&'a [u8]> {
        self.headers().first(name)
    }

    /// The cookies, in the order sent.
    #[must_use]
    pub fn cookies(&self) -> Cookies<'a> {
        Cookies::new(self.headers())
    }

    /// The value of the first cookie with this name, compared with case.
    #[must_use]
    pub fn cookie(&self, name: &str) -> Option<&'a str> {
        self.cookies().find(|(known, _)| *known == name).map(|(_, value)| value)
    }

    /// The subprotocols offered, in the client's order of preference: tokens, none twice, at most
    /// 64 (RFC 6455 section 4.1, item 10).
    #[must_use]
    pub fn subprotocols(&self) -> Elements<'a> {
        self.subprotocols.elements(PROTOCOL, &self.headers)
    }

    /// The head of the request, which [`parse`] takes again.
    pub(crate) fn to_head(&self) -> Box<[u8]> {
        [b"GET ", self.target.as_bytes(), b" HTTP/1.1\r\n", self.headers.as_bytes()].concat().into()
    }

    /// The `Sec-WebSocket-Extensions` values, in order. Each follows the grammar.
    #[must_use]
    pub fn extensions(&self) -> Values<'a> {
        self.extensions.values(EXTENSIONS, &self.headers)
    }
}

/// Judges a request head, which must be exactly the bytes that a [`HeadScanner`] delimited.
///
/// Nothing is allocated. Of several faults the first in this order is reported:
/// 1. length, length of the first line, first byte, line ends (400, 414, 431);
/// 2. the request line, the version in it (400, 505), and the form of each header line, in the
///    order of the bytes (400, 431);
/// 3. target (400), Host and its agreement with an absolute target (400);
/// 4. the request is [`Parsed::Plain`] unless it is a GET of HTTP/1.1 with `websocket` among the
///    elements of Upgrade, in any case, without a version: an Upgrade to something that is not
///    known is ignored (RFC 9110 section 7.8). Of a plain request the framing of its body is judged
///    (400, 501; see [`http::Request::framing`]) and nothing below;
/// 5. Transfer-Encoding, then Content-Length (400): a handshake has no body. A single
///    `Content-Length: 0` is allowed, since it means the same as none; a list, a sign or a second
///    line is not;
/// 6. the other elements of Upgrade must be protocols (400);
/// 7. Connection: a list of tokens, `upgrade` among them (400);
/// 8. Sec-WebSocket-Version: one line with one number (400), which is 13 (426);
/// 9. Sec-WebSocket-Key: one line, 22 characters of base64 and `==` (400). The four unused bits of
///    the last character may be set (RFC 4648 section 3.5 leaves that to the decoder): the
///    response is computed from the text, so nothing depends on them;
/// 10. Origin: at most one, visible ASCII (400);
/// 11. Sec-WebSocket-Protocol: tokens, at least one over all lines (400), at most 64 (431), none
///     twice (400);
/// 12. Sec-WebSocket-Extensions: the grammar of RFC 6455 section 9.1, at least one extension on
///     each line (400), at most 64 extensions and parameters over all lines (431). Unknown
///     extensions and parameters are no fault.
///
/// Other headers, Sec-WebSocket-Accept included, are ignored.
///
/// # Errors
///
/// A [`Rejection`] with the statuses above.
///
/// [`HeadScanner`]: crate::protocol::http::HeadScanner
pub fn parse<'a>(head: &'a [u8], limits: &HeadLimits) -> Result<Parsed<'a>, Rejection> {
    let request = http::Request::parse(head, limits)?;
    if request.method == "GET" && request.offers_upgrade("websocket") {
        return Request::from_http(&request).map(Parsed::Upgrade);
    }
    request.framing()?;
    Ok(Parsed::Plain(request))
}

fn check_upgrade(mut elements: Elements<'_>) -> Result<(), Rejection> {
    let (mut found, mut sound) = (false, true);
    while let Some(element) = elements.next_bytes() {
        found |= element.eq_ignore_ascii_case(b"websocket");
        // protocol = protocol-name [ "/" protocol-version ] (RFC 9110 section 7.8).
        sound &= element.splitn(2, |&byte| byte == b'/').all(is_token);
    }
    match (found, sound) {
        (false, _) => Err(Rejection::NotWebSocket),
        (true, false) => Err(Rejection::BadUpgrade),
        (true, true) => Ok(()),
    }
}

fn check_connection(mut options: Elements<'_>) -> Result<(), Rejection> {
    let mut found = false;
    while let Some(option) = options.next_bytes() {
        if !is_token(option) {
            return Err(Rejection::BadConnection);
        }
        found |= option.eq_ignore_ascii_case(b"upgrade");
    }
    if found { Ok(()) } else { Err(Rejection::NoConnectionUpgrade) }
}

fn check_version(fields: &HandshakeFields<'_>) -> Result<(), Rejection> {
    let value = fields.version.only(Rejection::MissingVersion, Rejection::DuplicateVersion)?;
    let digits = value.iter().all(u8::is_ascii_digit);
    let number = if digits { std::str::from_utf8(value).ok() } else { None };
    match number.and_then(|number| number.parse::<u8>().ok()) {
        Some(13) if value == b"13" => Ok(()),
        // A version is 0 to 255 without leading zeros (RFC 6455 section 4.3).
        Some(_) if value == b"0" || !value.starts_with(b"0") => Err(Rejection::UnsupportedVersion),
        _ => Err(Rejection::BadVersion),
    }
}

fn key<'a>(fields: &HandshakeFields<'a>) -> Result<&'a str, Rejection> {
    let value = fields.key.only(Rejection::MissingKey, Rejection::DuplicateKey)?;
    let sound = value.len() == 24
        && value.strip_suffix(b"==").is_some_and(|digits| {
            digits.iter().all(|&byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/'))
        });
    if sound {
        std::str::from_utf8(value).map_err(|_| Rejection::BadKey)
    } else {
        Err(Rejection::BadKey)
    }
}

fn origin<'a>(fields: &HandshakeFields<'a>) -> Result<Option<&'a str>, Rejection> {
    match (fields.origin.count, fields.origin.first) {
        (0, _) => Ok(None),
        (1, Some(value)) => visible(value).map(Some).ok_or(Rejection::BadOrigin),
        _ => Err(Rejection::DuplicateOrigin),
    }
}

fn check_subprotocols(mut subprotocols: Elements<'_>) -> Result<(), Rejection> {
    let mut seen = [&[][..]; MAX_PROTOCOLS];
    let mut count = 0;
    while let Some(name) = subprotocols.next_bytes() {
        if !is_token(name) {
            return Err(Rejection::BadProtocol);
        }
        if seen.iter().take(count).any(|known| *known == name) {
            return Err(Rejection::DuplicateProtocol);
        }
        *seen.get_mut(count).ok_or(Rejection::TooManyProtocols)? = name;
        count += 1;
    }
    if count == 0 { Err(Rejection::BadProtocol) } else { Ok(()) }
}

fn check_extensions(mut lines: Values<'_>) -> Result<(), Rejection> {
    let mut count = 0;
    while let Some(value) = lines.next_bytes() {
        let before = count;
        let value = std::str::from_utf8(value).map_err(|_| Rejection::BadExtensions)?;
        for item in Items::new(value) {
            item.map_err(|_| Rejection::BadExtensions)?;
            count += 1;
            if count > MAX_EXTENSION_ITEMS {
                return Err(Rejection::TooManyExtensions);
            }
        }
        // Without a single extension it has no parameter either.
        if count == before {
            return Err(Rejection::BadExtensions);
        }
    }
    Ok(())
}
