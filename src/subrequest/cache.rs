//! Answers that are known for a while.

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use super::question::Key;
use crate::authority::Authority;
use crate::protocol::websocket::handshake::Refusal;

/// The most answers that are kept.
const MAX_ENTRIES: usize = 16_384;
/// The most bytes of all of them.
const MAX_BYTES: usize = 16 << 20;
/// The most answers whose time is over that are forgotten when one is added.
const FEW: usize = 8;
/// What a refusal is taken to have at most.
const REFUSAL: usize = 2048;

/// What the backend has said.
pub(super) type Answer = Result<Authority, Refusal>;

/// Answers by their questions. If there are too many, the oldest are forgotten.
#[derive(Debug, Default)]
pub(super) struct Cache {
    known: HashMap<Key, Known>,
    /// The keys in the order in which they were added, with their numbers. One that was added again
    /// is there twice; the number tells which counts.
    order: VecDeque<(Key, u64)>,
    bytes: usize,
    number: u64,
}

#[derive(Debug)]
struct Known {
    answer: Answer,
    until: Instant,
    number: u64,
    bytes: usize,
}

impl Cache {
    /// The answer to this question, if it is known.
    pub(super) fn get(&self, key: &Key, now: Instant) -> Option<Answer> {
        let known = self.known.get(key).filter(|known| now < known.until)?;
        Some(known.answer.clone())
    }

    /// Keeps an answer for this time.
    pub(super) fn add(&mut self, key: Key, answer: Answer, now: Instant, time: Duration) {
        let Some(until) = now.checked_add(time) else { return };
        let inner = answer.as_ref().map_or(REFUSAL, Authority::memory);
        let bytes = 2 * size_of::<(Key, Known)>() + inner;
        self.number += 1;
        let known = Known { answer, until, number: self.number, bytes };
        self.bytes += bytes;
        if let Some(before) = self.known.insert(key, known) {
            self.bytes -= before.bytes;
        }
        self.order.push_back((key, self.number));
        self.forget(now);
    }

    /// Forgets what is too much, and a little of what is over: the loops wait meanwhile.
    fn forget(&mut self, now: Instant) {
        let mut few = 0;
        while let Some((key, number)) = self.order.front() {
            let known = self.known.get(key).filter(|known| known.number == *number);
            let is_much = self.order.len() > MAX_ENTRIES || self.bytes > MAX_BYTES;
            let is_over = known.is_none_or(|known| known.until <= now);
            if !is_much && (!is_over || few == FEW) {
                return;
            }
            few += 1;
            if let Some(bytes) = known.map(|known| known.bytes) {
                self.bytes -= bytes;
                self.known.remove(key);
            }
            self.order.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::websocket::handshake::Rejection;

    fn key(number: usize) -> Key {
        let mut key = Key::default();
        key[..8].copy_from_slice(&number.to_le_bytes());
        key
    }

    fn user(name: &str) -> Answer {
        Ok(Authority::new(name, vec![], vec![], None).unwrap())
    }

    #[test]
    fn an_answer_is_known_for_its_time() {
        let (mut cache, start) = (Cache::default(), Instant::now());
        let time = Duration::from_secs(5);
        cache.add(key(1), user("ann"), start, time);
        cache.add(key(2), Err(Rejection::Forbidden.into()), start, time);
        assert_eq!(cache.get(&key(1), start), Some(user("ann")));
        let last = start + time - Duration::from_nanos(1);
        assert_eq!(cache.get(&key(2), last), Some(Err(Rejection::Forbidden.into())));
        assert_eq!(cache.get(&key(1), start + time), None);
        assert_eq!(cache.get(&key(3), start), None);
        // The later one counts, and for its own time.
        cache.add(key(1), user("bob"), start + time, time);
        assert_eq!(cache.get(&key(1), start + time), Some(user("bob")));
        cache.add(key(4), user("eve"), start + 3 * time, time);
        assert_eq!((cache.known.len(), cache.order.len()), (1, 1));
    }

    #[test]
    fn its_memory_is_bounded() {
        let (mut cache, now) = (Cache::default(), Instant::now());
        for number in 0..2 * MAX_ENTRIES {
            cache.add(key(number), user("ann"), now, Duration::from_secs(1));
        }
        assert_eq!((cache.known.len(), cache.order.len()), (MAX_ENTRIES, MAX_ENTRIES));
        assert!(cache.get(&key(MAX_ENTRIES - 1), now).is_none(), "the oldest are forgotten");
        assert!(cache.get(&key(MAX_ENTRIES), now).is_some());
        // One that is added again and again.
        for _ in 0..2 * MAX_ENTRIES {
            cache.add(key(0), user("ann"), now, Duration::from_secs(1));
        }
        assert_eq!((cache.known.len(), cache.order.len()), (1, 1));
        for number in 0..MAX_ENTRIES {
            let answer = Err(Rejection::Forbidden.into());
            cache.add(key(number), answer, now, Duration::from_secs(1));
        }
        assert!(cache.bytes <= MAX_BYTES && cache.known.len() > 4_000);
    }
}
