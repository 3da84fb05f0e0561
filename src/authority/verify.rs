//! What decides about credentials.

use std::time::Duration;

use super::access::Authority;
use super::asked::{AskCounts, Question};
use super::credential::{Credential, find_credential};
use super::error::TokenError;
use super::refusal::refuse;
use crate::protocol::websocket::handshake::{Refusal, Request};

/// Decides who a client is by what it has shown. One value for all cores, which call it at the
/// handshakes of `/topics/...` and `/pubsub`, with each new token on `/pubsub`, and at handshakes
/// of an application that asks for it (`Handler::TOKENS`).
pub trait Verify: Send + Sync {
    /// What the owner of this credential may do. It must not block: no connection of the core is
    /// served until it returns.
    ///
    /// # Errors
    /// Why it is not accepted. The client is told.
    fn verify(
        &self,
        credential: &Credential<'_>,
        cx: &mut Verifying,
    ) -> Result<Authority, TokenError>;

    /// The name of a cookie in which a token may come. Default none.
    fn cookie(&self) -> Option<&str> {
        None
    }

    /// What a client is told that has shown nothing.
    fn missing(&self) -> TokenError {
        TokenError::Missing
    }

    /// What the client of an opening handshake may do. It must not block. The default looks for a
    /// credential and has [`verify`](Self::verify) decide.
    fn admit(&self, request: &Request<'_>, cx: &mut Verifying) -> Admission {
        let result = find_credential(request, self.cookie())
            .and_then(|found| found.ok_or_else(|| self.missing()))
            .and_then(|credential| self.verify(&credential, cx));
        Admission::Now(result.map_err(|error| refuse(&error)))
    }

    /// Whether [`admit`](Self::admit) may take a loop long, as the signature of a token does. Then
    /// the requests of those who are new wait behind those who are there. Default yes.
    fn is_costly(&self) -> bool {
        true
    }

    /// What was counted of questions to others, for the metrics. Default nothing.
    fn asked(&self) -> Option<AskCounts> {
        None
    }
}

/// What a [`Verify`] says about the client of a handshake.
pub enum Admission {
    /// What it may do, or why it is refused.
    Now(Result<Authority, Refusal>),
    /// Somebody else has to be asked. The client waits meanwhile.
    Later(Box<dyn Question>),
}

/// What a [`Verify`] is given besides the credential.
#[derive(Debug)]
pub struct Verifying {
    /// The time, after the beginning of 1970.
    pub now: Duration,
    /// The most bytes of a topic or filter.
    pub max_topic: usize,
    work: u64,
}

impl Verifying {
    /// At this time, with topics of so many bytes at most.
    #[must_use]
    pub const fn new(now: Duration, max_topic: usize) -> Self {
        Self { now, max_topic, work: 0 }
    }

    /// Counts work, in units of about a nanosecond. It counts for the turn of the core, so that
    /// others do not wait long for many who show something.
    pub const fn charge(&mut self, units: u64) {
        self.work = self.work.saturating_add(units);
    }

    /// The work so far.
    #[must_use]
    pub const fn work(&self) -> u64 {
        self.work
    }
}
