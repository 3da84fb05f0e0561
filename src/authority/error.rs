//! Why a client is not let in.

use std::fmt;

use crate::protocol::http::Status;
use crate::protocol::websocket::handshake::Rejection;

/// Why what a client has shown is not accepted. The text is a line for a person, without any part
/// of the token.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TokenError {
    /// It has shown nothing.
    Missing,
    /// It has shown nothing, and only API keys are accepted.
    MissingApiKey,
    /// It has shown several that differ.
    Several,
    /// It is longer than [`MAX_TOKEN`](super::MAX_TOKEN).
    TooLong,
    /// It is no JSON Web Token; the text says what is wrong.
    Malformed(&'static str),
    /// Its algorithm is not accepted.
    Algorithm,
    /// No key has the `kid` that it names, or it names none and all keys have one.
    UnknownKey,
    /// Its signature is not that of the key.
    Signature,
    /// A claim is missing or has a wrong value; the text says which.
    Claim(String),
    /// Its time is over.
    Expired,
    /// Its time has not begun.
    NotYet,
    /// It is for another audience.
    Audience,
    /// It is for an audience, and the server has none.
    NoAudience,
    /// No API key is this one.
    ApiKey,
    /// Such credentials are not accepted here; the text says which are.
    Unsupported(&'static str),
    /// It is refused for another reason: one line.
    Refused(String),
}

impl TokenError {
    /// The status of the answer.
    #[must_use]
    pub const fn status(&self) -> Status {
        match self {
            Self::Several => Status::BAD_REQUEST,
            _ => Status::UNAUTHORIZED,
        }
    }

    /// The same for the log and for statistics, without what the client has sent.
    pub(super) const fn rejection(&self) -> Rejection {
        match self {
            Self::Missing | Self::MissingApiKey | Self::Unsupported(_) | Self::Refused(_) => {
                Rejection::Unauthorized
            }
            Self::Several => Rejection::SeveralTokens,
            Self::TooLong | Self::Malformed(_) | Self::Claim(_) => Rejection::TokenInvalid,
            Self::Algorithm => Rejection::TokenAlgorithm,
            Self::UnknownKey => Rejection::TokenKey,
            Self::Signature => Rejection::TokenSignature,
            Self::Expired => Rejection::TokenExpired,
            Self::NotYet => Rejection::TokenNotYet,
            Self::Audience | Self::NoAudience => Rejection::TokenAudience,
            Self::ApiKey => Rejection::ApiKey,
        }
    }
}

impl fmt::Display for TokenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => f.write_str(
                "A token is needed: in the header Authorization (Bearer), the parameter \
                 access_token, the subprotocol bearer.<token>, or a cookie that the server names.",
            ),
            Self::MissingApiKey => f.write_str("An API key is needed, in the header X-API-Key."),
            Self::Several => {
                f.write_str("There are several tokens that differ, or a token and an API key.")
            }
            Self::TooLong => f.write_str("The token is longer than 8 KiB."),
            Self::Malformed(what) => write!(f, "The token is not valid: {what}."),
            Self::Algorithm => f.write_str("The algorithm of the token is not accepted here."),
            Self::UnknownKey => f.write_str("No key fits the token: its kid is not known."),
            Self::Signature => f.write_str("The signature of the token is wrong."),
            Self::Claim(what) => write!(f, "The token is not valid: {what}."),
            Self::Expired => f.write_str("The token has expired."),
            Self::NotYet => f.write_str("The token is not valid yet."),
            Self::Audience => f.write_str("The token is for another audience."),
            Self::NoAudience => f.write_str(
                "The token is for an audience (aud), and this server has none; \
                 --token-audience sets it.",
            ),
            Self::ApiKey => f.write_str("The API key is not known."),
            Self::Unsupported(text) => f.write_str(text),
            Self::Refused(text) => f.write_str(text),
        }
    }
}

impl std::error::Error for TokenError {}
