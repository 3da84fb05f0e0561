//! Which headers of a client the backend is sent.

/// Headers that are for the connection of the client alone, or that say of a client what only this
/// server can know. The backend is not sent them.
const KEPT_BACK: &[&str] = &[
    // Of the connection (RFC 9110 section 7.6.1), and of its handshake.
    "connection",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "sec-websocket-accept",
    "sec-websocket-extensions",
    "sec-websocket-key",
    "sec-websocket-version",
    // Of the request of the client, which is not this one.
    "accept-encoding",
    "content-length",
    "content-type",
    "expect",
    "host",
    "if-match",
    "if-modified-since",
    "if-none-match",
    "if-range",
    "if-unmodified-since",
    "range",
];

/// How the names of headers begin that this server sets.
const OURS: &[&str] = &["forwarded", "x-forwarded-", "x-original-", "x-real-ip"];

/// Whether the backend is sent this header of a client. Many backends take an underscore for a
/// hyphen, so that such a name could stand for one of ours.
pub(super) fn is_passed_on(name: &str) -> bool {
    if name.contains('_') {
        return false;
    }
    let is_ours = OURS.iter().any(|prefix| {
        name.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix))
    });
    !is_ours && !KEPT_BACK.iter().any(|kept| name.eq_ignore_ascii_case(kept))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_of_the_connection_and_about_the_client_are_kept_back() {
        for name in ["Cookie", "authorization", "Origin", "X-API-Key", "User-Agent", "Forward"] {
            assert!(is_passed_on(name), "{name}");
        }
        for name in [
            "Connection",
            "UPGRADE",
            "Sec-WebSocket-Key",
            "X-Forwarded-For",
            "x-original-uri",
            "Forwarded",
            "X-Real-IP",
            "X_Forwarded_For",
            "Host",
            "Proxy-Authorization",
        ] {
            assert!(!is_passed_on(name), "{name}");
        }
    }
}
