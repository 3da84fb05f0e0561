//! The faults of a message head.

use std::fmt;

use super::status::Status;

/// Why a message head is not accepted. The connection must be closed after it: the position of the
/// next message is unknown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum HeadError {
    /// The first byte begins no HTTP method (RFC 9112 section 3).
    NotHttp,
    /// The first byte is that of TLS, which this connection does not speak. It is answered in TLS.
    Tls,
    /// It is a header of the PROXY protocol, which this connection does not take.
    ProxyHeader,
    /// More than one empty line precedes the first line (RFC 9112 section 2.2).
    LeadingEmptyLine,
    /// A line ends with LF alone (RFC 9112 section 2.2).
    BareLf,
    /// A CR is not followed by LF (RFC 9112 section 2.2).
    BareCr,
    /// The head contains NUL or another control byte (RFC 9110 section 5.5).
    ControlByte,
    /// A header line is continued on the next line (RFC 9112 section 5.2).
    FoldedLine,
    /// The head is longer than [`HeadLimits::max_bytes`](super::HeadLimits) (RFC 6585 section 5).
    TooLarge,
    /// The first line is longer than [`HeadLimits::max_line`](super::HeadLimits) (RFC 9110 section
    /// 15.5.15).
    LineTooLong,
    /// There are more header lines than [`HeadLimits::max_headers`](super::HeadLimits)
    /// (RFC 6585 section 5).
    TooManyHeaders,
    /// The bytes end before the head does (RFC 9112 section 8).
    Incomplete,
    /// Bytes follow the end of the head.
    TrailingBytes,
    /// The request line is not `method SP target SP version` (RFC 9112 section 3).
    RequestLine,
    /// The status line is not `version SP status SP [phrase]` (RFC 9112 section 4).
    StatusLine,
    /// The first line has no version of the form `HTTP/1.1` (RFC 9112 section 2.3).
    Version,
    /// The version is neither 1.0 nor 1.1 (RFC 9110 section 15.6.6).
    UnsupportedVersion,
    /// The target has none of the forms that its method allows (RFC 9112 section 3.2).
    Target,
    /// The authority of the target differs from Host (RFC 9112 section 3.2.2).
    TargetHost,
    /// A header line has no colon, no name, or a space in its name (RFC 9112 section 5.1).
    HeaderName,
    /// A header value contains a forbidden byte (RFC 9110 section 5.5).
    HeaderValue,
    /// There is no Host (RFC 9112 section 3.2).
    MissingHost,
    /// There is more than one Host (RFC 9112 section 3.2).
    DuplicateHost,
    /// Host is not `name`, `name:port` or `[IPv6]:port` (RFC 9110 section 7.2).
    BadHost,
    /// There is a Transfer-Encoding on a request that must have no body (RFC 9112 section 6.1).
    TransferEncoding,
    /// There is a Content-Length other than a single 0 on a request that must have no body
    /// (RFC 9112 section 6.3).
    ContentLength,
    /// Content-Length is not one decimal number, or there is a Transfer-Encoding as well (RFC 9112
    /// section 6.3).
    BadLength,
    /// Transfer-Encoding does not end in `chunked`, names it twice, or is in a request of HTTP/1.0
    /// (RFC 9112 section 6.1).
    BadEncoding,
    /// Transfer-Encoding names a coding besides `chunked` (RFC 9112 section 6.1).
    UnknownEncoding,
    /// Expect is not `100-continue` (RFC 9110 section 10.1.1).
    Expectation,
}

impl HeadError {
    /// The status of the response to such a request: 414 or 431 above a limit, 417, 501 or 505 for
    /// what is not supported, otherwise 400.
    #[must_use]
    pub const fn status(self) -> Status {
        match self {
            Self::TooLarge | Self::TooManyHeaders => Status::REQUEST_HEADER_FIELDS_TOO_LARGE,
            Self::LineTooLong => Status::URI_TOO_LONG,
            Self::Expectation => Status::EXPECTATION_FAILED,
            Self::UnknownEncoding => Status::NOT_IMPLEMENTED,
            Self::UnsupportedVersion => Status::VERSION_NOT_SUPPORTED,
            _ => Status::BAD_REQUEST,
        }
    }

    /// One line for a person: the fault and, where it helps, the remedy.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        match self {
            Self::NotHttp => "This is not HTTP; connect with a WebSocket client.",
            Self::Tls => "This port does not speak TLS; use ws:// or http://.",
            Self::ProxyHeader => {
                "This port takes no header of the PROXY protocol; have it listen with `,proxy`."
            }
            Self::LeadingEmptyLine => "Empty lines come before the request line; send one at most.",
            Self::BareLf => "A line ends with LF alone; end each line with CR LF.",
            Self::BareCr => "A CR is not followed by LF; end each line with CR LF.",
            Self::ControlByte => "The request head holds a control byte.",
            Self::FoldedLine => "A header is folded over two lines; send it on one.",
            Self::TooLarge => "The request head is too long; send fewer or shorter headers.",
            Self::LineTooLong => "The request line is too long; send a shorter path or query.",
            Self::TooManyHeaders => "The request has too many headers; send fewer.",
            Self::Incomplete => "The request head is incomplete; end it with an empty line.",
            Self::TrailingBytes => "Bytes follow the request head.",
            Self::RequestLine => "The request line is malformed; send GET <path> HTTP/1.1.",
            Self::StatusLine => "The status line is malformed.",
            Self::Version => "The request line does not end in a version; use HTTP/1.1.",
            Self::UnsupportedVersion => "This version of HTTP is not supported; use HTTP/1.1.",
            Self::Target => {
                "The request target is malformed; send a percent-encoded path from / on."
            }
            Self::TargetHost => "The host in the request target is not the one in Host.",
            Self::HeaderName => "A header line has no colon or a malformed name.",
            Self::HeaderValue => "A header value holds a forbidden byte.",
            Self::MissingHost => "The Host header is missing.",
            Self::DuplicateHost => "There is more than one Host header; send one.",
            Self::BadHost => "The Host header is malformed; send a name and maybe a port.",
            Self::TransferEncoding => "Transfer-Encoding is not allowed; send no body.",
            Self::ContentLength => "Content-Length is not allowed; send no body.",
            Self::BadLength => "Content-Length is malformed; send one decimal number alone.",
            Self::BadEncoding => "Transfer-Encoding is malformed; send chunked alone.",
            Self::UnknownEncoding => "This Transfer-Encoding is not supported; send chunked.",
            Self::Expectation => "This expectation is not supported; send 100-continue, or none.",
        }
    }
}

impl fmt::Display for HeadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.reason())
    }
}

impl std::error::Error for HeadError {}
