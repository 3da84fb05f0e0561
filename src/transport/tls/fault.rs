//! How far received bytes were taken, and what ends a connection.

use std::fmt;
use std::ops::Range;

use rustls::{AlertDescription, Error};

/// What was received does not keep to TLS, or cannot be decrypted.
#[derive(Debug)]
pub(crate) enum Fault {
    /// In the handshake.
    Handshake(Error),
    /// In the records after it, with the alert that the peer is sent.
    Records(AlertDescription, &'static str),
    /// The peer has ended the connection with an alert.
    Alert(AlertDescription),
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Handshake(error) => error.fmt(f),
            Self::Records(_, what) => f.write_str(what),
            Self::Alert(alert) => write!(f, "the peer has sent the alert {alert:?}"),
        }
    }
}

/// The keys may not encrypt more, or the connection is in no state for it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Exhausted;

/// How far the received bytes were taken.
#[derive(Debug, Default)]
pub(crate) struct Taken {
    /// The bytes that are done with. The rest is the beginning of what is to come: the next call is
    /// to be given it again, with more behind it.
    pub(crate) bytes: usize,
    /// Where the plain bytes are, within those that are done with.
    pub(crate) plain: Range<usize>,
    /// The rest has more that can be taken: what was allowed is used up.
    pub(crate) is_paused: bool,
    /// The peer sends no more: it has said so (`close_notify`).
    pub(crate) is_end: bool,
    /// The key exchange of the handshake is one that takes long.
    pub(crate) is_slow: bool,
    /// Ends the connection; the alert that says so is in the output.
    pub(crate) fault: Option<Fault>,
    /// The work that it was.
    pub(crate) work: u64,
}
