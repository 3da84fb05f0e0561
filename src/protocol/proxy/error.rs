//! The faults of a header.

use std::fmt;

/// Why a connection does not begin with a header of the PROXY protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ProxyError {
    /// The first bytes are those of neither version (section 2).
    NoHeader,
    /// A line of version 1 does not end within 107 bytes (section 2.1).
    LineTooLong,
    /// A line of version 1 holds a control byte, or does not end with CR LF (section 2.1).
    LineEnd,
    /// A line of version 1 names neither TCP4, TCP6 nor UNKNOWN (section 2.1).
    Protocol,
    /// A line of version 1 does not have two addresses of its protocol and two ports, with one
    /// space between them (section 2.1).
    Addresses,
    /// The version in a binary header is not 2 (section 2.2).
    Version,
    /// The command in a binary header is neither LOCAL nor PROXY (section 2.2).
    Command,
    /// The address family or transport in a binary header is not that of a stream (section 2.2).
    Family,
    /// A binary header is shorter than its addresses (section 2.2).
    TooShort,
    /// A binary header is longer than [`MAX_HEADER`](super::MAX_HEADER).
    TooLong,
    /// The extensions of a binary header do not end where it does (section 2.2).
    Extensions,
}

impl ProxyError {
    /// One line for a person.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        match self {
            Self::NoHeader => "the connection does not begin with a header of the PROXY protocol",
            Self::LineTooLong => "the PROXY line is longer than 107 bytes",
            Self::LineEnd => "the PROXY line does not end with CR LF",
            Self::Protocol => "the PROXY line names neither TCP4, TCP6 nor UNKNOWN",
            Self::Addresses => "the PROXY line does not have two addresses and two ports",
            Self::Version => "the PROXY header has a version other than 2",
            Self::Command => "the PROXY header has an unknown command",
            Self::Family => "the PROXY header is for no stream of IPv4, IPv6 or Unix",
            Self::TooShort => "the PROXY header is shorter than its addresses",
            Self::TooLong => "the PROXY header is too long",
            Self::Extensions => "the extensions of the PROXY header do not end where it does",
        }
    }
}

impl fmt::Display for ProxyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.reason())
    }
}

impl std::error::Error for ProxyError {}
