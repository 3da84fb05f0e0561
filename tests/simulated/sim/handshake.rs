//! The opening handshakes of the simulated clients, valid and invalid.

/// The request of a client, and the expected status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ask {
    /// A WebSocket handshake, sent at once or slowly.
    WebSocket { slowly: bool },
    /// A request that is refused with this status.
    Refused(u16),
    /// No request, or only its beginning.
    Never,
}

const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
/// The answer to `KEY`, from RFC 6455 section 1.3.
const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

impl Ask {
    pub(crate) fn random(rng: &mut fastrand::Rng) -> Self {
        match rng.u8(0..20) {
            0 => Self::Never,
            1 => Self::Refused(*rng.choice(&[200, 400, 405, 426, 431]).unwrap()),
            2..5 => Self::WebSocket { slowly: true },
            _ => Self::WebSocket { slowly: false },
        }
    }

    /// The bytes of the request.
    pub(crate) fn request(self, rng: &mut fastrand::Rng) -> Vec<u8> {
        let good = request("GET", 13, "");
        match self {
            Self::WebSocket { .. } => good,
            Self::Never => good.into_iter().take(rng.usize(0..100)).collect(),
            Self::Refused(200) => {
                b"GET / HTTP/1.1\r\nHost: corecast\r\nConnection: close\r\n\r\n".to_vec()
            }
            Self::Refused(400) => b"\x80\x2E\x01\x03\x01".to_vec(),
            Self::Refused(405) => request("DELETE", 13, "Connection: close\r\n"),
            Self::Refused(426) => request("GET", 12, ""),
            Self::Refused(431) => request("GET", 13, &"X-Filler: 0123456789\r\n".repeat(80)),
            Self::Refused(status) => panic!("no request for {status}"),
        }
    }
}

fn request(method: &str, version: u8, more: &str) -> Vec<u8> {
    format!(
        "{method} /echo HTTP/1.1\r\nHost: corecast\r\nUpgrade: websocket\r\n{more}Connection: \
         Upgrade\r\nSec-WebSocket-Key: {KEY}\r\nSec-WebSocket-Version: {version}\r\n\r\n"
    )
    .into_bytes()
}

/// The head of a response.
#[derive(Debug)]
pub(crate) struct Response {
    pub(crate) status: u16,
    /// The bytes of the body that must follow.
    pub(crate) body: usize,
}

/// Takes the head of the response out of `bytes`; `None` while it is incomplete.
pub(crate) fn take_response(bytes: &mut Vec<u8>) -> Result<Option<Response>, String> {
    let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else {
        return Ok(None);
    };
    let rest = bytes.split_off(end + 4);
    let head = String::from_utf8(std::mem::replace(bytes, rest)).map_err(|e| e.to_string())?;
    let status = head.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3)?.parse().ok());
    let field = |name: &str| {
        head.lines().find_map(|line| line.strip_prefix(name)).map(|value| value.trim().to_owned())
    };
    match status {
        Some(101) if field("Sec-WebSocket-Accept:").as_deref() == Some(ACCEPT) => {
            Ok(Some(Response { status: 101, body: 0 }))
        }
        Some(status) if status != 101 => {
            let body = field("Content-Length:").and_then(|length| length.parse().ok());
            let body = body.ok_or_else(|| format!("no Content-Length in {head:?}"))?;
            Ok(Some(Response { status, body }))
        }
        _ => Err(format!("not a response: {head:?}")),
    }
}
