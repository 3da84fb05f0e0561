//! Response heads, for clients (RFC 9112 section 4).

use std::mem::MaybeUninit;

use super::error::HeadError;
use super::head::{check_bytes, check_complete, header_lines};
use super::headers::Headers;
use super::limits::{HARD_MAX_HEADERS, HeadLimits};
use super::version::Version;

/// A response head, borrowing from the received bytes.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ResponseHead<'a> {
    /// The version.
    pub version: Version,
    /// The status code, three digits as sent: also interim ones and codes above 599.
    pub status: u16,
    headers: Headers<'a>,
}

impl<'a> ResponseHead<'a> {
    /// Parses a head, which must be exactly the bytes that a
    /// [`HeadScanner`](super::HeadScanner) delimited. Nothing is allocated.
    ///
    /// # Errors
    /// The first fault, as of [`RequestHead::parse`](super::RequestHead::parse).
    pub fn parse(head: &'a [u8], limits: &HeadLimits) -> Result<Self, HeadError> {
        check_bytes(head, limits)?;
        let mut slots = [const { MaybeUninit::uninit() }; HARD_MAX_HEADERS];
        let slots = slots.get_mut(..limits.header_lines()).unwrap_or_default();
        let mut raw = httparse::Response::new(&mut []);
        let parsed = httparse::ParserConfig::default()
            .parse_response_with_uninit_headers(&mut raw, head, slots);
        check_complete(parsed, head)?;
        Ok(Self {
            version: Version::from_minor(raw.version)?,
            status: raw.code.ok_or(HeadError::StatusLine)?,
            headers: header_lines(head),
        })
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
}
