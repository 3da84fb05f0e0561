//! Methods (RFC 9110 section 9).

/// Whether a server has to know this method at least by its name. A request with another one is
/// answered with 501 (RFC 9110 section 9.1), with a known one that a path does not allow with 405.
/// Methods are compared with case.
#[must_use]
pub fn is_known_method(method: &str) -> bool {
    const KNOWN: [&str; 9] =
        ["GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"];
    KNOWN.contains(&method)
}
