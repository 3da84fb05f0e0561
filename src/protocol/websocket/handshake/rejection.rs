//! The reasons to refuse an opening handshake, and the HTTP response to each.

use std::fmt;

use crate::protocol::http::{
    Answer, BodyError, Content, HeadError, Response, Status, write_response,
};

/// Why a request is refused.
///
/// The connection is always closed after the response: a request that was not understood leaves
/// the position of the next one unknown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Rejection {
    /// The head is not acceptable as HTTP/1.1 without a body (RFC 6455 section 4.2.1, item 1).
    Http(HeadError),
    /// The body of a request is not acceptable (RFC 9112 section 6).
    Body(BodyError),
    /// Bytes follow the head before the handshake is complete (RFC 6455 section 4.1).
    EarlyData,
    /// The method is not GET (RFC 6455 section 4.2.1, item 1).
    Method,
    /// Upgrade does not offer `websocket` (RFC 6455 section 4.2.1, item 3).
    NotWebSocket,
    /// Upgrade is not a list of protocols (RFC 9110 section 7.8).
    BadUpgrade,
    /// Connection does not name `upgrade` (RFC 6455 section 4.2.1, item 4).
    NoConnectionUpgrade,
    /// Connection is not a list of tokens (RFC 9110 section 7.6.1).
    BadConnection,
    /// There is no Sec-WebSocket-Version (RFC 6455 section 4.2.1, item 6).
    MissingVersion,
    /// There is more than one Sec-WebSocket-Version (RFC 6455 section 11.3.5).
    DuplicateVersion,
    /// Sec-WebSocket-Version is not a number from 0 to 255 (RFC 6455 section 4.3).
    BadVersion,
    /// The protocol version is not 13 (RFC 6455 section 4.4).
    UnsupportedVersion,
    /// There is no Sec-WebSocket-Key (RFC 6455 section 4.2.1, item 5).
    MissingKey,
    /// There is more than one Sec-WebSocket-Key (RFC 6455 section 11.3.1).
    DuplicateKey,
    /// Sec-WebSocket-Key is not base64 of 16 bytes (RFC 6455 section 4.2.1, item 5).
    BadKey,
    /// There is more than one Origin (RFC 6454 section 7.3).
    DuplicateOrigin,
    /// Origin is empty or contains a space or a byte that is not ASCII (RFC 6454 section 7.1).
    BadOrigin,
    /// Sec-WebSocket-Protocol is not a list of tokens (RFC 6455 section 4.3).
    BadProtocol,
    /// A subprotocol is offered twice (RFC 6455 section 4.1, item 10).
    DuplicateProtocol,
    /// More than 64 subprotocols are offered (RFC 6585 section 5).
    TooManyProtocols,
    /// The lines of Sec-WebSocket-Extensions together have more than 64 extensions and parameters
    /// (431).
    TooManyExtensions,
    /// Sec-WebSocket-Extensions does not follow its grammar (RFC 6455 section 9.1).
    BadExtensions,
    /// The server's configuration does not allow this Origin (RFC 6455 section 4.2.2, item 4).
    Origin,
    /// The client has shown no token that is accepted (RFC 9110 section 15.5.2).
    Unauthorized,
    /// The token of the client is malformed, or a claim is missing or wrong.
    TokenInvalid,
    /// The algorithm of the token is not accepted.
    TokenAlgorithm,
    /// No key has the name that the token gives.
    TokenKey,
    /// The signature of the token is wrong.
    TokenSignature,
    /// The token has expired.
    TokenExpired,
    /// The token is not valid yet.
    TokenNotYet,
    /// The token is for another audience.
    TokenAudience,
    /// The API key is not known.
    ApiKey,
    /// The client has shown several tokens that differ (RFC 6750 section 3.1).
    SeveralTokens,
    /// The token of the client does not allow what it asks for (RFC 6750 section 3.1).
    TokenScope,
    /// The backend that decides has refused the client, with this status.
    Backend(Status),
    /// The backend that decides did not answer in time, or not with a decision (RFC 9110 section
    /// 15.6.4).
    BackendFailed,
    /// Too many clients wait for the backend that decides (RFC 9110 section 15.6.4).
    BackendOverloaded,
    /// The application does not let this client connect (RFC 9110 section 15.5.4).
    Forbidden,
    /// Nothing is served at this path (RFC 6455 section 4.2.2, item 4).
    NotFound,
    /// The path, its query or what is offered is not understood (RFC 9110 section 15.5.1).
    BadRequest,
    /// The request did not arrive in time (RFC 9110 section 15.5.9).
    Timeout,
    /// A request without Upgrade for a path that only serves WebSocket (RFC 9110 section 15.5.22).
    UpgradeRequired,
    /// The server has no room for another connection, or is stopping (RFC 9110 section 15.6.4).
    Full,
    /// The server did not decide about the handshake in time (RFC 9110 section 15.6.4).
    Undecided,
    /// The application failed while it decided (RFC 9110 section 15.6.4).
    Failed,
    /// A limit of subscriptions is reached (RFC 9110 section 15.6.4).
    Subscriptions,
    /// The address of the client has as many connections as it may (RFC 6585 section 4).
    AddressConnections,
    /// The address of the client has begun as many connections in a short time as it may (RFC 6585
    /// section 4).
    AddressHandshakes,
    /// The application answered with a response of its own, of this status.
    Application(Status),
}

impl Rejection {
    /// The HTTP status: that of [`Application`](Self::Application) or
    /// [`Backend`](Self::Backend), else 400, 401, 403, 404, 405,
    /// 408, 413, 414, 417, 426, 429, 431, 501, 503 or 505.
    #[must_use]
    pub const fn status(self) -> Status {
        match self {
            Self::Application(status) | Self::Backend(status) => status,
            Self::Http(error) => error.status(),
            Self::Body(error) => error.status(),
            Self::Unauthorized
            | Self::TokenInvalid
            | Self::TokenAlgorithm
            | Self::TokenKey
            | Self::TokenSignature
            | Self::TokenExpired
            | Self::TokenNotYet
            | Self::TokenAudience
            | Self::ApiKey => Status::UNAUTHORIZED,
            Self::Origin | Self::Forbidden | Self::TokenScope => Status::FORBIDDEN,
            Self::NotFound => Status::NOT_FOUND,
            Self::Method => Status::METHOD_NOT_ALLOWED,
            Self::Timeout => Status::REQUEST_TIMEOUT,
            Self::NotWebSocket | Self::UnsupportedVersion | Self::UpgradeRequired => {
                Status::UPGRADE_REQUIRED
            }
            Self::TooManyProtocols | Self::TooManyExtensions => {
                Status::REQUEST_HEADER_FIELDS_TOO_LARGE
            }
            Self::Full
            | Self::Undecided
            | Self::Failed
            | Self::Subscriptions
            | Self::BackendFailed
            | Self::BackendOverloaded => Status::SERVICE_UNAVAILABLE,
            Self::AddressConnections | Self::AddressHandshakes => Status::TOO_MANY_REQUESTS,
            _ => Status::BAD_REQUEST,
        }
    }

    /// One line for a person: the fault and, where it helps, the remedy.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Http(error) => error.reason(),
            Self::Body(error) => error.reason(),
            Self::EarlyData => "Bytes follow the request; wait for the 101 answer first.",
            Self::Method => "The method is not supported; use GET.",
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
            Self::TooManyExtensions => "Sec-WebSocket-Extensions offers too much.",
            Self::BadExtensions => "The Sec-WebSocket-Extensions header is malformed.",
            Self::Origin => "This origin is not allowed to connect.",
            Self::Unauthorized => "A valid token is needed.",
            Self::TokenInvalid => "The token is malformed, or a claim is missing or wrong.",
            Self::TokenAlgorithm => "The algorithm of the token is not accepted here.",
            Self::TokenKey => "No key fits the token: its kid is not known.",
            Self::TokenSignature => "The signature of the token is wrong.",
            Self::TokenExpired => "The token has expired.",
            Self::TokenNotYet => "The token is not valid yet.",
            Self::TokenAudience => "The token is for another audience.",
            Self::ApiKey => "The API key is not known.",
            Self::SeveralTokens => {
                "There are several tokens that differ, or a token and an API key."
            }
            Self::TokenScope => "The token does not allow what the client asks for.",
            Self::Backend(_) => "The backend of the server has refused this client.",
            Self::BackendFailed => {
                "Whether this client may connect cannot be found out now; try again later."
            }
            Self::BackendOverloaded => {
                "Too many clients ask to connect at this moment; try again later."
            }
            Self::Forbidden => "This client is not allowed to connect.",
            Self::NotFound => "Nothing is served under this path.",
            Self::BadRequest => "The path, its query or a subprotocol is not what is served.",
            Self::Timeout => "The request took too long to arrive.",
            Self::UpgradeRequired => "This path speaks WebSocket only; send an upgrade request.",
            Self::Full => "The server is full or stopping; try again later.",
            Self::Undecided => "The server did not decide in time; try again later.",
            Self::Failed => "The server failed to decide; try again later.",
            Self::Subscriptions => "A limit of subscriptions is reached; try again later.",
            Self::AddressConnections => "Your address has too many connections; close some.",
            Self::AddressHandshakes => "Your address connects too often; try again later.",
            Self::Application(_) => "The application refused the request.",
        }
    }

    /// The header lines that the status requires.
    const fn headers(self) -> &'static [u8] {
        match self {
            Self::Application(_) | Self::Backend(_) => b"",
            _ => match self.status().code() {
                401 => b"WWW-Authenticate: Bearer\r\n",
                405 => b"Allow: GET\r\n",
                426 => b"Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n",
                429 | 503 => b"Retry-After: 1\r\n",
                _ => b"",
            },
        }
    }

    /// The response, for a request after which the connection may go on.
    #[must_use]
    pub fn response(self) -> Response {
        let body = format!("{}\n", self.reason());
        Response::text(self.status(), body).with_lines(self.headers())
    }

    /// Appends the complete HTTP/1.1 response to `out`. The connection must be closed after it.
    ///
    /// The body is [`reason`](Self::reason) and a line feed.
    pub fn write_response(&self, out: &mut Vec<u8>) {
        self.write_response_with(self.reason(), out, Answer::CLOSING);
    }

    /// As [`write_response`](Self::write_response), with `line` as the body.
    pub(super) fn write_response_with(self, line: &str, out: &mut Vec<u8>, answer: Answer) {
        let headers = self.headers();
        // A sender of Upgrade must name it in Connection too (RFC 9110 section 7.8).
        let upgrade = headers.starts_with(b"Upgrade:");
        let body: &[&[u8]] = &[line.as_bytes(), b"\n"];
        write_response(out, self.status(), headers, upgrade, &Content::text(body), answer);
    }
}

impl From<HeadError> for Rejection {
    fn from(error: HeadError) -> Self {
        match error {
            HeadError::TrailingBytes => Self::EarlyData,
            other => Self::Http(other),
        }
    }
}

impl From<BodyError> for Rejection {
    fn from(error: BodyError) -> Self {
        Self::Body(error)
    }
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.reason())
    }
}

impl std::error::Error for Rejection {}
