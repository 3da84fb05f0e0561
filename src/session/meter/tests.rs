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

/// The messages of one receive.
const RECEIVED: u64 = 40;

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
        let mut before = u64::MAX;
        while self.waiting > 0 && self.waiting < before {
            before = self.waiting;
            if !self.receive(now, self.waiting.min(RECEIVED)) {
                return false;
            }
        }
        true
    }

    /// So many messages come in one receive.
    fn receive(&mut self, now: u64, messages: u64) -> bool {
        let len = usize::try_from(messages * self.size).unwrap();
        if self.lease.allows(len) {
            self.lease = self.lease.begin(len, 7).end(7 + messages);
            self.waiting -= messages;
            self.handled += messages;
            return true;
        }
        match self.meter.allow(&self.of, Millis(now), len, &mut self.lease) {
            Allowance::All => {
                self.meter.charge(&self.of, len as u64, messages);
                self.waiting -= messages;
                self.handled += messages;
            }
            Allowance::Frames => {
                for _ in 0..messages {
                    match self.meter.next(&self.of) {
                        NextFrame::Any => {}
                        NextFrame::NoMessage => return false,
                        NextFrame::Nothing => break,
                    }
                    self.meter.charge(&self.of, self.size, 1);
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
            let most = most + now * u64::from(rate) / 1000 + RECEIVED;
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
    assert_eq!(lease, Lease::of(99 * 6));
    assert!(lease.allows(99 * 6) && !lease.allows(99 * 6 + 1));
    lease = lease.begin(400, 0).end(40);
    assert_eq!((lease.bytes(), lease.messages()), (194, 40));
    assert_eq!(meter.allow(&of, Millis(0), 1, &mut lease), Allowance::All);
    assert_eq!((meter.messages.tokens(), lease), (760, Lease::default()));
    assert_eq!(Metered::of(&Rates::default()), None);
}
