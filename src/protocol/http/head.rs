//! The syntax that heads of requests and of responses share.

use super::error::HeadError;
use super::headers::Headers;
use super::limits::HeadLimits;

/// Checks what httparse is lenient about, so that parsing is strict also without the scanner: the
/// length, the first byte, and that each line ends with CRLF.
pub(super) fn check_bytes(head: &[u8], limits: &HeadLimits) -> Result<(), HeadError> {
    if head.len() > limits.max_bytes {
        return Err(HeadError::TooLarge);
    }
    match head.first() {
        None => return Err(HeadError::Incomplete),
        Some(b'\r' | b'\n') => return Err(HeadError::LeadingEmptyLine),
        Some(b'A'..=b'Z') => {}
        Some(_) => return Err(HeadError::NotHttp),
    }
    if memchr::memchr(b'\r', head).unwrap_or(head.len()) > limits.max_line {
        return Err(HeadError::LineTooLong);
    }
    // The first byte is no LF, so each LF has a byte before it. The loop has no early exit so that
    // the compiler can vectorise it.
    let before = head.iter();
    let bytes = head.iter().skip(1);
    let bare = before
        .zip(bytes)
        .fold(false, |bare, (&before, &byte)| bare | ((byte == b'\n') & (before != b'\r')));
    if bare { Err(HeadError::BareLf) } else { Ok(()) }
}

/// Checks that httparse found the end of the head at the end of the bytes.
pub(super) fn check_complete(
    parsed: httparse::Result<usize>,
    head: &[u8],
) -> Result<(), HeadError> {
    match parsed {
        Ok(httparse::Status::Complete(len)) if len == head.len() => Ok(()),
        Ok(httparse::Status::Complete(_)) => Err(HeadError::TrailingBytes),
        Ok(httparse::Status::Partial) => Err(HeadError::Incomplete),
        Err(httparse::Error::HeaderName) => Err(HeadError::HeaderName),
        Err(httparse::Error::HeaderValue) => Err(HeadError::HeaderValue),
        Err(httparse::Error::NewLine) => Err(HeadError::BareCr),
        Err(httparse::Error::TooManyHeaders) => Err(HeadError::TooManyHeaders),
        Err(httparse::Error::Version) => Err(version_error(head)),
        Err(httparse::Error::Status) => Err(HeadError::StatusLine),
        Err(httparse::Error::Token) => Err(HeadError::RequestLine),
    }
}

/// Why a version is not accepted: because it is no version, or one that is not supported.
fn version_error(head: &[u8]) -> HeadError {
    let line = memchr::memchr(b'\r', head).and_then(|end| head.get(..end)).unwrap_or(head);
    let mut words = line.split(|&byte| byte == b' ').skip(2);
    let (Some(version), None) = (words.next(), words.next()) else { return HeadError::Version };
    match version.strip_prefix(b"HTTP/") {
        Some([b'0'..=b'9'] | [b'0'..=b'9', b'.', b'0'..=b'9']) => HeadError::UnsupportedVersion,
        _ => HeadError::Version,
    }
}

/// The header lines of a head that was parsed without a fault.
pub(super) fn header_lines(head: &[u8]) -> Headers<'_> {
    let end = memchr::memchr(b'\n', head).map_or(head.len(), |at| at + 1);
    Headers::new(head.get(end..).unwrap_or_default())
}
