//! What a connection wants to send at the end of a turn.

use std::ops::Range;
use std::rc::Rc;

use bytes::Bytes;

use crate::base::{Chunk, Shared};

/// The least bytes that are worth sharing instead of copying, if they are all that is sent.
const SHARED_ALONE: usize = 4 << 10;
/// The same behind other bytes, where sharing costs one more send.
const SHARED_BEHIND: usize = 64 << 10;

/// What one connection is sent in one turn: bytes in place in the receive buffer that brought the
/// requests, or in memory of its own, or shared with other connections. Usually one run of bytes;
/// shared bytes may follow those in memory of its own.
///
/// It is no `enum`, because that costs 7 % more instructions for an echo: the tag would be looked
/// at besides the range.
#[derive(Debug, Default)]
pub struct Output {
    in_place: Range<usize>,
    shared: Option<Rc<Shared>>,
    owned: Vec<u8>,
    from: usize,
}

impl Output {
    /// Whether there is nothing to send.
    #[inline]
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.in_place.is_empty() && self.owned.is_empty() && self.shared.is_none()
    }

    /// Bytes shared with other connections, to be sent as they are.
    #[inline]
    #[must_use]
    pub fn of_shared(bytes: &Rc<Shared>) -> Self {
        Self { shared: Some(Rc::clone(bytes)), ..Self::default() }
    }

    /// How many bytes there are to send.
    #[must_use]
    pub fn len(&self) -> usize {
        let shared = self.shared.as_ref().map_or(0, |bytes| bytes.len());
        self.in_place.len() + shared + self.owned_len()
    }

    /// Adds a copy of `bytes` after what is there.
    ///
    /// # Panics
    /// If replies are in place: [`copy_out`](Self::copy_out) comes first.
    pub fn append(&mut self, bytes: &[u8], spare: impl FnOnce() -> Vec<u8>) {
        self.appendable(spare).extend_from_slice(bytes);
    }

    /// Where the replies stand in the receive buffer, if they do.
    #[inline]
    #[must_use]
    pub fn in_place(&self) -> Option<Range<usize>> {
        if self.in_place.is_empty() { None } else { Some(self.in_place.clone()) }
    }

    /// The bytes of replies in memory of their own.
    #[inline]
    #[must_use]
    pub fn owned_len(&self) -> usize {
        self.owned.len() - self.from.min(self.owned.len())
    }

    /// The memory that holds the replies, and where in it they begin.
    #[must_use]
    pub fn into_owned(self) -> (Vec<u8>, usize) {
        (self.owned, self.from)
    }

    /// Whether there are two runs of bytes, so that one send is not enough.
    #[inline]
    #[must_use]
    pub fn is_split(&self) -> bool {
        self.shared.is_some() && self.owned_len() > 0
    }

    /// Takes the first run of bytes.
    ///
    /// # Panics
    /// If replies are in place: they would be lost. [`copy_out`](Self::copy_out) comes first.
    #[inline]
    #[must_use]
    pub fn take_chunk(&mut self) -> Chunk {
        assert!(self.in_place.is_empty(), "replies in place must be copied out first");
        let owned_len = self.owned_len();
        let (bytes, from) = (std::mem::take(&mut self.owned), std::mem::take(&mut self.from));
        match self.shared.take() {
            Some(shared) if owned_len == 0 => Chunk::Shared { bytes: shared, from: 0 },
            behind => {
                self.shared = behind;
                Chunk::Owned { bytes, from }
            }
        }
    }

    /// Adds `bytes` after what is there: shared if they are many, otherwise copied. Bytes that were
    /// shared before are copied.
    ///
    /// # Panics
    /// As [`append`](Self::append).
    pub fn append_shared(&mut self, bytes: &Bytes, spare: impl FnOnce() -> Vec<u8>) {
        if self.is_worth_sharing(bytes.len()) {
            self.share(Rc::new(bytes.clone().into()), spare);
        } else {
            self.append(bytes, spare);
        }
    }

    /// The same with bytes that connections of this core share already.
    ///
    /// # Panics
    /// As [`append`](Self::append).
    pub fn append_frames(&mut self, bytes: &Rc<Shared>, spare: impl FnOnce() -> Vec<u8>) {
        if self.is_worth_sharing(bytes.len()) {
            self.share(Rc::clone(bytes), spare);
        } else {
            self.append(bytes, spare);
        }
    }

    /// Whether so many bytes are shared that what is added should not have them copied.
    #[must_use]
    pub fn has_many_shared(&self) -> bool {
        self.shared.as_ref().is_some_and(|shared| shared.len() >= SHARED_BEHIND)
    }

    fn is_worth_sharing(&self, len: usize) -> bool {
        len >= if self.is_empty() { SHARED_ALONE } else { SHARED_BEHIND }
    }

    fn share(&mut self, bytes: Rc<Shared>, spare: impl FnOnce() -> Vec<u8>) {
        assert!(self.in_place.is_empty(), "replies in place must be copied out first");
        if self.shared.is_some() {
            self.appendable(spare);
        }
        if self.owned.is_empty() {
            // One byte that is skipped: memory of its own is in use, so no reply is put in place.
            (self.owned, self.from) = (vec![0], 1);
        }
        self.shared = Some(bytes);
    }

    /// Moves what stands in place in `buffer` into memory of its own: `spare`, if none is in use.
    /// From then on all replies of the turn go there.
    pub fn copy_out(&mut self, buffer: &[u8], spare: impl FnOnce() -> Vec<u8>) {
        let bytes = buffer.get(self.in_place.clone()).unwrap_or_default();
        self.in_place = 0..0;
        self.appendable(spare).extend_from_slice(bytes);
    }

    /// The memory of its own, to append to.
    ///
    /// # Panics
    /// If replies are in place: they would be lost. [`copy_out`](Self::copy_out) comes first.
    pub(crate) fn appendable(&mut self, spare: impl FnOnce() -> Vec<u8>) -> &mut Vec<u8> {
        assert!(self.in_place.is_empty(), "replies in place must be copied out first");
        if self.owned.capacity() == 0 {
            self.owned = spare();
        }
        if let Some(shared) = self.shared.take() {
            self.owned.extend_from_slice(&shared);
        }
        &mut self.owned
    }

    /// Whether replies have memory of their own, so that none may stand in place any more.
    #[inline]
    pub(crate) fn is_owned(&self) -> bool {
        // Deliveries come when all has been received, and `append_shared` leaves a byte there.
        debug_assert!(self.shared.is_none() || !self.owned.is_empty(), "no reply may be lost");
        !self.owned.is_empty()
    }

    /// Takes `buffer[from..]` as the first reply. Only while there is no other.
    pub(crate) fn adopt(&mut self, buffer: Vec<u8>, from: usize) -> Vec<u8> {
        assert!(self.is_empty(), "adopting would overtake an earlier reply");
        self.from = from;
        std::mem::replace(&mut self.owned, buffer)
    }

    /// Where in the receive buffer a reply of `header` plus some payload bytes may put its
    /// payload, when the request's payload begins at `payload_at`: right there for the first, to
    /// the left for those that follow, as a server's header is shorter than a client's. `None`
    /// where the reply must be copied out.
    #[inline]
    pub(crate) fn in_place_offset(&self, payload_at: usize, header: usize) -> Option<usize> {
        if self.is_owned() {
            return None;
        }
        let at = if self.in_place.is_empty() { payload_at } else { self.in_place.end + header };
        (header <= at && at <= payload_at).then_some(at)
    }

    /// Notes a reply in place: header and payload at `range`, right behind the last one.
    #[inline]
    pub(crate) fn extend_in_place(&mut self, range: Range<usize>) {
        if self.in_place.is_empty() {
            self.in_place = range;
        } else {
            debug_assert_eq!(self.in_place.end, range.start);
            self.in_place.end = range.end;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_output_is_small() {
        assert!(size_of::<Output>() <= 56, "{}", size_of::<Output>());
    }

    /// Also in a release build: bytes that would be lost end the program instead.
    #[test]
    #[should_panic(expected = "must be copied out")]
    fn nothing_is_appended_to_replies_in_place() {
        let mut output = Output::default();
        output.extend_in_place(2..5);
        output.append(b"more", Vec::new);
    }

    /// The same for what is taken or shared.
    #[test]
    fn nothing_in_place_is_lost() {
        for lose in [
            |output: &mut Output| drop(output.take_chunk()),
            |output: &mut Output| output.append_shared(&vec![1; SHARED_BEHIND].into(), Vec::new),
            |output: &mut Output| drop(output.adopt(vec![1], 0)),
        ] {
            let mut output = Output::default();
            output.extend_in_place(2..5);
            let lost = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| lose(&mut output)));
            assert!(lost.is_err());
        }
    }

    fn runs(mut output: Output) -> Vec<(Vec<u8>, bool)> {
        let next = || {
            let chunk = (!output.is_empty()).then(|| output.take_chunk())?;
            Some((chunk.rest().to_vec(), matches!(chunk, Chunk::Shared { .. })))
        };
        std::iter::from_fn(next).collect()
    }

    #[test]
    fn many_bytes_are_shared_and_keep_their_place() {
        let few = Bytes::from(vec![b'f'; SHARED_ALONE - 1]);
        let some = Bytes::from(vec![b's'; SHARED_ALONE]);
        let many = Bytes::from(vec![b'm'; SHARED_BEHIND]);
        for (before, bytes, after, shared) in [
            (false, &few, false, false),
            (false, &some, false, true),
            (true, &some, false, false),
            (true, &many, false, true),
            (true, &many, true, false),
            (false, &many, true, false),
        ] {
            let mut output = Output::default();
            let mut expected = Vec::new();
            if before {
                output.append(b"before", Vec::new);
                expected.extend_from_slice(b"before");
            }
            output.append_shared(bytes, Vec::new);
            expected.extend_from_slice(bytes);
            assert!(output.is_owned() && output.in_place_offset(9, 2).is_none());
            if after {
                output.append(b"after", Vec::new);
                expected.extend_from_slice(b"after");
            }
            assert_eq!(output.len(), expected.len());
            assert_eq!(output.is_split(), shared && before);
            let runs = runs(output);
            assert_eq!(runs.last().map(|(_, is_shared)| *is_shared), Some(shared));
            let sent: Vec<u8> = runs.into_iter().flat_map(|(bytes, _)| bytes).collect();
            assert!(sent == expected);
        }
        // Of two, the second is shared.
        let mut output = Output::default();
        output.append_shared(&some, Vec::new);
        output.append_shared(&many, Vec::new);
        assert_eq!(runs(output), [(some.to_vec(), false), (many.to_vec(), true)]);
    }

    #[test]
    fn replies_stay_in_order_in_whatever_memory() {
        let buffer = b"..abc";
        let mut output = Output::default();
        assert_eq!(output.in_place_offset(4, 2), Some(4));
        output.extend_in_place(2..4);
        assert_eq!((output.in_place_offset(9, 3), output.in_place_offset(6, 3)), (Some(7), None));
        output.extend_in_place(4..5);
        assert_eq!((output.in_place(), output.len(), output.owned_len()), (Some(2..5), 3, 0));
        output.copy_out(buffer, || Vec::with_capacity(100));
        output.copy_out(buffer, Vec::new);
        output.append(b"d", || unreachable!("there is memory"));
        assert!(output.is_owned() && output.in_place_offset(4, 2).is_none());
        assert_eq!(output.take_chunk().rest(), b"abcd");
        assert!(output.is_empty());
        output = Output::of_shared(&Rc::new(Bytes::from("shared").into()));
        output.append(b"+", Vec::new);
        assert_eq!((output.len(), output.take_chunk().rest()), (7, &b"shared+"[..]));
        let mut output = Output::default();
        assert_eq!(output.adopt(b"__adopted".to_vec(), 2).capacity(), 0);
        output.append(b"!", Vec::new);
        assert_eq!((output.owned_len(), output.take_chunk().rest()), (8, &b"adopted!"[..]));
    }
}
