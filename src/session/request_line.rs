//! What the access log says of a request.

use crate::base::ConnectionId;
use crate::config::Config;

/// The longest method and path, in bytes. Longer ones are cut.
const MAX_METHOD: usize = 20;
const MAX_PATH: usize = 200;

/// The method and the path of a request. The query is left out: it may hold a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestLine {
    /// The method, as it was sent.
    pub method: Box<str>,
    /// The path, not decoded. Empty if the request is not understood.
    pub path: Box<str>,
}

/// A request that was answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answered {
    /// The connection.
    pub id: ConnectionId,
    /// The request, as far as it is known.
    pub line: RequestLine,
    /// 101, or the status of the response.
    pub status: u16,
}

impl RequestLine {
    /// Of a request of which this is the head, or its beginning; `None` unless it is to be logged.
    pub(super) fn of(head: &[u8], config: &Config) -> Option<Self> {
        config.access_log.then(|| Self::parse(head))
    }

    #[cold]
    fn parse(head: &[u8]) -> Self {
        let head = head.strip_prefix(b"\r\n").unwrap_or(head);
        let line = head.split(|byte| matches!(byte, b'\r' | b'\n')).next().unwrap_or_default();
        let words: Vec<&[u8]> = line.splitn(4, |byte| *byte == b' ').collect();
        // Anything else may be another protocol, and the words may be a password.
        let (method, path) = match words[..] {
            [method, target, version]
                if method.iter().all(u8::is_ascii_alphabetic) && version.starts_with(b"HTTP/") =>
            {
                (method, path_of(target))
            }
            _ => (&[][..], &[][..]),
        };
        Self { method: cut(method, MAX_METHOD), path: cut(path, MAX_PATH) }
    }
}

/// The path of a target, without the query, and of an absolute one without what is before the path,
/// which may have a password.
fn path_of(target: &[u8]) -> &[u8] {
    let path = target.split(|byte| matches!(byte, b'?' | b'#')).next().unwrap_or_default();
    if path.starts_with(b"/") || path == b"*" {
        return path;
    }
    let scheme = path.windows(3).position(|three| three == b"://");
    let rest = scheme.and_then(|at| path.get(at + 3..)).unwrap_or_default();
    rest.iter().position(|byte| *byte == b'/').and_then(|at| rest.get(at..)).unwrap_or_default()
}

/// Bytes that are not visible ASCII cannot be in a valid request.
fn cut(text: &[u8], max: usize) -> Box<str> {
    let visible = |byte: &u8| if byte.is_ascii_graphic() { char::from(*byte) } else { '.' };
    text.iter().take(max).map(visible).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_query_is_left_out() {
        for (head, method, path) in [
            (&b"GET /a/b?token=s HTTP/1.1\r\nHost: h\r\n"[..], "GET", "/a/b"),
            (b"\r\nPOST /a HTTP/1.1\r\n", "POST", "/a"),
            (b"GET /a", "", ""),
            (b"GET /a b HTTP/1.1\r\n", "", ""),
            (b"GET http://user:secret@h/a?x HTTP/1.1\r\n", "GET", "/a"),
            (b"GET http://h HTTP/1.1\r\n", "GET", ""),
            (b"CONNECT user:secret HTTP/1.1\r\n", "CONNECT", ""),
            (b"OPTIONS * HTTP/1.1\r\n", "OPTIONS", "*"),
            (b"AUTH secret\r\n", "", ""),
            (b"PASS secret\n", "", ""),
            (b"GET /\xff\x1b[0m HTTP/1.1\r\n", "GET", "/..[0m"),
            (b"\x16\x03\x01 secret", "", ""),
            (b"", "", ""),
        ] {
            let expected = RequestLine { method: method.into(), path: path.into() };
            assert_eq!(RequestLine::parse(head), expected, "{}", head.escape_ascii());
        }
        let long = &[b"GET /", &[b'a'; 999][..], b" HTTP/1.1\r\n"].concat();
        assert_eq!(RequestLine::parse(long).path.len(), MAX_PATH);
        assert_eq!(RequestLine::of(b"GET / HTTP/1.1\r\n", &Config::default()), None);
    }
}
