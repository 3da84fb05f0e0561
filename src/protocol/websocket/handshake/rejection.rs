//! Every reason to refuse an opening handshake, and the HTTP answer to each.

use std::fmt;

/// Why a request is refused.
///
/// The answer always ends the connection: after a request that was not understood, nobody can
/// tell where the next one begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Rejection {
    /// The first byte begins no HTTP method, as with TLS (RFC 9112 section 3).
    NotHttp,
    /// An empty line came before the request line (RFC 9112 section 2.2).
    LeadingEmptyLine,
    /// A line ended with LF alone (RFC 9112 section 2.2).
    BareLf,
    /// A CR was not followed by LF (RFC 9112 section 2.2).
    BareCr,
    /// A NUL or another control byte stood in the head (RFC 9110 section 5.5).
    ControlByte,
    /// A header line was continued on the next line (RFC 9112 section 5.2).
    FoldedLine,
    /// The head is longer than allowed (RFC 6585 section 5).
    HeadTooLarge,
    /// There are more header lines than allowed (RFC 6585 section 5).
    TooManyHeaders,
    /// The head ended too early (RFC 9112 section 8).
    Incomplete,
    /// Bytes came behind the head before the handshake was done (RFC 6455 section 4.1).
    EarlyData,
    /// The request line is not `method SP target SP version` (RFC 9112 section 3).
    RequestLine,
    /// What follows the target is not `HTTP/1.1` (RFC 6455 section 4.2.1, item 1).
    HttpVersion,
    /// The method is not GET (RFC 6455 section 4.2.1, item 1).
    Method,
    /// The target is no plain path and no http or ws URI (RFC 9112 section 3.2).
    Target,
    /// The authority of the target is not the one of Host (RFC 9112 section 3.2.2).
    TargetHost,
    /// A header line has no colon, no name, or a space in its name (RFC 9112 section 5.1).
    HeaderName,
    /// A header value has a forbidden byte (RFC 9110 section 5.5).
    HeaderValue,
    /// There is no Host (RFC 6455 section 4.2.1, item 2).
    MissingHost,
    /// There is more than one Host (RFC 9112 section 3.2).
    DuplicateHost,
    /// Host is not `name`, `name:port` or `[IPv6]:port` (RFC 9110 section 7.2).
    BadHost,
    /// There is a Transfer-Encoding: a handshake has no body (RFC 9112 section 6.1).
    TransferEncoding,
    /// There is a Content-Length other than a single 0 (RFC 9112 section 6.3).
    ContentLength,
    /// Upgrade does not offer `websocket` (RFC 6455 section 4.2.1, item 3).
    NotWebSocket,
    /// Upgrade is no list of protocols (RFC 9110 section 7.8).
    BadUpgrade,
    /// Connection does not name `upgrade` (RFC 6455 section 4.2.1, item 4).
    NoConnectionUpgrade,
    /// Connection is no list of tokens (RFC 9110 section 7.6.1).
    BadConnection,
    /// There is no Sec-WebSocket-Version (RFC 6455 section 4.2.1, item 6).
    MissingVersion,
    /// There is more than one Sec-WebSocket-Version (RFC 6455 section 11.3.5).
    DuplicateVersion,
    /// Sec-WebSocket-Version is no number from 0 to 255 (RFC 6455 section 4.3).
    BadVersion,
    /// The version of the protocol is not 13 (RFC 6455 section 4.4).
    UnsupportedVersion,
    /// There is no Sec-WebSocket-Key (RFC 6455 section 4.2.1, item 5).
    MissingKey,
    /// There is more than one Sec-WebSocket-Key (RFC 6455 section 11.3.1).
    DuplicateKey,
    /// Sec-WebSocket-Key is not base64 of 16 bytes (RFC 6455 section 4.2.1, item 5).
    BadKey,
    /// There is more than one Origin (RFC 6454 section 7.3).
    DuplicateOrigin,
    /// Origin is empty or has a space or a byte that is not ASCII (RFC 6454 section 7.1).
    BadOrigin,
    /// Sec-WebSocket-Protocol is no list of tokens (RFC 6455 section 4.3).
    BadProtocol,
    /// A subprotocol was offered twice (RFC 6455 section 4.1, item 10).
    DuplicateProtocol,
    /// More subprotocols were offered than any client needs (RFC 6585 section 5).
    TooManyProtocols,
    /// Sec-WebSocket-Extensions does not follow its grammar (RFC 6455 section 9.1).
    BadExtensions,
    /// This Origin may not connect (RFC 6455 section 4.2.2, item 4).
    Origin,
    /// The application does not let this client connect (RFC 9110 section 15.5.4).
    Forbidden,
    /// Nothing is served under this path (RFC 6455 section 4.2.2, item 4).
    NotFound,
    /// The application cannot make sense of the path or its query (RFC 9110 section 15.5.1).
    BadRequest,
    /// The request took too long to arrive (RFC 9110 section 15.5.9).
    Timeout,
    /// A plain GET for a path that only speaks WebSocket (RFC 9110 section 15.5.22).
    UpgradeRequired,
    /// The server has no room for another connection (RFC 9110 section 15.6.4).
    Full,
    /// The server did not decide about the handshake in time (RFC 9110 section 15.6.4).
    Undecided,
}

impl Rejection {
    /// The HTTP status: 400, 403, 404, 405, 408, 426, 431 or 503.
    #[must_use]
    pub const fn status(self) -> u16 {
        match self {
            Self::Origin | Self::Forbidden => 403,
            Self::NotFound => 404,
            Self::Method => 405,
            Self::Timeout => 408,
            Self::NotWebSocket | Self::UnsupportedVersion | Self::UpgradeRequired => 426,
            Self::HeadTooLarge | Self::TooManyHeaders | Self::TooManyProtocols => 431,
            Self::Full | Self::Undecided => 503,
            _ => 400,
        }
    }

    /// One line for a human: what was wrong and, where it helps, what to send instead.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        match self {
            Self::NotHttp => "This is not HTTP; connect with ws:// (no TLS on this port).",
            Self::LeadingEmptyLine => "An empty line comes before the request line.",
            Self::BareLf => "A line ends with LF alone; end each line with CR LF.",
            Self::BareCr => "A CR is not followed by LF; end each line with CR LF.",
            Self::ControlByte => "The request head holds a control byte.",
            Self::FoldedLine => "A header is folded over two lines; send it on one.",
            Self::HeadTooLarge => "The request head is too long; send fewer or shorter headers.",
            Self::TooManyHeaders => "The request has too many headers; send fewer.",
            Self::Incomplete => "The request head is incomplete; end it with an empty line.",
            Self::EarlyData => "Bytes follow the request; wait for the 101 answer first.",
            Self::RequestLine => "The request line is malformed; send GET <path> HTTP/1.1.",
            Self::HttpVersion => {
                "The request line does not end in a supported version; use HTTP/1.1."
            }
            Self::Method => "The method is not supported; use GET.",
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
            Self::NotWebSocket => "The Upgrade header does not offer websocket.",
            Self::BadUpgrade => "The Upgrade header is malformed; send websocket.",
            Self::NoConnectionUpgrade => "The Connection header does not name Upgrade.",
            Self::BadConnection => "The Connection header is malformed; send Upgrade.",
            Self::MissingVersion => "The Sec-WebSocket-Version header is missing; send 13.",
            Self::DuplicateVersion => "There is more than one Sec-WebSocket-Version; send one.",
            Self::BadVersion => "Sec-WebSocket-Version is not a single number; send 13.",
            Self::UnsupportedVersion => "This version of WebSocket is not supported; use 13.",
            Self::MissingKey => "The Sec-WebSocket-Key header is missing.",
            Self::DuplicateKey => "There is more than one Sec-WebSocket-Key; send one.",
            Self::BadKey => "Sec-WebSocket-Key is not base64 of 16 bytes.",
            Self::DuplicateOrigin => "There is more than one Origin header; send one.",
            Self::BadOrigin => "The Origin header is malformed.",
            Self::BadProtocol => "Sec-WebSocket-Protocol is not a list of names.",
            Self::DuplicateProtocol => "Sec-WebSocket-Protocol offers the same name twice.",
            Self::TooManyProtocols => "Sec-WebSocket-Protocol offers too many names.",
            Self::BadExtensions => "The Sec-WebSocket-Extensions header is malformed.",
            Self::Origin => "This origin is not allowed to connect.",
            Self::Forbidden => "This client is not allowed to connect.",
            Self::NotFound => "Nothing is served under this path.",
            Self::BadRequest => "The path or its query is not what is served here.",
            Self::Timeout => "The request took too long to arrive.",
            Self::UpgradeRequired => "This path speaks WebSocket only; send an upgrade request.",
            Self::Full => "The server is full; try again later.",
            Self::Undecided => "The server did not decide in time; try again later.",
        }
    }

    /// The status with its phrase and the header lines that this status demands.
    const fn opening(self) -> &'static str {
        match self.status() {
            403 => "403 Forbidden\r\n",
            404 => "404 Not Found\r\n",
            405 => "405 Method Not Allowed\r\nAllow: GET\r\n",
            408 => "408 Request Timeout\r\n",
            // RFC 9110 section 7.8: who sends Upgrade names it in Connection too.
            426 => "426 Upgrade Required\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n",
            431 => "431 Request Header Fields Too Large\r\n",
            503 => "503 Service Unavailable\r\nRetry-After: 1\r\n",
            _ => "400 Bad Request\r\n",
        }
    }

    /// Appends the complete HTTP/1.1 answer to `out`. The connection is to be closed after it.
    ///
    /// The body is [`reason`](Self::reason) and a line feed, also for a HEAD request: the close
    /// that follows keeps those bytes from being read as another answer.
    pub fn write_response(&self, out: &mut Vec<u8>) {
        self.write_response_saying(self.reason(), out);
    }

    fn write_response_saying(self, line: &str, out: &mut Vec<u8>) {
        let options = if self.status() == 426 { "Upgrade, close" } else { "close" };
        super::response::write(out, self.opening(), options, &[line, "\n"]);
    }
}

/// A [`Rejection`] with a line of the application's own.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Refusal {
    /// What kind it is, which decides the status.
    pub rejection: Rejection,
    /// What to say instead of [`Rejection::reason`]. Must hold no secret: the client reads it.
    pub line: Option<String>,
}

impl Refusal {
    /// A rejection that says this line instead of its own.
    #[must_use]
    pub fn saying(rejection: Rejection, line: impl Into<String>) -> Self {
        Self { rejection, line: Some(line.into()) }
    }

    /// 400, and a line that says what was wrong and what to send instead.
    #[must_use]
    pub fn bad_request(line: impl Into<String>) -> Self {
        Self::saying(Rejection::BadRequest, line)
    }

    /// Appends the complete HTTP/1.1 answer to `out`, as [`Rejection::write_response`] does.
    pub fn write_response(&self, out: &mut Vec<u8>) {
        let line = self.line.as_deref().unwrap_or_else(|| self.rejection.reason());
        self.rejection.write_response_saying(line, out);
    }
}

impl From<Rejection> for Refusal {
    fn from(rejection: Rejection) -> Self {
        Self { rejection, line: None }
    }
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.reason())
    }
}

impl std::error::Error for Rejection {}
