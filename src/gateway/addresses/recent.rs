//! The addresses that have begun connections lately, in a table of a fixed size.

use super::prefix::Prefix;
use crate::base::Millis;
use crate::base::bucket::{TokenBucket, Tokens};

/// The sets of a table: a power of two. An address has its place in one of them.
const SETS: usize = 128;
/// The places of a set.
const PLACES: usize = 8;

/// A token bucket for each address. One that is full again is as good as none, so its place is
/// free. If a set has no free place, the address that has used least of its tokens loses its own.
#[derive(Debug, Default)]
pub(super) struct Recent {
    /// Empty until the first address comes.
    sets: Vec<[Option<Place>; PLACES]>,
}

#[derive(Clone, Copy, Debug)]
struct Place {
    prefix: Prefix,
    bucket: TokenBucket,
}

impl Recent {
    /// Takes a token of an address, if it has one.
    pub(super) fn take(&mut self, prefix: Prefix, hash: u64, of: Tokens, now: Millis) -> bool {
        if self.sets.is_empty() {
            self.sets = vec![[None; PLACES]; SETS];
        }
        #[allow(clippy::cast_possible_truncation, reason = "the lowest bits are enough")]
        let Some(set) = self.sets.get_mut(hash as usize % SETS) else { return true };
        set.iter_mut().flatten().for_each(|place| place.bucket.refill(of, now));
        let known = set.iter_mut().flatten().find(|place| place.prefix == prefix);
        if let Some(Place { bucket, .. }) = known {
            let has_one = bucket.tokens() > 0;
            if has_one {
                bucket.take(1);
            }
            return has_one;
        }
        let left = |place: &Option<Place>| match place {
            Some(Place { bucket, .. }) if !bucket.is_full(of) => bucket.tokens(),
            _ => u64::MAX,
        };
        let mut bucket = TokenBucket::full(of, now);
        bucket.take(1);
        if let Some(place) = set.iter_mut().max_by_key(|place| left(place)) {
            *place = Some(Place { prefix, bucket });
        }
        true
    }
}

#[cfg(test)]
impl Recent {
    /// The places that there are.
    pub(super) fn places(&self) -> usize {
        self.sets.len() * PLACES
    }
}
