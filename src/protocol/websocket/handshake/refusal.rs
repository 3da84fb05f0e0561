//! An application's refusal of a handshake.

use super::rejection::Rejection;
use crate::protocol::http;
use crate::protocol::http::{HeadError, Persistence, Response};

/// Why a handshake is refused, and the response to send: that of a [`Rejection`], the same with a
/// line of the application's own, or any [`Response`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Refusal {
    /// The reason, for the log and for statistics.
    pub rejection: Rejection,
    answer: Answer,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Answer {
    /// That of the rejection.
    Default,
    /// That of the rejection, with this line as the body.
    Line(String),
    Response(Box<Response>),
}

impl Refusal {
    /// The response of `rejection`, with `line` as its body instead of
    /// [`Rejection::reason`]. The client reads the line, so it must not contain a secret.
    #[must_use]
    pub fn saying(rejection: Rejection, line: impl Into<String>) -> Self {
        Self { rejection, answer: Answer::Line(line.into()) }
    }

    /// 400, with a line that says what was wrong and what to send instead.
    #[must_use]
    pub fn bad_request(line: impl Into<String>) -> Self {
        Self::saying(Rejection::BadRequest, line)
    }

    /// The response, for a request that is no handshake.
    pub(crate) fn into_response(self) -> Response {
        match self.answer {
            Answer::Default => self.rejection.response(),
            Answer::Line(line) => self.rejection.response().with_body(line.into_bytes()),
            Answer::Response(response) => *response,
        }
    }

    /// What the client is told, if that is a text that says more than the reason does. What an
    /// application answers is left out: nobody knows what it has in it.
    pub(crate) fn line(&self) -> Option<&str> {
        match &self.answer {
            Answer::Response(_) if matches!(self.rejection, Rejection::Application(_)) => None,
            Answer::Response(response) => response.body_text(),
            Answer::Line(line) => Some(line),
            Answer::Default => None,
        }
    }

    /// Appends the complete HTTP/1.1 response to `out`. The connection must be closed after it.
    pub fn write_response(&self, out: &mut Vec<u8>) {
        self.write_response_to(false, out);
    }

    /// The same. The response to a request with the method HEAD has no body (RFC 9110 section
    /// 9.3.2).
    pub fn write_response_to(&self, is_to_head: bool, out: &mut Vec<u8>) {
        let answer = http::Answer { persistence: Persistence::Close, is_to_head };
        let rejection = self.rejection;
        match &self.answer {
            Answer::Default => rejection.write_response_with(rejection.reason(), out, answer),
            Answer::Line(line) => rejection.write_response_with(line, out, answer),
            Answer::Response(response) => response.write_for(out, answer),
        }
    }
}

impl From<Rejection> for Refusal {
    fn from(rejection: Rejection) -> Self {
        Self { rejection, answer: Answer::Default }
    }
}

impl From<HeadError> for Refusal {
    fn from(error: HeadError) -> Self {
        Rejection::from(error).into()
    }
}

/// Refuses with this response; the reason is [`Rejection::Application`].
impl From<Response> for Refusal {
    fn from(response: Response) -> Self {
        let rejection = Rejection::Application(response.status());
        Self { rejection, answer: Answer::Response(Box::new(response)) }
    }
}
