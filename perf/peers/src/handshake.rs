//! The opening handshake, for a library that has none.

use std::io;

use bytes::BytesMut;
use corecast::protocol::websocket::handshake::accept_key;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const MAX_HEADERS: usize = 32;
const MAX_BYTES: usize = 8 << 10;

/// Answers the request with 101 and returns its target. Clients wait for the answer before they
/// send more, so input after the request is refused.
pub async fn accept(stream: &mut TcpStream) -> io::Result<String> {
    let mut head = BytesMut::with_capacity(1024);
    loop {
        if head.len() > MAX_BYTES || stream.read_buf(&mut head).await? == 0 {
            return Err(io::ErrorKind::InvalidData.into());
        }
        if let Some((target, answer)) = answer(&head)? {
            stream.write_all(&answer).await?;
            return Ok(target);
        }
    }
}

/// The target of the request and the answer; `None` if the request is incomplete.
fn answer(head: &[u8]) -> io::Result<Option<(String, Vec<u8>)>> {
    let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut request = httparse::Request::new(&mut headers);
    let parsed = request.parse(head).map_err(io::Error::other)?;
    let httparse::Status::Complete(len) = parsed else { return Ok(None) };
    let field = |name: &str| {
        let header =
            request.headers.iter().find(|header| header.name.eq_ignore_ascii_case(name))?;
        std::str::from_utf8(header.value).ok()
    };
    let upgrades = field("Upgrade").is_some_and(|value| value.eq_ignore_ascii_case("websocket"));
    let (Some(key), Some(target)) = (field("Sec-WebSocket-Key"), request.path) else {
        return Err(io::ErrorKind::InvalidData.into());
    };
    if !upgrades || len != head.len() {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let mut answer = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\
        Connection: Upgrade\r\nSec-WebSocket-Accept: "
        .to_vec();
    answer.extend_from_slice(&accept_key(key));
    answer.extend_from_slice(b"\r\n\r\n");
    Ok(Some((target.to_owned(), answer)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const REQUEST: &[u8] = b"GET /chat?x HTTP/1.1\r\nHost: h\r\nupgrade: WebSocket\r\n\
        Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
        Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

    #[test]
    fn the_example_of_rfc_6455_is_answered() {
        let (target, answer) = answer(REQUEST).unwrap().unwrap();
        assert_eq!(target, "/chat?x");
        let answer = String::from_utf8(answer).unwrap();
        assert!(answer.contains("\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"));
    }

    #[test]
    fn a_request_that_goes_on_is_waited_for_and_a_plain_one_refused() {
        assert!(answer(&REQUEST[..100]).unwrap().is_none());
        assert!(answer(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n").is_err());
        assert!(answer(&[REQUEST, b"early"].concat()).is_err());
    }
}
