//! Payloads, determined by the seed.

use fastrand::Rng;

use super::Content;
use crate::frames::{BINARY, TEXT};

impl Content {
    /// The opcode of messages with this content.
    pub(crate) fn opcode(self) -> u8 {
        if self == Self::Binary { BINARY } else { TEXT }
    }

    /// Exactly `size` bytes; text is valid UTF-8.
    pub(crate) fn payload(self, size: usize, seed: u64) -> Vec<u8> {
        let mut rng = Rng::with_seed(seed);
        match self {
            Self::Binary => {
                let mut bytes = vec![0; size];
                rng.fill(&mut bytes);
                bytes
            }
            Self::Ascii => text(size, || ascii(&mut rng)),
            Self::Korean => text(size, || rng.char('\u{ac00}'..='\u{d7a3}')),
            Self::Emoji => text(size, || rng.char('\u{1f600}'..='\u{1f64f}')),
            Self::Mixed => text(size, || match rng.u8(..4) {
                0 => ascii(&mut rng),
                1 => rng.char('\u{391}'..='\u{3a1}'),
                2 => rng.char('\u{ac00}'..='\u{d7a3}'),
                _ => rng.char('\u{1f600}'..='\u{1f64f}'),
            }),
            Self::Json => json(size, &mut rng),
        }
    }
}

/// Letters, digits and spaces.
fn ascii(rng: &mut Rng) -> char {
    if rng.u8(..6) == 0 { ' ' } else { rng.alphanumeric() }
}

/// Random characters; if the next one does not fit at the end, letters fill the rest.
fn text(size: usize, mut next: impl FnMut() -> char) -> Vec<u8> {
    let mut text = String::with_capacity(size + 4);
    loop {
        let c = next();
        if text.len() + c.len_utf8() > size {
            break;
        }
        text.push(c);
    }
    let mut bytes = text.into_bytes();
    bytes.extend((b'a'..=b'z').cycle().take(size - bytes.len()));
    bytes
}

/// An array of objects, padded with spaces before the last bracket, which JSON allows. A payload of
/// one byte is a number.
fn json(size: usize, rng: &mut Rng) -> Vec<u8> {
    if size < 2 {
        return vec![b'7'; size];
    }
    let mut text = String::with_capacity(size + 128);
    text.push('[');
    loop {
        let comma = if text.len() > 1 { "," } else { "" };
        let name: String = (0..8).map(|_| rng.alphabetic()).collect();
        let (id, price) = (rng.u32(..1_000_000), rng.u32(..100_000));
        let open = rng.bool();
        let price = f64::from(price) / 100.0;
        let object =
            format!("{comma}{{\"id\":{id},\"name\":\"{name}\",\"price\":{price},\"open\":{open}}}");
        if text.len() + object.len() + 1 > size {
            break;
        }
        text.push_str(&object);
    }
    let mut bytes = text.into_bytes();
    bytes.resize(size - 1, b' ');
    bytes.push(b']');
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Content; 6] = [
        Content::Binary,
        Content::Ascii,
        Content::Korean,
        Content::Emoji,
        Content::Mixed,
        Content::Json,
    ];

    #[test]
    fn payloads_have_their_size_and_text_is_valid() {
        for content in ALL {
            for size in (0..200).chain([1024, 16_384, 100_001]) {
                let bytes = content.payload(size, 7);
                assert_eq!(bytes.len(), size, "{content:?}");
                assert_eq!(bytes, content.payload(size, 7), "{content:?}, {size}: not the same");
                if content.opcode() == TEXT {
                    assert!(std::str::from_utf8(&bytes).is_ok(), "{content:?}, {size}");
                }
                if content == Content::Json && size > 0 {
                    let value = serde_json::from_slice::<serde_json::Value>(&bytes);
                    assert!(value.is_ok(), "{size}: {}", String::from_utf8_lossy(&bytes));
                }
            }
        }
    }

    #[test]
    fn characters_have_the_length_of_their_alphabet() {
        let lengths = |content: Content| {
            let bytes = content.payload(12_000, 1);
            let text = String::from_utf8(bytes).unwrap();
            let mut counts = [0; 5];
            text.chars().for_each(|c| counts[c.len_utf8()] += 1);
            counts
        };
        assert_eq!(lengths(Content::Ascii), [0, 12_000, 0, 0, 0]);
        assert_eq!(lengths(Content::Korean), [0, 0, 0, 4000, 0]);
        assert_eq!(lengths(Content::Emoji), [0, 0, 0, 0, 3000]);
        assert!(lengths(Content::Mixed)[1..].iter().all(|n| *n > 1000));
    }

    #[test]
    fn a_shift_shows() {
        for content in ALL {
            let bytes = content.payload(4096, 3);
            for by in 1..64 {
                assert_ne!(bytes[..4000], bytes[by..4000 + by], "{content:?} by {by}");
            }
        }
    }
}
