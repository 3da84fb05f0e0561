//! Responses to write (RFC 9112 section 4).

use std::borrow::Cow;

use super::framing::Persistence;
use super::header_list::{HeaderError, HeaderList};
use super::status::Status;

const PLAIN_TEXT: &str = "text/plain; charset=utf-8";

/// Headers that frame the message or describe the connection. The server writes those that it
/// needs; an application must not contradict them.
const RESERVED: [&str; 5] =
    ["connection", "content-length", "keep-alive", "trailer", "transfer-encoding"];

/// A complete response: status, headers, body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    status: Status,
    headers: HeaderList,
    /// The Content-Type to write; `None` without a body or if `headers` has it.
    content_type: Option<&'static str>,
    /// Whether `headers` has an Upgrade, which Connection must then name.
    upgrade: bool,
    body: Cow<'static, [u8]>,
}

impl Response {
    /// A response without a body.
    #[must_use]
    pub const fn new(status: Status) -> Self {
        let headers = HeaderList::new();
        Self { status, headers, content_type: None, upgrade: false, body: Cow::Borrowed(&[]) }
    }

    /// A response with a body of type `text/plain; charset=utf-8`.
    #[must_use]
    pub fn text(status: Status, body: impl Into<Cow<'static, str>>) -> Self {
        let body = match body.into() {
            Cow::Borrowed(text) => Cow::Borrowed(text.as_bytes()),
            Cow::Owned(text) => Cow::Owned(text.into_bytes()),
        };
        Self { content_type: Some(PLAIN_TEXT), body, ..Self::new(status) }
    }

    /// The response with a Content-Type that is known to be valid.
    pub(crate) fn with_type(self, content_type: &'static str) -> Self {
        Self { content_type: Some(content_type), ..self }
    }

    /// The response with this body. Its type is a header of its own: see
    /// [`with_header`](Self::with_header).
    #[must_use]
    pub fn with_body(self, body: impl Into<Cow<'static, [u8]>>) -> Self {
        Self { body: body.into(), ..self }
    }

    /// The response with one more header line; white space around the value is dropped. A
    /// Content-Type replaces that of [`text`](Self::text). An Upgrade is named in Connection too
    /// (RFC 9110 section 7.8).
    ///
    /// # Errors
    /// [`HeaderError::Name`] and [`HeaderError::Value`] for text that would not stay a single
    /// header line; [`HeaderError::Reserved`] for Connection, Content-Length, Keep-Alive, Trailer
    /// and Transfer-Encoding, which the server decides on.
    pub fn with_header(mut self, name: &str, value: impl AsRef<[u8]>) -> Result<Self, HeaderError> {
        if RESERVED.iter().any(|reserved| name.eq_ignore_ascii_case(reserved)) {
            return Err(HeaderError::Reserved);
        }
        self.headers.push(name, value)?;
        if name.eq_ignore_ascii_case("content-type") {
            self.content_type = None;
        }
        self.upgrade |= name.eq_ignore_ascii_case("upgrade");
        Ok(self)
    }

    /// The response with a header line whose name is known to be valid. A value that is not is left
    /// out.
    pub(crate) fn with_known_header(mut self, name: &'static str, value: &str) -> Self {
        let is_added = self.headers.push(name, value).is_ok();
        debug_assert!(is_added, "{name} has a valid value");
        self
    }

    /// The response with these complete lines, which are known to be valid.
    pub(crate) fn with_lines(mut self, lines: &'static [u8]) -> Self {
        self.upgrade |= lines.starts_with(b"Upgrade:");
        self.headers.push_lines(lines);
        self
    }

    /// The status.
    #[must_use]
    pub const fn status(&self) -> Status {
        self.status
    }

    /// The value of the first header line with this name, compared without case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&[u8]> {
        self.headers.iter().first(name)
    }

    /// The body, if it is one of [`text`](Self::text).
    pub(crate) fn body_text(&self) -> Option<&str> {
        let is_text = self.content_type == Some(PLAIN_TEXT);
        str::from_utf8(&self.body).ok().filter(|_| is_text)
    }

    /// Appends the response to `out`. It announces `Connection: close`: the connection must be
    /// closed after it. A body is left out for a status that allows none
    /// ([`Status::allows_body`]).
    pub fn write(&self, out: &mut Vec<u8>) {
        self.write_for(out, Answer::CLOSING);
    }

    /// The same as an answer of another kind.
    pub fn write_for(&self, out: &mut Vec<u8>, answer: Answer) {
        let headers = self.headers.as_bytes();
        let body: &[&[u8]] = &[&self.body];
        let content = Content { content_type: self.content_type, body };
        write_response(out, self.status, headers, self.upgrade, &content, answer);
    }
}

/// What a response is an answer to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer {
    /// What follows the response.
    pub persistence: Persistence,
    /// The request has the method HEAD: the response has the headers that it would have for GET,
    /// and no body (RFC 9110 section 9.3.2).
    pub is_to_head: bool,
}

impl Answer {
    /// The last response of a connection, to another method than HEAD.
    pub const CLOSING: Self = Self { persistence: Persistence::Close, is_to_head: false };
}

/// The body of a response, in parts, and its type.
pub(crate) struct Content<'a> {
    content_type: Option<&'a str>,
    body: &'a [&'a [u8]],
}

impl<'a> Content<'a> {
    /// A body of type `text/plain; charset=utf-8`.
    pub(crate) const fn text(parts: &'a [&'a [u8]]) -> Self {
        Self { content_type: Some(PLAIN_TEXT), body: parts }
    }
}

/// Appends a response. `headers` are complete lines; with `upgrade` they contain an Upgrade.
pub(crate) fn write_response(
    out: &mut Vec<u8>,
    status: Status,
    headers: &[u8],
    upgrade: bool,
    content: &Content<'_>,
    answer: Answer,
) {
    let mut put = |parts: &[&[u8]]| parts.iter().for_each(|part| out.extend_from_slice(part));
    let code = status.code().to_string();
    put(&[b"HTTP/1.1 ", code.as_bytes(), b" ", status.phrase().as_bytes(), b"\r\n", headers]);
    let after: &[u8] = match answer.persistence {
        Persistence::Close => b"close",
        Persistence::KeepAlive => b"",
        Persistence::KeepAliveNamed => b"keep-alive",
    };
    match (upgrade, after) {
        (false, b"") => {}
        (true, b"") => put(&[b"Connection: Upgrade\r\n"]),
        (true, after) => put(&[b"Connection: Upgrade, ", after, b"\r\n"]),
        (false, after) => put(&[b"Connection: ", after, b"\r\n"]),
    }
    if !status.allows_body() {
        // 204 and 304 have no Content-Length (RFC 9110 section 8.6); 205 has a body of length 0.
        let reset = status.code() == 205;
        return put(&[if reset { b"Content-Length: 0\r\n\r\n" } else { b"\r\n" }]);
    }
    if let Some(content_type) = content.content_type {
        put(&[b"Content-Type: ", content_type.as_bytes(), b"\r\n"]);
    }
    let length: usize = content.body.iter().map(|part| part.len()).sum();
    put(&[b"Content-Length: ", length.to_string().as_bytes(), b"\r\n\r\n"]);
    if !answer.is_to_head {
        put(content.body);
    }
}
