//! What can go wrong in the simulation, and how often.

/// How often each fault strikes, in thousandths of the occasions it has. All zero by default: a
/// kind and quick network.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Faults {
    /// A [`send_now`](crate::io::Driver::send_now) sends a part, though there was room for all.
    pub short_send: u16,
    /// A `send_now` sends nothing, as if the socket were full.
    pub again: u16,
    /// A [`send_queued`](crate::io::Driver::send_queued) ends with a part sent.
    pub short_queued: u16,
    /// A send meets a broken connection: ECONNRESET or EPIPE.
    pub send_error: u16,
    /// A receive meets a broken connection: ECONNRESET or ETIMEDOUT.
    pub receive_error: u16,
    /// A receive finds no buffer, though some are free. Keep it below 500.
    pub no_buffers: u16,
    /// A multishot receive ends with the data it brings.
    pub receive_ends: u16,
    /// A multishot receive that has brought data misses the end that follows, until it is armed
    /// again. Linux does that if both arrive together.
    pub missed_end: u16,
    /// A multishot accept ends with the connection it brings.
    pub accept_ends: u16,
    /// An accept fails: EMFILE, ENFILE, ENOBUFS, ENOMEM or ECONNABORTED. Keep it below 500.
    pub accept_error: u16,
    /// A cancel takes effect some time after it was submitted.
    pub late_cancel: u16,
    /// A cancel of a receive does not find it.
    pub missed_cancel: u16,
    /// A half close takes effect some time after it was submitted.
    pub late_half_close: u16,
    /// A call of `enter` brings a wake-up that nobody asked for.
    pub spurious_wake: u16,
    /// The events that a call of `enter` brings are shuffled, those of one operation aside.
    pub reorder: u16,
    /// A call of `enter` leaves some of what is ready for the next call.
    pub partial_batch: u16,
    /// The kernel refuses a call for want of memory, and the ring calls again.
    pub refused: u16,
    /// A sleep ends up to two milliseconds late.
    pub oversleep: u16,
    /// Bytes, connections and resets are held up for as long as a fifth of a second.
    pub slow: u16,
    /// Bytes arrive no more than eight at a time.
    pub tiny: u16,
    /// A new connection has small socket buffers, down to 256 bytes.
    pub small_sockets: u16,
}

impl Faults {
    /// A mixture drawn from `seed`, some faults left out and others frequent, so that many seeds
    /// see each fault alone, with few others and with all of them.
    #[must_use]
    pub fn swarm(seed: u64) -> Self {
        let mut rng = fastrand::Rng::with_seed(seed);
        // Faults that end connections are kept rare, or nothing else would be seen.
        let mut often = |most: u16| match rng.u8(0..4) {
            0 | 1 => 0,
            2 => rng.u16(0..=most / 10),
            _ => rng.u16(0..=most),
        };
        Self {
            short_send: often(500),
            again: often(500),
            short_queued: often(500),
            send_error: often(5),
            receive_error: often(5),
            no_buffers: often(300),
            receive_ends: often(500),
            missed_end: 0,
            accept_ends: often(500),
            accept_error: often(300),
            late_cancel: often(1000),
            late_half_close: often(1000),
            spurious_wake: often(100),
            reorder: often(1000),
            partial_batch: often(500),
            refused: often(100),
            oversleep: often(500),
            slow: often(100),
            tiny: often(300),
            small_sockets: often(1000),
            missed_cancel: often(500),
        }
    }
}
