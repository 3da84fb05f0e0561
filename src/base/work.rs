//! The work of one turn of a loop.
//!
//! Work is counted where it is done, in units of about a nanosecond of one core, with costs that
//! were measured once and rounded up. It is counted and not timed, so that the same input always
//! stops at the same place, in a test as well as in a simulation. Calls into the kernel are not
//! counted.

/// The work of one turn so far, and up to where the present piece of it may go.
#[derive(Clone, Copy, Debug, Default)]
pub struct Work {
    used: u64,
    limit: u64,
}

impl Work {
    /// A frame handled, without its bytes.
    pub const RECEIVED_FRAME: u64 = 60;
    /// The first frame of a compressed message: its decompressor is made ready, and its echo costs
    /// as much again.
    pub const COMPRESSED_MESSAGE: u64 = 600;
    /// A close frame that is answered, besides that: the answer is sent, and nothing else with it.
    pub const CLOSE_FRAME: u64 = 5_000;
    /// Another control frame that is answered, besides that.
    pub const CONTROL_FRAME: u64 = 400;
    /// A request in JSON that is carried out or refused, besides what is counted of it elsewhere.
    pub const JSON_REQUEST: u64 = 800;
    /// A byte of short messages that follow each other: they may be empty.
    pub const SHORT_MESSAGES_BYTE: u64 = 8;
    /// A byte of a request head.
    pub const HEAD_BYTE: u64 = 8;
    /// The end of a connection: the kernel frees what it has held.
    pub const END: u64 = 3_000;
    /// A byte of the framing of chunks.
    pub const CHUNK_BYTE: u64 = 4;
    /// A request that is answered, without the bytes of its head and of the answer.
    pub const REQUEST: u64 = 1_500;
    /// A byte of compressed data that is read. Data that consists of nothing but the tables of
    /// blocks costs up to 130; other data costs far less.
    pub const DEFLATE_READ_BYTE: u64 = 64;
    /// A byte that decompression writes.
    pub const INFLATED_BYTE: u64 = 2;
    /// A compressor made ready for a message.
    pub const COMPRESSOR: u64 = 4_000;
    /// A new compressor, besides that: some 400 KB of memory that is new as well.
    pub const NEW_COMPRESSOR: u64 = 130_000;
    /// The window of a compressor moved on.
    pub const WINDOW: u64 = 2_500;
    /// A byte of JSON that is checked.
    pub const JSON_BYTE: u64 = 3;
    /// One node of the index visited, which is seldom in a cache.
    pub const NODE: u64 = 150;
    /// One level of a topic compared with one level of a filter.
    pub const LEVEL: u64 = 20;
    /// One filter that matches: its entry and its list of subscribers are looked at.
    pub const FILTER: u64 = 300;
    /// One filter added to the index or removed from it.
    pub const CHANGE: u64 = 1_000;
    /// One topic with a retained value looked at, without the comparison of its levels.
    pub const RETAINED_TOPIC: u64 = 100;
    /// One level of the filter that such a topic is compared with.
    pub const RETAINED_LEVEL: u64 = 50;
    /// One delivery to a subscriber, the send included.
    pub const DELIVERY: u64 = 2_500;
    /// One subscriber looked at that is sent nothing.
    pub const SUBSCRIBER: u64 = 20;
    /// One entry dropped of what waited for a connection.
    pub const DROPPED: u64 = 50;
    /// One message encoded in one form, without its bytes.
    pub const FRAME: u64 = 100;

    /// A record of TLS that is decrypted or encrypted, without its bytes.
    pub const RECORD: u64 = 150;
    /// The next keys of a connection with TLS made.
    pub const KEYS: u64 = 5_000;
    /// A step of a handshake of TLS without a signature; one with it is several.
    pub const HANDSHAKE: u64 = 25_000;

    /// A signature of ECDSA on P-256 or of Ed25519 verified.
    pub const SIGNATURE: u64 = 80_000;
    /// A code of HMAC verified, with its key made ready.
    pub const HMAC: u64 = 3_000;
    /// A byte of a token that is decoded and parsed.
    pub const TOKEN_BYTE: u64 = 12;

    /// The work to verify a signature of RSA by a key of so many bits.
    #[must_use]
    pub const fn of_rsa(bits: usize) -> u64 {
        let kilobits = bits as u64 / 128;
        kilobits * kilobits * 160
    }

    /// The work for `bytes` that are decrypted or encrypted: by ChaCha20, or by AES.
    #[must_use]
    pub const fn of_sealed(is_chacha: bool, bytes: usize) -> u64 {
        bytes as u64 / if is_chacha { 2 } else { 4 }
    }

    /// The work for `bytes` of a payload that are unmasked, validated and copied.
    #[must_use]
    pub const fn of_payload(bytes: usize) -> u64 {
        bytes as u64 / 4
    }

    /// The work for `bytes` that are added to a message. Each page of its memory is new, and the
    /// kernel has to fill it with zeros first.
    #[must_use]
    pub const fn of_filled(bytes: usize) -> u64 {
        bytes as u64
    }

    /// The work for `bytes` of memory that are freed.
    #[must_use]
    pub const fn of_freed(bytes: usize) -> u64 {
        bytes as u64 / 8
    }

    /// The work for `bytes` that are copied, validated or escaped.
    #[must_use]
    pub const fn of_bytes(bytes: usize) -> u64 {
        bytes as u64 / 2
    }

    /// The work for a message of `read` bytes that was compressed to `written` at this level, with
    /// a window of `1 << bits` bytes. At level 1 most of it is for what is written; at the others
    /// it depends on how long the matches are that are looked for, so more is taken than for usual
    /// texts. The worst take up to four times as much, but these are not long
    /// (`protocol/websocket/deflate`). Each time the window is full, the whole table of earlier
    /// places is changed.
    #[must_use]
    pub const fn of_deflated(level: u32, bits: u8, read: usize, written: usize) -> u64 {
        let (read, written) = (read as u64, written as u64);
        let bytes = match level {
            0..=1 => read / 4 + written * 7,
            2..=5 => read * 24,
            6 => read * 32,
            7 => read * 64,
            8 => read * 128,
            _ => read * 256,
        };
        Self::COMPRESSOR + bytes + read * Self::WINDOW / (1 << bits)
    }

    /// The work counted since the last call.
    pub const fn take(&mut self) -> u64 {
        std::mem::replace(&mut self.used, 0)
    }

    /// A turn begins: nothing is done yet, and nothing may be done before
    /// [`allow`](Self::allow).
    pub const fn begin_turn(&mut self) {
        self.used = 0;
        self.limit = 0;
    }

    /// The units of the turn so far.
    #[must_use]
    pub const fn used(&self) -> u64 {
        self.used
    }

    /// Allows `units` more from here on.
    pub const fn allow(&mut self, units: u64) {
        self.limit = self.used.saturating_add(units);
    }

    /// Allows nothing more. Returns what was allowed, for [`restore`](Self::restore).
    #[inline]
    pub const fn stop(&mut self) -> u64 {
        std::mem::replace(&mut self.limit, 0)
    }

    /// Allows what was allowed before.
    pub const fn restore(&mut self, allowed: u64) {
        self.limit = allowed;
    }

    /// Counts what was done.
    #[inline]
    pub const fn charge(&mut self, units: u64) {
        self.used = self.used.saturating_add(units);
    }

    /// Counts `len` bytes at `each` units.
    #[inline]
    pub const fn charge_bytes(&mut self, len: usize, each: u64) {
        self.charge((len as u64).saturating_mul(each));
    }

    /// Whether what was allowed is used up. What is under way then stops where it can be resumed.
    #[inline]
    #[must_use]
    pub const fn is_used_up(&self) -> bool {
        self.used >= self.limit
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_allowance_counts_from_what_is_used() {
        let mut work = Work::default();
        assert!(work.is_used_up());
        work.allow(10);
        work.charge(9);
        assert!(!work.is_used_up());
        work.charge_bytes(1, 1);
        assert!(work.is_used_up());
        work.allow(5);
        work.charge(4);
        assert!(!work.is_used_up());
        work.charge(u64::MAX);
        assert!(work.is_used_up());
        assert_eq!(work.used(), u64::MAX);
        work.begin_turn();
        assert_eq!(work.used(), 0);
    }

    /// A window of 512 bytes is moved on often, a high level looks for long matches, and what does
    /// not become shorter costs most at level 1.
    #[test]
    fn compression_costs_by_level_window_and_result() {
        let of = |level, bits, written| Work::of_deflated(level, bits, 16_384, written);
        assert!((60_000..200_000).contains(&of(1, 9, 150)), "{}", of(1, 9, 150));
        assert!(of(1, 15, 150) < 20_000 && of(1, 15, 17_000) > 70_000);
        assert!(of(6, 15, 150) > 200_000 && of(9, 15, 150) > of(6, 15, 150));
        assert!(Work::of_deflated(1, 15, 0, 0) > 0);
    }

    #[test]
    fn work_is_summed_up_until_it_is_taken() {
        let mut work = Work::default();
        work.charge(3 * Work::NODE);
        work.charge(Work::of_bytes(1000));
        assert_eq!((work.take(), work.take()), (950, 0));
    }
}
