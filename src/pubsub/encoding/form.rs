//! The forms in which subscribers want their messages. A message is encoded once in each form that
//! is wanted, however many subscribers want it.

use super::codec::Codec;
use super::encode::Framing;

/// A codec and a compression: uncompressed or deflated with a window of 9, 12 or 15 bits. A message
/// deflated with a small window can be inflated with a larger one (RFC 7692 section 7.1.2.1), and
/// each further window would be work for every message. What is in no WebSocket frame is never
/// compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Form(u8);

/// The bits below those of the codec: the size of the window in bits less 8, or 0 for no
/// compression.
const WINDOW_BITS: u8 = 3;
const WINDOW: u8 = (1 << WINDOW_BITS) - 1;
/// The windows in use, in bits.
const WINDOWS: [u8; 3] = [9, 12, 15];

impl Form {
    /// One above the highest index.
    pub(crate) const COUNT: usize = Codec::COUNT << WINDOW_BITS;
    /// The payload as it was published.
    #[cfg(test)]
    pub(crate) const RAW: Self = Self((Codec::Raw as u8) << WINDOW_BITS);
    /// The payload in a JSON envelope.
    #[cfg(test)]
    pub(crate) const JSON: Self = Self((Codec::Json as u8) << WINDOW_BITS);

    /// The form of a codec for a window of at most `window_bits` bits; `None` for no compression. 8
    /// counts as 9, because both use the same compressor.
    #[must_use]
    pub(crate) fn new(codec: Codec, window_bits: Option<u8>) -> Self {
        let fits = |max: u8| WINDOWS.into_iter().rev().find(|bits| *bits <= max.max(9));
        let window = match codec.framing() {
            Framing::AsPublished | Framing::Frame(_) => window_bits.and_then(fits),
            Framing::Own => None,
        };
        let window = window.map_or(0, |bits| bits - 8);
        Self((codec as u8) << WINDOW_BITS | window)
    }

    /// The codec.
    #[must_use]
    pub(crate) const fn codec(self) -> Codec {
        Codec::ALL[(self.0 >> WINDOW_BITS) as usize]
    }

    /// The window of the compressor, 9 to 15 bits; `None` for no compression.
    #[must_use]
    pub(crate) const fn window_bits(self) -> Option<u8> {
        match self.0 & WINDOW {
            0 => None,
            window => Some(window + 8),
        }
    }

    /// The same codec without compression.
    #[must_use]
    pub(crate) const fn plain(self) -> Self {
        Self(self.0 & !WINDOW)
    }

    /// A number below [`COUNT`](Self::COUNT), for tables by form.
    #[must_use]
    pub(crate) const fn index(self) -> usize {
        self.0 as usize
    }

    /// All forms, by index.
    pub(crate) fn all() -> impl Iterator<Item = Self> {
        (0..u8::MAX).take(Self::COUNT).map(Self)
    }
}

/// A set of forms.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Forms(u64);

const _: () = assert!(Form::COUNT <= u64::BITS as usize, "a set has a bit for each form");

impl Forms {
    /// No form.
    pub(crate) const EMPTY: Self = Self(0);

    /// The set with `form`.
    #[must_use]
    pub(crate) const fn with(self, form: Form) -> Self {
        Self(self.0 | (1 << form.0))
    }

    /// The set without `form`.
    #[must_use]
    pub(crate) const fn without(self, form: Form) -> Self {
        Self(self.0 & !(1 << form.0))
    }

    /// The forms in either set.
    #[must_use]
    pub(crate) const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether `form` is in the set.
    #[must_use]
    pub(crate) const fn contains(self, form: Form) -> bool {
        self.0 & (1 << form.0) != 0
    }

    /// Whether the set is empty.
    #[must_use]
    pub(crate) const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The forms in the set that are of this codec.
    pub(crate) fn of_codec(self, codec: Codec) -> Self {
        self.iter().filter(|form| form.codec() == codec).fold(Self::EMPTY, Self::with)
    }

    /// The forms in the set, by index.
    pub(crate) fn iter(self) -> impl Iterator<Item = Form> {
        Form::all().filter(move |form| self.contains(*form))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codecs_are_numbered_as_they_are_listed() {
        assert!(Codec::ALL.iter().enumerate().all(|(number, codec)| *codec as usize == number));
    }

    #[test]
    fn forms_are_told_apart() {
        let mut seen = Forms::EMPTY;
        let bits = [None, Some(9), Some(12), Some(15)];
        let codecs = [Codec::Raw, Codec::Json];
        for (codec, window_bits) in codecs.into_iter().flat_map(|c| bits.map(|b| (c, b))) {
            let form = Form::new(codec, window_bits);
            assert_eq!((form.codec(), form.window_bits()), (codec, window_bits));
            assert_eq!(form.plain(), Form::new(codec, None));
            assert!(form.index() < Form::COUNT && !seen.contains(form));
            seen = seen.with(form);
        }
        assert_eq!(seen.iter().count(), 8);
        assert!(codecs.iter().all(|codec| seen.of_codec(*codec).iter().count() == 4));
        assert!(Form::all().enumerate().all(|(index, form)| form.index() == index));
        assert_eq!(Form::all().count(), Form::COUNT);
    }

    #[test]
    fn no_window_is_larger_than_agreed() {
        let windows = [(8, 9), (9, 9), (10, 9), (11, 9), (12, 12), (13, 12), (14, 12), (15, 15)];
        for (agreed, used) in windows {
            for codec in [Codec::Raw, Codec::Json] {
                assert_eq!(Form::new(codec, Some(agreed)).window_bits(), Some(used), "{agreed}");
            }
            // It has no WebSocket frames.
            assert_eq!(Form::new(Codec::Lines, Some(agreed)), Form::new(Codec::Lines, None));
        }
    }

    #[test]
    fn sets_hold_what_was_put_in() {
        for form in Form::all() {
            let one = Forms::EMPTY.with(form);
            assert!(one.iter().eq([form]) && !one.is_empty());
            assert_eq!(one.with(form), one);
            for other in Form::all() {
                assert_eq!(one.contains(other), form == other);
                let two = one.union(Forms::EMPTY.with(other));
                assert_eq!(two, one.with(other));
                assert_eq!(two.iter().count(), if form == other { 1 } else { 2 });
                let left = if form == other { Forms::EMPTY } else { one };
                assert_eq!(two.without(other), left);
            }
        }
        assert!(Forms::EMPTY.is_empty() && Forms::default() == Forms::EMPTY);
        assert_eq!(Forms::EMPTY.iter().count(), 0);
    }
}
