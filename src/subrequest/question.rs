//! What the backend is asked about one client.

use std::borrow::Cow;

use ring::digest;

use super::headers::is_passed_on;
use crate::authority::Credential;
use crate::protocol::websocket::handshake::Request;

/// What identifies a question: a hash of all that the backend is sent.
pub(super) type Key = [u8; 32];

/// The headers of a subrequest, and what its answer is judged with.
#[derive(Debug)]
pub(super) struct Question {
    /// The lines of the headers, each a name, a colon, a value and a line feed: neither a name nor
    /// a value has one.
    lines: Vec<u8>,
    /// The most bytes of a topic or filter.
    pub(super) max_topic: usize,
}

impl Question {
    /// About the client of this request, which shows this credential.
    pub(super) fn new(
        request: &Request<'_>,
        credential: Option<&Credential<'_>>,
        max_topic: usize,
    ) -> Self {
        let mut lines = Vec::with_capacity(512);
        let mut add = |name: &str, value: &[u8]| {
            for part in [name.as_bytes(), b":", value, b"\n"] {
                lines.extend_from_slice(part);
            }
        };
        let mut has_authorization = false;
        for (name, value) in request.headers().filter(|(name, _)| is_passed_on(name)) {
            has_authorization |= name.eq_ignore_ascii_case("authorization");
            add(name, value);
        }
        // A browser can set no header, so its token may be elsewhere.
        if let (Some(Credential::Token(token)), false) = (credential, has_authorization)
            && is_header_value(token)
        {
            add("Authorization", format!("Bearer {token}").as_bytes());
        }
        add("X-Original-Method", b"GET");
        add("X-Original-URI", request.target.as_bytes());
        add("X-Forwarded-Host", request.host.as_bytes());
        if let Some(address) = request.client_addr {
            add("X-Forwarded-For", address.to_canonical().to_string().as_bytes());
        }
        Self { lines, max_topic }
    }

    /// One with nothing in it.
    #[cfg(test)]
    pub(super) const fn empty(max_topic: usize) -> Self {
        Self { lines: Vec::new(), max_topic }
    }

    /// The headers.
    pub(super) fn headers(&self) -> impl Iterator<Item = (Cow<'_, str>, &[u8])> {
        let lines = self.lines.split(|&byte| byte == b'\n').filter(|line| !line.is_empty());
        lines.filter_map(|line| {
            let at = line.iter().position(|&byte| byte == b':')?;
            Some((String::from_utf8_lossy(&line[..at]), &line[at + 1..]))
        })
    }

    pub(super) fn key(&self) -> Key {
        let mut key = Key::default();
        let hash = digest::digest(&digest::SHA256, &self.lines);
        key.copy_from_slice(hash.as_ref());
        key
    }

    /// The bytes that it takes.
    pub(super) fn memory(&self) -> usize {
        size_of::<Self>() + self.lines.capacity()
    }
}

/// Whether a text that was percent-encoded may be in a header (RFC 9110 section 5.5).
fn is_header_value(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_graphic())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::http::HeadLimits;
    use crate::protocol::websocket::handshake::{Parsed, parse};

    fn question(target: &str, headers: &str) -> Question {
        let head = format!(
            "GET {target} HTTP/1.1\r\nHost: example.org\r\nUpgrade: websocket\r\n\
             Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
             Sec-WebSocket-Version: 13\r\n{headers}\r\n"
        );
        let Ok(Parsed::Upgrade(mut request)) = parse(head.as_bytes(), &HeadLimits::default())
        else {
            panic!("{head}");
        };
        request.client_addr = Some("::ffff:192.0.2.7".parse().unwrap());
        let found = crate::authority::find_credential(&request, None).unwrap();
        Question::new(&request, found.as_ref(), 255)
    }

    fn lines(question: &Question) -> Vec<String> {
        let line = |(name, value): (Cow<'_, str>, &[u8])| {
            format!("{name}: {}", String::from_utf8_lossy(value))
        };
        question.headers().map(line).collect()
    }

    #[test]
    fn the_backend_is_sent_what_the_client_has_sent_and_who_it_is() {
        let one = question(
            "/pubsub?room=1",
            "Cookie: session=abc\r\nX-Forwarded-For: 127.0.0.1\r\nX-Original-URI: /open\r\n",
        );
        let expected = [
            "Cookie: session=abc",
            "X-Original-Method: GET",
            "X-Original-URI: /pubsub?room=1",
            "X-Forwarded-Host: example.org",
            "X-Forwarded-For: 192.0.2.7",
        ];
        assert_eq!(lines(&one), expected);
    }

    #[test]
    fn a_token_is_sent_as_a_header_wherever_it_was() {
        for (target, headers) in [
            ("/?access_token=secret", ""),
            ("/", "Sec-WebSocket-Protocol: bearer.secret\r\n"),
            ("/", "Authorization: Bearer secret\r\n"),
        ] {
            let all = lines(&question(target, headers));
            let sent = all.iter().filter(|line| *line == "Authorization: Bearer secret");
            assert_eq!(sent.count(), 1, "{all:?}");
        }
        // No line can be made by a token.
        let all = lines(&question("/?access_token=a%0aX-Forwarded-For:%20127.0.0.1", ""));
        assert!(!all.iter().any(|line| line.starts_with("Authorization")), "{all:?}");
        assert_eq!(all.iter().filter(|line| line.starts_with("X-Forwarded-For")).count(), 1);
    }

    #[test]
    fn only_the_same_question_has_the_same_key() {
        let key = |target, headers| question(target, headers).key();
        let one = key("/pubsub", "Cookie: a=b\r\n");
        assert_eq!(one, key("/pubsub", "Cookie: a=b\r\n"));
        assert_eq!(one, key("/pubsub", "Cookie: a=b\r\nSec-WebSocket-Extensions: x\r\n"));
        for (target, headers) in [
            ("/pubsub?", "Cookie: a=b\r\n"),
            ("/pubsub", "Cookie: a=c\r\n"),
            ("/pubsub", ""),
            ("/pubsub", "Cookie: a=b\r\nOrigin: https://example.org\r\n"),
        ] {
            assert_ne!(one, key(target, headers), "{target} {headers}");
        }
    }
}
