//! Where a request ends, and whether another one may follow it (RFC 9112 sections 6 and 9.3).

use super::error::HeadError;
use super::fields::HttpFields;
use super::headers::Headers;
use super::version::Version;

/// How the body of a request is framed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// There is no body.
    None,
    /// The body has so many bytes, at least one.
    Length(u64),
    /// The body comes in chunks, each with its length (RFC 9112 section 7.1).
    Chunked,
}

/// Whether a connection goes on after a response, and whether the response has to say so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Persistence {
    /// It ends.
    Close,
    /// It goes on, which is the default in HTTP/1.1.
    KeepAlive,
    /// It goes on because the client of HTTP/1.0 has asked for that, and is told so.
    KeepAliveNamed,
}

impl Framing {
    pub(super) fn of(
        fields: &HttpFields<'_>,
        version: Version,
        headers: &Headers<'_>,
    ) -> Result<Self, HeadError> {
        if fields.transfer_encoding.count > 0 {
            if fields.content_length.count > 0 {
                return Err(HeadError::BadLength);
            }
            return if version == Version::Http10 {
                Err(HeadError::BadEncoding)
            } else {
                coding(fields, headers)
            };
        }
        match (fields.content_length.count, fields.content_length.first) {
            (0, _) => Ok(Self::None),
            (1, Some(value)) => match length(value).ok_or(HeadError::BadLength)? {
                0 => Ok(Self::None),
                length => Ok(Self::Length(length)),
            },
            _ => Err(HeadError::BadLength),
        }
    }
}

/// The body is chunked, if that is the only coding.
fn coding(fields: &HttpFields<'_>, headers: &Headers<'_>) -> Result<Framing, HeadError> {
    let mut codings = fields.transfer_encoding.elements("transfer-encoding", headers);
    let (mut count, mut chunked, mut ends_chunked) = (0, 0, false);
    while let Some(coding) = codings.next_bytes() {
        ends_chunked = coding.eq_ignore_ascii_case(b"chunked");
        count += 1;
        chunked += usize::from(ends_chunked);
    }
    match (count, chunked) {
        (1, 1) if fields.transfer_encoding.count == 1 => Ok(Framing::Chunked),
        (2.., 1) if ends_chunked => Err(HeadError::UnknownEncoding),
        _ => Err(HeadError::BadEncoding),
    }
}

/// A decimal number without a sign or leading zeros. One above 64 bits counts as the largest.
fn length(value: &[u8]) -> Option<u64> {
    let is_sound = match value {
        [] => false,
        [b'0'] => true,
        [first, ..] => *first != b'0' && value.iter().all(u8::is_ascii_digit),
    };
    let add = |sum: u64, digit: &u8| sum.saturating_mul(10).saturating_add(u64::from(digit - b'0'));
    is_sound.then(|| value.iter().fold(0, add))
}
