//! Judges a complete request head (RFC 6455 section 4.2.1).

use std::mem::MaybeUninit;

use super::extensions::Items;
use super::fields::{CONNECTION, EXTENSIONS, Fields, Line, PROTOCOL, UPGRADE};
use super::syntax::{is_token, list, visible};
use super::target::{Authority, Target};
use super::{HARD_MAX_HEADERS, HeadLimits, Headers, Protocols, Rejection, Values};

/// More subprotocols than this are refused, which bounds the search for repeated ones.
const MAX_PROTOCOLS: usize = 64;

/// What a well-formed GET request asks for.
#[derive(Debug, Clone)]
pub enum Parsed<'a> {
    /// A valid opening handshake.
    Upgrade(Request<'a>),
    /// A plain GET without an Upgrade header, for a page.
    Plain {
        /// The path, as in [`Request::path`].
        path: &'a str,
    },
}

/// A valid opening handshake, borrowing from the received bytes.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Request<'a> {
    /// The request target as sent: visible ASCII without `#`.
    pub target: &'a str,
    /// The path of the target: begins with `/`, ends before `?`, not decoded.
    pub path: &'a str,
    /// What follows the first `?` of the target, not decoded.
    pub query: Option<&'a str>,
    /// The Host header: a host and perhaps a port.
    pub host: &'a str,
    /// The Origin header, visible ASCII; absent for most clients that are no browsers.
    pub origin: Option<&'a str>,
    /// The `Sec-WebSocket-Key`: 24 characters.
    pub key: &'a str,
    headers: Headers<'a>,
    protocols: Line<'a>,
    extensions: Line<'a>,
}

impl<'a> Request<'a> {
    /// The subprotocols offered, most wanted first: tokens, none twice, at most 64.
    #[must_use]
    pub fn protocols(&self) -> Protocols<'a> {
        Protocols::new(Values::new(PROTOCOL, self.protocols, self.headers()))
    }

    /// The `Sec-WebSocket-Extensions` values, in order, all within the grammar.
    #[must_use]
    pub fn extensions(&self) -> Values<'a> {
        Values::new(EXTENSIONS, self.extensions, self.headers())
    }

    /// All header lines.
    #[must_use]
    pub fn headers(&self) -> Headers<'a> {
        self.headers.clone()
    }

    /// The value of the first line with this name, whose case does not matter.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&'a [u8]> {
        self.headers().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }
}

/// Judges a request head, which has to be exactly the bytes a [`HeadScanner`] delimited.
///
/// Nothing is allocated. Of several faults the first in this order is reported:
/// 1. length, first byte, line ends (400, 431);
/// 2. the request line and the form of each header line, in the order of the bytes (400, 431);
/// 3. HTTP version (400), then method (405);
/// 4. target (400), Host and its agreement with an absolute target (400);
/// 5. Transfer-Encoding, then Content-Length (400). A single `Content-Length: 0` is allowed,
///    since it says what a GET without it says too; a list, a sign or a second line is not;
/// 6. without an Upgrade header the request is [`Parsed::Plain`] and nothing below is judged;
/// 7. Upgrade: `websocket` among its elements, in any case, without a version (426); if it is
///    there, the rest has to be a list of protocols (400);
/// 8. Connection: a list of tokens, `upgrade` among them (400);
/// 9. Sec-WebSocket-Version: one line with one number (400), which is 13 (426);
/// 10. Sec-WebSocket-Key: one line, 22 characters of base64 and `==` (400). The four unused
///     bits of the last character may be set, which RFC 4648 section 3.5 leaves to the
///     decoder: the answer is made from the text, and nothing depends on them;
/// 11. Origin: at most one, visible ASCII (400);
/// 12. Sec-WebSocket-Protocol: tokens, at least one over all lines (400), at most 64 (431), none
///     twice (400);
/// 13. Sec-WebSocket-Extensions: the grammar of RFC 6455 section 9.1, at least one extension on
///     each line (400). Unknown extensions and parameters are no fault.
///
/// Other headers, Sec-WebSocket-Accept included, are ignored.
///
/// # Errors
///
/// A [`Rejection`] with the statuses above.
///
/// [`HeadScanner`]: super::HeadScanner
pub fn parse<'a>(head: &'a [u8], limits: &HeadLimits) -> Result<Parsed<'a>, Rejection> {
    check_bytes(head, limits)?;
    let mut slots = [const { MaybeUninit::uninit() }; HARD_MAX_HEADERS];
    let slots = slots.get_mut(..limits.header_lines()).unwrap_or_default();
    let mut raw = httparse::Request::new(&mut []);
    match raw.parse_with_uninit_headers(head, slots) {
        Ok(httparse::Status::Complete(len)) if len == head.len() => {}
        Ok(httparse::Status::Complete(_)) => return Err(Rejection::EarlyData),
        Ok(httparse::Status::Partial) => return Err(Rejection::Incomplete),
        Err(error) => return Err(syntax_fault(error)),
    }
    if raw.version != Some(1) {
        return Err(Rejection::HttpVersion);
    }
    if raw.method != Some("GET") {
        return Err(Rejection::Method);
    }
    let fields = Fields::collect(raw.headers);
    let headers = Headers::new(behind_first_line(head));
    let text = raw.path.unwrap_or_default();
    let target = Target::split(text).ok_or(Rejection::Target)?;
    let host = host(&fields, &target)?;
    no_body(&fields)?;
    if fields.upgrade.count == 0 {
        return Ok(Parsed::Plain { path: target.path });
    }
    upgrade(Values::new(UPGRADE, fields.upgrade, headers.clone()))?;
    connection(Values::new(CONNECTION, fields.connection, headers.clone()))?;
    version(&fields)?;
    let key = key(&fields)?;
    let origin = origin(&fields)?;
    let protocols = fields.protocol;
    if protocols.count > 0 {
        check_protocols(Protocols::new(Values::new(PROTOCOL, protocols, headers.clone())))?;
    }
    let extensions = fields.extensions;
    check_extensions(Values::new(EXTENSIONS, extensions, headers.clone()))?;
    let Target { path, query, .. } = target;
    Ok(Parsed::Upgrade(Request {
        target: text,
        path,
        query,
        host,
        origin,
        key,
        headers,
        protocols,
        extensions,
    }))
}

/// What httparse is lenient about, so that this function is strict without the scanner too.
fn check_bytes(head: &[u8], limits: &HeadLimits) -> Result<(), Rejection> {
    if head.len() > limits.max_bytes {
        return Err(Rejection::HeadTooLarge);
    }
    match head.first() {
        None => return Err(Rejection::Incomplete),
        Some(b'\r' | b'\n') => return Err(Rejection::LeadingEmptyLine),
        Some(b'A'..=b'Z') => {}
        Some(_) => return Err(Rejection::NotHttp),
    }
    // The first byte is no LF, so each LF has a byte before it. No early exit: this way the
    // compiler makes vector code of it.
    let before = head.iter();
    let bytes = head.iter().skip(1);
    let bare = before
        .zip(bytes)
        .fold(false, |bare, (&before, &byte)| bare | ((byte == b'\n') & (before != b'\r')));
    if bare { Err(Rejection::BareLf) } else { Ok(()) }
}

fn syntax_fault(error: httparse::Error) -> Rejection {
    match error {
        httparse::Error::HeaderName => Rejection::HeaderName,
        httparse::Error::HeaderValue => Rejection::HeaderValue,
        httparse::Error::NewLine => Rejection::BareCr,
        httparse::Error::TooManyHeaders => Rejection::TooManyHeaders,
        httparse::Error::Version => Rejection::HttpVersion,
        httparse::Error::Status | httparse::Error::Token => Rejection::RequestLine,
    }
}

fn behind_first_line(head: &[u8]) -> &[u8] {
    let end = head.iter().position(|&byte| byte == b'\n').map_or(head.len(), |at| at + 1);
    head.get(end..).unwrap_or_default()
}

fn host<'a>(fields: &Fields<'a>, target: &Target<'a>) -> Result<&'a str, Rejection> {
    let value = fields.host.only(Rejection::MissingHost, Rejection::DuplicateHost)?;
    let host = visible(value).filter(|host| Authority::split(host).is_some());
    let host = host.ok_or(Rejection::BadHost)?;
    match target.authority {
        Some(authority) if !authority.eq_ignore_ascii_case(host) => Err(Rejection::TargetHost),
        _ => Ok(host),
    }
}

fn no_body(fields: &Fields<'_>) -> Result<(), Rejection> {
    if fields.transfer_encoding.count > 0 {
        return Err(Rejection::TransferEncoding);
    }
    match (fields.content_length.count, fields.content_length.first) {
        (0, _) | (1, Some(b"0")) => Ok(()),
        _ => Err(Rejection::ContentLength),
    }
}

fn upgrade(mut lines: Values<'_>) -> Result<(), Rejection> {
    let (mut found, mut sound) = (false, true);
    while let Some(value) = lines.next_bytes() {
        for element in list(value) {
            found |= element.eq_ignore_ascii_case(b"websocket");
            // protocol = protocol-name [ "/" protocol-version ] (RFC 9110 section 7.8).
            sound &= element.splitn(2, |&byte| byte == b'/').all(is_token);
        }
    }
    match (found, sound) {
        (false, _) => Err(Rejection::NotWebSocket),
        (true, false) => Err(Rejection::BadUpgrade),
        (true, true) => Ok(()),
    }
}

fn connection(mut lines: Values<'_>) -> Result<(), Rejection> {
    let mut found = false;
    while let Some(value) = lines.next_bytes() {
        for option in list(value) {
            if !is_token(option) {
                return Err(Rejection::BadConnection);
            }
            found |= option.eq_ignore_ascii_case(b"upgrade");
        }
    }
    if found { Ok(()) } else { Err(Rejection::NoConnectionUpgrade) }
}

fn version(fields: &Fields<'_>) -> Result<(), Rejection> {
    let value = fields.version.only(Rejection::MissingVersion, Rejection::DuplicateVersion)?;
    let digits = value.iter().all(u8::is_ascii_digit);
    let number = if digits { std::str::from_utf8(value).ok() } else { None };
    match number.and_then(|number| number.parse::<u8>().ok()) {
        Some(13) if value == b"13" => Ok(()),
        // 0 to 255 without leading zeros, or it is no version (RFC 6455 section 4.3).
        Some(_) if value == b"0" || !value.starts_with(b"0") => Err(Rejection::UnsupportedVersion),
        _ => Err(Rejection::BadVersion),
    }
}

fn key<'a>(fields: &Fields<'a>) -> Result<&'a str, Rejection> {
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

fn origin<'a>(fields: &Fields<'a>) -> Result<Option<&'a str>, Rejection> {
    match (fields.origin.count, fields.origin.first) {
        (0, _) => Ok(None),
        (1, Some(value)) => visible(value).map(Some).ok_or(Rejection::BadOrigin),
        _ => Err(Rejection::DuplicateOrigin),
    }
}

fn check_protocols(mut protocols: Protocols<'_>) -> Result<(), Rejection> {
    let mut seen = [&[][..]; MAX_PROTOCOLS];
    let mut count = 0;
    while let Some(protocol) = protocols.next_bytes() {
        if !is_token(protocol) {
            return Err(Rejection::BadProtocol);
        }
        if seen.iter().take(count).any(|known| *known == protocol) {
            return Err(Rejection::DuplicateProtocol);
        }
        *seen.get_mut(count).ok_or(Rejection::TooManyProtocols)? = protocol;
        count += 1;
    }
    if count == 0 { Err(Rejection::BadProtocol) } else { Ok(()) }
}

fn check_extensions(mut lines: Values<'_>) -> Result<(), Rejection> {
    while let Some(value) = lines.next_bytes() {
        let value = std::str::from_utf8(value).map_err(|_| Rejection::BadExtensions)?;
        if Items::count(value)? == 0 {
            return Err(Rejection::BadExtensions);
        }
    }
    Ok(())
}
