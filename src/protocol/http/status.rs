//! Status codes of final responses (RFC 9110 section 15).

use std::fmt;

/// The status code of a final response: 200 to 599. Interim responses (1xx) are not answers to a
/// request, so they cannot be represented.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Status(u16);

impl Status {
    /// 200
    pub const OK: Self = Self(200);
    /// 202
    pub const ACCEPTED: Self = Self(202);
    /// 204: the response has no body.
    pub const NO_CONTENT: Self = Self(204);
    /// 302
    pub const FOUND: Self = Self(302);
    /// 303
    pub const SEE_OTHER: Self = Self(303);
    /// 307
    pub const TEMPORARY_REDIRECT: Self = Self(307);
    /// 308
    pub const PERMANENT_REDIRECT: Self = Self(308);
    /// 400
    pub const BAD_REQUEST: Self = Self(400);
    /// 401: RFC 9110 section 15.5.2 asks for a `WWW-Authenticate` header.
    pub const UNAUTHORIZED: Self = Self(401);
    /// 403
    pub const FORBIDDEN: Self = Self(403);
    /// 404
    pub const NOT_FOUND: Self = Self(404);
    /// 405: RFC 9110 section 15.5.6 asks for an `Allow` header.
    pub const METHOD_NOT_ALLOWED: Self = Self(405);
    /// 408
    pub const REQUEST_TIMEOUT: Self = Self(408);
    /// 409
    pub const CONFLICT: Self = Self(409);
    /// 410
    pub const GONE: Self = Self(410);
    /// 413
    pub const CONTENT_TOO_LARGE: Self = Self(413);
    /// 414
    pub const URI_TOO_LONG: Self = Self(414);
    /// 417
    pub const EXPECTATION_FAILED: Self = Self(417);
    /// 426: RFC 9110 section 15.5.22 asks for an `Upgrade` header.
    pub const UPGRADE_REQUIRED: Self = Self(426);
    /// 429
    pub const TOO_MANY_REQUESTS: Self = Self(429);
    /// 431
    pub const REQUEST_HEADER_FIELDS_TOO_LARGE: Self = Self(431);
    /// 500
    pub const INTERNAL_SERVER_ERROR: Self = Self(500);
    /// 501
    pub const NOT_IMPLEMENTED: Self = Self(501);
    /// 503
    pub const SERVICE_UNAVAILABLE: Self = Self(503);
    /// 505
    pub const VERSION_NOT_SUPPORTED: Self = Self(505);

    /// The status `code`, or `None` outside of 200 to 599.
    #[must_use]
    pub const fn new(code: u16) -> Option<Self> {
        match code {
            200..=599 => Some(Self(code)),
            _ => None,
        }
    }

    /// The number.
    #[must_use]
    pub const fn code(self) -> u16 {
        self.0
    }

    /// Whether a response with this status has a body: all but 204, 205 and 304
    /// (RFC 9110 section 6.4.1).
    #[must_use]
    pub const fn allows_body(self) -> bool {
        !matches!(self.0, 204 | 205 | 304)
    }

    /// The reason phrase that IANA registers, or `""` for an unregistered code.
    #[must_use]
    pub const fn phrase(self) -> &'static str {
        match self.0 {
            200 => "OK",
            201 => "Created",
            202 => "Accepted",
            203 => "Non-Authoritative Information",
            204 => "No Content",
            205 => "Reset Content",
            206 => "Partial Content",
            300 => "Multiple Choices",
            301 => "Moved Permanently",
            302 => "Found",
            303 => "See Other",
            304 => "Not Modified",
            307 => "Temporary Redirect",
            308 => "Permanent Redirect",
            400 => "Bad Request",
            401 => "Unauthorized",
            402 => "Payment Required",
            403 => "Forbidden",
            404 => "Not Found",
            405 => "Method Not Allowed",
            406 => "Not Acceptable",
            407 => "Proxy Authentication Required",
            408 => "Request Timeout",
            409 => "Conflict",
            410 => "Gone",
            411 => "Length Required",
            412 => "Precondition Failed",
            413 => "Content Too Large",
            414 => "URI Too Long",
            415 => "Unsupported Media Type",
            416 => "Range Not Satisfiable",
            417 => "Expectation Failed",
            421 => "Misdirected Request",
            422 => "Unprocessable Content",
            423 => "Locked",
            425 => "Too Early",
            426 => "Upgrade Required",
            428 => "Precondition Required",
            429 => "Too Many Requests",
            431 => "Request Header Fields Too Large",
            451 => "Unavailable For Legal Reasons",
            500 => "Internal Server Error",
            501 => "Not Implemented",
            502 => "Bad Gateway",
            503 => "Service Unavailable",
            504 => "Gateway Timeout",
            505 => "HTTP Version Not Supported",
            511 => "Network Authentication Required",
            _ => "",
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_final_statuses_exist() {
        for code in 0..=u16::MAX {
            let status = Status::new(code);
            assert_eq!(status.is_some(), (200..600).contains(&code), "{code}");
            assert!(status.is_none_or(|status| status.code() == code));
        }
        assert_eq!(Status::NOT_FOUND.to_string(), "404");
        assert_eq!(Status::new(418).map(Status::phrase), Some(""));
    }
}
