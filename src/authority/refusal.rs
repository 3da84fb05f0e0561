//! The answers to handshakes that are refused (RFC 6750 section 3).

use super::error::TokenError;
use crate::protocol::http::{Response, Status};
use crate::protocol::websocket::handshake::{Refusal, Rejection};

const AUTHENTICATE: &str = "WWW-Authenticate";

/// What a client is answered that has shown nothing, or nothing that is accepted.
pub(crate) fn refuse(error: &TokenError) -> Refusal {
    let challenge = match error {
        TokenError::Several => r#"Bearer error="invalid_request""#,
        TokenError::Missing | TokenError::MissingApiKey => "Bearer",
        _ => r#"Bearer error="invalid_token""#,
    };
    answer(error.rejection(), error.status(), challenge, &error.to_string())
}

/// What a client is answered that may not do what it asks for.
pub(crate) fn forbidden(line: &str) -> Refusal {
    let challenge = r#"Bearer error="insufficient_scope""#;
    answer(Rejection::TokenScope, Status::FORBIDDEN, challenge, line)
}

fn answer(rejection: Rejection, status: Status, challenge: &str, line: &str) -> Refusal {
    let response = Response::text(status, format!("{line}\n"));
    let mut refusal = Refusal::from(response.with_known_header(AUTHENTICATE, challenge));
    refusal.rejection = rejection;
    refusal
}
