//! How much of what a client sends may be handled now: messages and bytes in a second.
//!
//! Most receives need not be looked at: a [`Lease`] says how many bytes may be handled before. A
//! message of a client takes at least [`LEAST_FRAME`] bytes, so that many bytes are at most so many
//! messages; these are taken out of the buckets in advance, and the rest is given back. What a
//! client has not used of a lease is as if it had been kept in the bucket, so that after a pause
//! it may send an eighth of the burst more.

use crate::base::Millis;
use crate::base::bucket::{TokenBucket, Tokens};
use crate::config::{RatePolicy, Rates};

/// The bytes of the shortest frame of a client: its header with the mask.
const LEAST_FRAME: u64 = 6;
/// The part of a burst that may be leased.
const LEASED: u64 = 8;
/// A client that waits goes on so many times in a second at most.
const STEPS: u64 = 100;

/// What is counted of one connection, which is that of its route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Metered {
    messages: Option<Tokens>,
    bytes: Option<Tokens>,
    policy: RatePolicy,
}

impl Metered {
    /// What these rates say of messages and bytes; `None` if nothing.
    #[must_use]
    pub fn of(rates: &Rates) -> Option<Self> {
        let messages = rates.messages.map(|rate| Tokens::new(rate, rates.message_burst));
        let bytes = rates.bytes.map(|rate| Tokens::new(rate, rates.byte_burst));
        let policy = rates.policy;
        (messages.is_some() || bytes.is_some()).then_some(Self { messages, bytes, policy })
    }
}

/// What a client has too much of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TooFast {
    /// Messages.
    Messages,
    /// Bytes.
    Bytes,
}

/// What may be handled of a receive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Allowance {
    /// All of it.
    All,
    /// Frame by frame, as long as [`Meter::next`] says so.
    Frames,
    /// Nothing before this time.
    Wait(Millis, TooFast),
    /// Nothing: the connection is to be closed.
    Close(TooFast),
}

/// What may be handled of the next frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NextFrame {
    /// Whatever it is.
    Any,
    /// Whatever it is, but no message.
    NoMessage,
    /// It has to wait.
    Nothing,
}

/// What may be handled without a look at the [`Meter`], and what was: the bytes that are left in
/// the upper half, the messages that were handled in the lower half. So it is checked by one
/// comparison, and counting takes one subtraction and one addition.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lease(pub u64);

impl Lease {
    /// That of a connection that nothing is counted of.
    pub const MAX: Self = Self::of(u32::MAX);

    /// For so many bytes.
    const fn of(bytes: u32) -> Self {
        Self((bytes as u64) << 32)
    }

    /// Whether so many bytes may be handled. A receive has less than 4 GiB.
    #[inline(always)]
    #[must_use]
    #[allow(clippy::cast_possible_truncation, reason = "a receive has less than 4 GiB")]
    pub const fn allows(self, bytes: usize) -> bool {
        self.bytes() >= bytes as u32
    }

    /// Takes so many bytes, which it allows, before they are handled. `messages` were counted so
    /// far on all connections; [`end`](Self::end) adds those that are in the bytes.
    #[inline(always)]
    #[must_use]
    pub const fn begin(self, bytes: usize, messages: u64) -> Self {
        Self(self.0.wrapping_sub(((bytes as u64) << 32).wrapping_add(messages)))
    }

    /// The bytes were handled, and `messages` are counted now.
    #[inline(always)]
    #[must_use]
    pub const fn end(self, messages: u64) -> Self {
        Self(self.0.wrapping_add(messages))
    }

    /// So many bytes were not handled after all.
    #[must_use]
    pub const fn give_back(self, bytes: usize) -> Self {
        Self(self.0.wrapping_add((bytes as u64) << 32))
    }

    #[allow(clippy::cast_possible_truncation, reason = "the upper half")]
    const fn bytes(self) -> u32 {
        (self.0 >> 32) as u32
    }

    #[allow(clippy::cast_possible_truncation, reason = "the lower half")]
    const fn messages(self) -> u32 {
        self.0 as u32
    }
}

/// What one connection has left.
#[derive(Debug)]
pub struct Meter {
    messages: TokenBucket,
    bytes: TokenBucket,
    /// The messages that were taken for the lease.
    leased: u32,
}

impl Meter {
    /// That of a connection which has sent nothing yet.
    #[must_use]
    pub fn new(of: &Metered, now: Millis) -> Self {
        let full = |of: Option<Tokens>| {
            of.map_or_else(TokenBucket::default, |of| TokenBucket::full(of, now))
        };
        Self { messages: full(of.messages), bytes: full(of.bytes), leased: 0 }
    }

    /// What may be handled of `len` bytes that were received. The lease ends.
    pub fn allow(&mut self, of: &Metered, now: Millis, len: usize, lease: &mut Lease) -> Allowance {
        self.settle(of, now, lease);
        let len = len as u64;
        if let Some(tokens) = of.bytes {
            let there = self.bytes.tokens();
            let step = u64::from(tokens.per_second) / STEPS;
            match of.policy {
                RatePolicy::Close if there < len => return Allowance::Close(TooFast::Bytes),
                // More than a full bucket is never there.
                RatePolicy::Delay if there < len.min(tokens.burst.into()) => {
                    let time = self.bytes.when(len.max(step), tokens);
                    return Allowance::Wait(time, TooFast::Bytes);
                }
                _ => {}
            }
        }
        let Some(tokens) = of.messages else { return Allowance::All };
        match (self.messages.tokens(), of.policy) {
            (there, _) if there > len / LEAST_FRAME => Allowance::All,
            (0, RatePolicy::Delay) => {
                let step = u64::from(tokens.per_second) / STEPS;
                Allowance::Wait(self.messages.when(step.max(1), tokens), TooFast::Messages)
            }
            _ => Allowance::Frames,
        }
    }

    /// What may be handled of the next frame.
    #[must_use]
    pub const fn next(&self, of: &Metered) -> NextFrame {
        match of.policy {
            _ if of.messages.is_none() || self.messages.tokens() > 0 => NextFrame::Any,
            RatePolicy::Close => NextFrame::NoMessage,
            RatePolicy::Delay => NextFrame::Nothing,
        }
    }

    /// So much was handled. A bucket without a limit is never filled again, so nothing is taken
    /// from it: there may be a limit after a reload.
    pub fn charge(&mut self, of: &Metered, bytes: u64, messages: u64) {
        if of.bytes.is_some() {
            self.bytes.take(bytes);
        }
        if of.messages.is_some() {
            self.messages.take(messages);
        }
    }

    /// What may be handled from now on without a look at the meter.
    #[must_use]
    pub fn lease(&mut self, of: &Metered) -> Lease {
        let part = |bucket: &TokenBucket, of: Option<Tokens>| {
            of.map_or(u64::MAX, |of| bucket.tokens().min(u64::from(of.burst) / LEASED))
        };
        let messages = part(&self.messages, of.messages).saturating_sub(1);
        let bytes = part(&self.bytes, of.bytes).min(messages.saturating_mul(LEAST_FRAME));
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
        if bytes == 0 {
            return Lease::default();
        }
        #[allow(clippy::cast_possible_truncation, reason = "less than the bytes, a u32")]
        let messages = (u64::from(bytes) / LEAST_FRAME + 1) as u32;
        self.charge(of, bytes.into(), messages.into());
        self.leased = messages;
        Lease::of(bytes)
    }

    /// Ends a lease: gives back what was not used.
    fn settle(&mut self, of: &Metered, now: Millis, lease: &mut Lease) {
        let lease = std::mem::take(lease);
        let bytes = lease.bytes();
        let unused = std::mem::take(&mut self.leased).saturating_sub(lease.messages());
        for (bucket, of, unused) in
            [(&mut self.bytes, of.bytes, bytes), (&mut self.messages, of.messages, unused)]
        {
            if let Some(of) = of {
                bucket.refill(of, now);
                bucket.give(unused.into(), of);
            }
        }
    }
}

#[cfg(test)]
mod tests;
