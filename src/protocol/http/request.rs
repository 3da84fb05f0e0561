//! Request heads (RFC 9112 section 3).

use std::mem::MaybeUninit;

use super::cookies::Cookies;
use super::error::HeadError;
use super::fields::HttpFields;
use super::framing::{Framing, Persistence};
use super::head::{check_bytes, check_complete, header_lines};
use super::headers::{Elements, Headers};
use super::limits::{HARD_MAX_HEADERS, HeadLimits};
use super::query::{QueryPairs, query_pairs};
use super::syntax::visible;
use super::target::{Authority, Target};
use super::version::Version;

/// A request head of which only the syntax has been checked, for a caller that judges method and
/// version before anything else. [`into_request`](Self::into_request) checks the rest.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct RequestHead<'a> {
    /// The method: a token, compared with case (RFC 9110 section 9.1).
    pub method: &'a str,
    /// The request target as sent.
    pub target: &'a str,
    /// The version.
    pub version: Version,
    headers: Headers<'a>,
    fields: HttpFields<'a>,
}

impl<'a> RequestHead<'a> {
    /// Parses a head, which must be exactly the bytes that a
    /// [`HeadScanner`](super::HeadScanner) delimited. Nothing is allocated.
    ///
    /// # Errors
    /// The first fault: first length, first byte and line ends; then the request line and the
    /// header lines in the order of the bytes.
    pub fn parse(head: &'a [u8], limits: &HeadLimits) -> Result<Self, HeadError> {
        // One empty line is ignored (RFC 9112 section 2.2).
        let head = head.strip_prefix(b"\r\n").unwrap_or(head);
        check_bytes(head, limits)?;
        let mut slots = [const { MaybeUninit::uninit() }; HARD_MAX_HEADERS];
        let slots = slots.get_mut(..limits.header_lines()).unwrap_or_default();
        let mut raw = httparse::Request::new(&mut []);
        check_complete(raw.parse_with_uninit_headers(head, slots), head)?;
        Ok(Self {
            method: raw.method.unwrap_or_default(),
            target: raw.path.unwrap_or_default(),
            version: Version::from_minor(raw.version)?,
            headers: header_lines(head),
            fields: HttpFields::collect(raw.headers),
        })
    }

    /// Checks the target and Host (RFC 9112 section 3.2).
    ///
    /// # Errors
    /// A malformed target; then a Host that is missing (allowed in HTTP/1.0), repeated, malformed,
    /// or different from the authority of the target.
    pub fn into_request(self) -> Result<Request<'a>, HeadError> {
        let Self { method, target, version, headers, fields } = self;
        let parts = Target::split(method, target).ok_or(HeadError::Target)?;
        let host = host(&fields, &parts, version)?;
        let Target { path, query, .. } = parts;
        let (body, is_tls) = (&[][..], false);
        Ok(Request { method, target, path, query, version, host, body, is_tls, headers, fields })
    }
}

fn host<'a>(
    fields: &HttpFields<'a>,
    target: &Target<'a>,
    version: Version,
) -> Result<Option<&'a str>, HeadError> {
    if version == Version::Http10 && fields.host.count == 0 {
        return Ok(None);
    }
    let value = fields.host.only(HeadError::MissingHost, HeadError::DuplicateHost)?;
    let host = visible(value).filter(|host| Authority::split(host).is_some());
    let host = host.ok_or(HeadError::BadHost)?;
    match target.authority {
        Some(authority) if !authority.eq_ignore_ascii_case(host) => Err(HeadError::TargetHost),
        _ => Ok(Some(host)),
    }
}

/// A valid request head of any method, borrowing from the received bytes.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Request<'a> {
    /// The method: a token, compared with case (RFC 9110 section 9.1).
    pub method: &'a str,
    /// The request target as sent: visible ASCII without `#`.
    pub target: &'a str,
    /// The path of the target, not decoded: begins with `/` and ends before `?`. It is `*` for
    /// `OPTIONS *` and empty for CONNECT.
    pub path: &'a str,
    /// The part of the target after the first `?`, not decoded.
    pub query: Option<&'a str>,
    /// The version.
    pub version: Version,
    /// The Host header: a host with an optional port. Only HTTP/1.0 allows a request without it.
    pub host: Option<&'a str>,
    /// The content of the body, without its framing. It is no part of the head: whoever has read
    /// it sets it.
    pub body: &'a [u8],
    /// Whether it came over TLS, which is not in the head either.
    pub is_tls: bool,
    headers: Headers<'a>,
    fields: HttpFields<'a>,
}

impl<'a> Request<'a> {
    /// Parses a head of any method, which must be exactly the bytes that a
    /// [`HeadScanner`](super::HeadScanner) delimited. Nothing is allocated.
    ///
    /// # Errors
    /// As of [`RequestHead::parse`], then of [`RequestHead::into_request`].
    pub fn parse(head: &'a [u8], limits: &HeadLimits) -> Result<Self, HeadError> {
        RequestHead::parse(head, limits)?.into_request()
    }

    /// Checks that the request has no body. A single `Content-Length: 0` is allowed; a list, a
    /// sign, leading zeros or a second line is not.
    ///
    /// # Errors
    /// [`HeadError::TransferEncoding`] or [`HeadError::ContentLength`].
    pub fn expect_no_body(&self) -> Result<(), HeadError> {
        if self.fields.transfer_encoding.count > 0 {
            return Err(HeadError::TransferEncoding);
        }
        match (self.fields.content_length.count, self.fields.content_length.first) {
            (0, _) | (1, Some(b"0")) => Ok(()),
            _ => Err(HeadError::ContentLength),
        }
    }

    /// How the body is framed (RFC 9112 section 6). Everything is refused in which two parties
    /// could find different ends of the body: a Content-Length that is repeated, a list, signed,
    /// with leading zeros or beside a Transfer-Encoding; a Transfer-Encoding that is not `chunked`
    /// alone.
    ///
    /// # Errors
    /// [`HeadError::BadEncoding`], [`HeadError::UnknownEncoding`] or [`HeadError::BadLength`].
    pub fn framing(&self) -> Result<Framing, HeadError> {
        Framing::of(&self.fields, self.version, &self.headers)
    }

    /// Whether the client waits for a 100 (Continue) before it sends the body (RFC 9110 section
    /// 10.1.1). Not in HTTP/1.0.
    ///
    /// # Errors
    /// [`HeadError::Expectation`] for any other expectation.
    pub fn expects_continue(&self) -> Result<bool, HeadError> {
        let lines = self.fields.expect;
        match (lines.count, lines.first) {
            _ if self.version == Version::Http10 => Ok(false),
            (0, _) => Ok(false),
            (1, Some(value)) if value.eq_ignore_ascii_case(b"100-continue") => Ok(true),
            _ => Err(HeadError::Expectation),
        }
    }

    /// Whether the connection goes on after the response (RFC 9112 section 9.3).
    #[must_use]
    pub fn persistence(&self) -> Persistence {
        let has = |name: &str| {
            let mut options = self.connection();
            options.any(|option| option.eq_ignore_ascii_case(name))
        };
        match self.version {
            _ if has("close") => Persistence::Close,
            Version::Http11 => Persistence::KeepAlive,
            Version::Http10 if has("keep-alive") => Persistence::KeepAliveNamed,
            Version::Http10 => Persistence::Close,
        }
    }

    /// Whether Upgrade names `protocol`, in any case and without a version. An upgrade in a request
    /// of HTTP/1.0 is ignored (RFC 9110 section 7.8).
    #[must_use]
    pub fn offers_upgrade(&self, protocol: &str) -> bool {
        self.version == Version::Http11
            && self.upgrade().any(|name| name.eq_ignore_ascii_case(protocol))
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

    /// The `name=value` pairs of the query, percent-decoded; see [`query_pairs`].
    #[must_use]
    pub fn query_pairs(&self) -> QueryPairs<'a> {
        query_pairs(self.query.unwrap_or_default())
    }

    /// The cookies of all Cookie lines.
    #[must_use]
    pub fn cookies(&self) -> Cookies<'a> {
        Cookies::new(self.headers())
    }

    /// Whether there is an Upgrade header.
    #[must_use]
    pub const fn has_upgrade(&self) -> bool {
        self.fields.upgrade.count > 0
    }

    /// The protocols in Upgrade (RFC 9110 section 7.8).
    #[must_use]
    pub fn upgrade(&self) -> Elements<'a> {
        self.fields.upgrade.elements("upgrade", &self.headers)
    }

    /// The options in Connection (RFC 9110 section 7.6.1).
    #[must_use]
    pub fn connection(&self) -> Elements<'a> {
        self.fields.connection.elements("connection", &self.headers)
    }
}
