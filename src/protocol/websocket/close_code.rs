//! Close codes (RFC 6455 section 7.4).

use std::fmt;

/// The status code of a close frame. It is a newtype, so that the codes of applications (3000 to
/// 4999) can be represented.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CloseCode(u16);

impl CloseCode {
    /// 1000: the connection has served its purpose.
    pub const NORMAL: Self = Self(1000);
    /// 1001: the server is going down, or the user left the page.
    pub const GOING_AWAY: Self = Self(1001);
    /// 1002: the peer broke a rule of the protocol.
    pub const PROTOCOL_ERROR: Self = Self(1002);
    /// 1003: a type of data that this endpoint does not accept, such as binary instead of text.
    pub const UNSUPPORTED_DATA: Self = Self(1003);
    /// 1005: the close frame had no code. Never on the wire.
    pub const NO_STATUS: Self = Self(1005);
    /// 1006: the connection ended without a close frame. Never on the wire.
    pub const ABNORMAL: Self = Self(1006);
    /// 1007: text that is not UTF-8, or compressed data that does not inflate.
    pub const INVALID_PAYLOAD: Self = Self(1007);
    /// 1008: the peer broke a rule of this server.
    pub const POLICY_VIOLATION: Self = Self(1008);
    /// 1009: a message larger than the limit.
    pub const MESSAGE_TOO_BIG: Self = Self(1009);
    /// 1011: an unexpected condition in the server.
    pub const INTERNAL_ERROR: Self = Self(1011);
    /// 1012: the server restarts; the client may reconnect.
    pub const SERVICE_RESTART: Self = Self(1012);
    /// 1013: the server is overloaded, or the peer reads too slowly; the client may reconnect
    /// later.
    pub const TRY_AGAIN_LATER: Self = Self(1013);
    /// 4401, for private use: the token of the client has expired. It may connect with a new one.
    pub const UNAUTHORIZED: Self = Self(4401);

    /// The code `value` if an endpoint may put it on the wire: 1000 to 1003, 1007 to 1014 (the
    /// codes registered with IANA) and 3000 to 4999 (RFC 6455 section 7.4.2).
    #[must_use]
    pub const fn from_wire(value: u16) -> Option<Self> {
        match value {
            1000..=1003 | 1007..=1014 | 3000..=4999 => Some(Self(value)),
            _ => None,
        }
    }

    /// The number.
    #[must_use]
    pub const fn value(self) -> u16 {
        self.0
    }
}

impl fmt::Debug for CloseCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CloseCode({})", self.0)
    }
}

impl fmt::Display for CloseCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_65536_codes() {
        for value in 0..=u16::MAX {
            let registered = value < 1015 && ![1004, 1005, 1006].contains(&value);
            let allowed = value >= 1000 && registered || (3..5).contains(&(value / 1000));
            assert_eq!(CloseCode::from_wire(value).is_some(), allowed, "{value}");
        }
    }
}
