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

/// What may be handled without a look at the [`Meter`], and what was.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lease {
    bytes: u32,
    messages: u32,
}

impl Lease {
    /// That of a connection that nothing is counted of.
    pub const MAX: Self = Self { bytes: u32::MAX, messages: 0 };

    /// Uses so many bytes of it, if it has so many.
    #[inline]
    pub const fn spend(&mut self, bytes: usize) -> bool {
        if (self.bytes as usize) < bytes {
            return false;
        }
        #[allow(clippy::cast_possible_truncation, reason = "no more than `bytes`, a u32")]
        let bytes = bytes as u32;
        self.bytes -= bytes;
        true
    }

    /// Of the bytes that were used so many were not handled.
    pub fn refund(&mut self, bytes: usize) {
        self.bytes = self.bytes.saturating_add(u32::try_from(bytes).unwrap_or(u32::MAX));
    }

    /// So many messages were handled.
    #[inline]
    #[allow(clippy::cast_possible_truncation, reason = "no more than bytes were leased")]
    pub const fn count(&mut self, messages: u64) {
        self.messages = self.messages.wrapping_add(messages as u32);
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

    /// So much was handled.
    pub fn charge(&mut self, bytes: u64, messages: u64) {
        self.bytes.take(bytes);
        self.messages.take(messages);
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
        self.charge(bytes.into(), messages.into());
        self.leased = messages;
        Lease { bytes, messages: 0 }
    }

    /// Ends a lease: gives back what was not used.
    fn settle(&mut self, of: &Metered, now: Millis, lease: &mut Lease) {
        let Lease { bytes, messages } = std::mem::take(lease);
        let unused = std::mem::take(&mut self.leased).saturating_sub(messages);
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
mod tests {
    use super::*;

    fn metered(messages: Option<(u32, u32)>, bytes: Option<(u32, u32)>, close: bool) -> Metered {
        let policy = if close { RatePolicy::Close } else { RatePolicy::Delay };
        let rates = Rates {
            messages: messages.map(|(rate, _)| rate),
            message_burst: messages.map(|(_, burst)| burst),
            bytes: bytes.map(|(rate, _)| rate),
            byte_burst: bytes.map(|(_, burst)| burst),
            policy,
            control_frames: None,
        };
        Metered::of(&rates).unwrap()
    }

    /// A client, its meter, and the messages that wait, each of `size` bytes.
    struct Client {
        of: Metered,
        meter: Meter,
        lease: Lease,
        size: u64,
        waiting: u64,
        handled: u64,
    }

    impl Client {
        fn new(of: Metered, size: u64) -> Self {
            let meter = Meter::new(&of, Millis(0));
            Self { of, meter, lease: Lease::default(), size, waiting: 0, handled: 0 }
        }

        /// Handles what waits, as a loop does. Returns false if it is to be closed.
        fn handle(&mut self, now: u64) -> bool {
            let len = usize::try_from(self.waiting * self.size).unwrap();
            if self.waiting == 0 {
                return true;
            }
            if self.lease.spend(len) {
                self.lease.count(self.waiting);
                self.handled += std::mem::take(&mut self.waiting);
                return true;
            }
            match self.meter.allow(&self.of, Millis(now), len, &mut self.lease) {
                Allowance::All => {
                    self.meter.charge(len as u64, self.waiting);
                    self.handled += std::mem::take(&mut self.waiting);
                }
                Allowance::Frames => {
                    while self.waiting > 0 {
                        match self.meter.next(&self.of) {
                            NextFrame::Any => {}
                            NextFrame::NoMessage => return false,
                            NextFrame::Nothing => break,
                        }
                        self.meter.charge(self.size, 1);
                        self.waiting -= 1;
                        self.handled += 1;
                    }
                }
                Allowance::Wait(time, _) => assert!(time > Millis(now), "it would spin"),
                Allowance::Close(_) => return false,
            }
            self.lease = self.meter.lease(&self.of);
            true
        }
    }

    /// A bucket that is looked at for each message.
    struct Naive {
        thousandths: u64,
        rate: u64,
        burst: u64,
        at: u64,
    }

    impl Naive {
        fn takes(&mut self, now: u64, tokens: u64) -> bool {
            let come = (now - self.at) * self.rate;
            self.thousandths = (self.thousandths + come).min(self.burst * 1000);
            self.at = now;
            let has = self.thousandths >= tokens * 1000;
            self.thousandths -= if has { tokens * 1000 } else { 0 };
            has
        }
    }

    /// Bursts of which no part can be leased: each message is allowed when a bucket that is looked
    /// at for each message allows it.
    #[test]
    fn small_bursts_are_exact() {
        let mut random = fastrand::Rng::with_seed(3);
        for round in 0..500 {
            let (rate, burst) = (random.u32(1..2000), random.u32(1..16));
            let of = metered(Some((rate, burst)), None, false);
            let mut client = Client::new(of, random.u64(6..300));
            let (rate, burst) = (u64::from(rate), u64::from(burst));
            let mut naive = Naive { thousandths: burst * 1000, rate, burst, at: 0 };
            let (mut now, mut expected, mut waiting) = (0, 0, 0);
            for _ in 0..50 {
                now += random.u64(0..40);
                let come = random.u64(0..20);
                client.waiting += come;
                waiting += come;
                assert!(client.handle(now));
                while waiting > 0 && naive.takes(now, 1) {
                    waiting -= 1;
                    expected += 1;
                }
                assert_eq!(client.handled, expected, "round {round} at {now}: {of:?}");
            }
        }
    }

    /// In no time more comes than the rate and the burst allow, and the part of a burst that is
    /// leased; who stays below the rate never waits.
    #[test]
    fn large_bursts_are_exact_up_to_a_lease() {
        let mut random = fastrand::Rng::with_seed(4);
        for _ in 0..300 {
            let (rate, burst) = (random.u32(100..20_000), random.u32(16..3000));
            let size = random.u64(6..60);
            let by_bytes = random.bool();
            let scale = if by_bytes { u32::try_from(size).unwrap() } else { 1 };
            let pair = Some((rate * scale, burst * scale));
            let of = if by_bytes { metered(None, pair, false) } else { metered(pair, None, false) };
            let mut client = Client::new(of, size);
            let mut now = 0;
            for _ in 0..100 {
                now += random.u64(0..30);
                client.waiting += random.u64(0..40);
                assert!(client.handle(now));
                let most = u64::from(burst) + u64::from(burst) / LEASED;
                let most = most + now * u64::from(rate) / 1000 + 40;
                assert!(client.handled <= most, "{} of {most} at {now}: {of:?}", client.handled);
            }
            let mut steady = Client::new(of, size);
            for step in 1..200 {
                steady.waiting += 1;
                let every = (1000 / u64::from(rate)).max(1);
                assert!(steady.handle(step * every));
                assert_eq!(steady.waiting, 0, "{of:?} at step {step}");
            }
        }
    }

    #[test]
    fn who_is_closed_has_sent_more_than_the_burst() {
        for (of, size, most) in [
            (metered(Some((1, 10)), None, true), 20, 10),
            (metered(None, Some((1, 100)), true), 10, 10),
        ] {
            for sent in [most - 1, most, most + 1] {
                let mut client = Client::new(of, size);
                client.waiting = sent;
                assert_eq!(client.handle(0), sent <= most, "{sent}");
            }
        }
    }

    #[test]
    fn a_receive_above_the_burst_waits_for_a_full_bucket() {
        let of = metered(None, Some((1000, 100)), false);
        let mut client = Client::new(of, 500);
        client.waiting = 1;
        assert!(client.handle(0));
        assert_eq!((client.handled, client.waiting), (1, 0));
        client.waiting = 1;
        let wait = client.meter.allow(&of, Millis(0), 500, &mut client.lease);
        assert_eq!(wait, Allowance::Wait(Millis(500), TooFast::Bytes));
        assert!(client.handle(499) && client.waiting == 1);
        assert!(client.handle(500) && client.waiting == 0);
    }

    #[test]
    fn what_is_not_handled_of_a_lease_is_given_back() {
        let of = metered(Some((1, 800)), None, false);
        let mut meter = Meter::new(&of, Millis(0));
        let mut lease = meter.lease(&of);
        assert_eq!(lease.bytes, 99 * 6);
        assert!(lease.spend(500));
        lease.refund(100);
        lease.count(40);
        assert_eq!(meter.allow(&of, Millis(0), 1, &mut lease), Allowance::All);
        assert_eq!((meter.messages.tokens(), lease), (760, Lease::default()));
        assert_eq!(Metered::of(&Rates::default()), None);
    }
}
