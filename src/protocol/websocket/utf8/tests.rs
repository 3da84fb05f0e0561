//! Goal: every kernel accepts exactly the texts that the standard library accepts, and fails in
//! the chunk with the first bad byte.
//! Method: all short sequences at block boundaries, all cuts of mixed strings, and random damage.

use super::{InvalidUtf8, Kernel, MaskKey, Validator, is_valid, unmask_text};

const KEY: MaskKey = MaskKey::new([0x9d, 0x1f, 0x72, 0xe4]);

/// The bytes on both sides of every limit in the table of RFC 3629 section 4.
const LIMITS: [u8; 27] = [
    0x00, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xc1, 0xc2, 0xdf, 0xe0, 0xe1, 0xec, 0xed,
    0xee, 0xef, 0xf0, 0xf1, 0xf3, 0xf4, 0xf5, 0xf7, 0xf8, 0xfe, 0xff,
];

const TEXTS: [&[u8]; 9] = [
    "plain ASCII".as_bytes(),
    "κόσμε, Grüße, naïve".as_bytes(),
    "한국어 텍스트와 ASCII가 섞인 문장".as_bytes(),
    "😀😃 emoji 👩‍👩‍👧 \u{10ffff}\u{10000}\u{ffff}\u{800}\u{7ff}\u{80}".as_bytes(),
    b"overlong \xe0\x80\x80 three",
    b"surrogate \xed\xa0\x80",
    b"too large \xf4\x90\x80\x80",
    b"stray \x80 continuation",
    b"cut \xf0\x9f\x98",
];

/// The position of the first byte at which no valid text can continue, by the standard library: the
/// end of the shortest prefix with an error other than a lack of bytes.
fn first_bad(bytes: &[u8]) -> Option<usize> {
    let from = std::str::from_utf8(bytes).err()?.valid_up_to();
    (from..bytes.len()).find(|at| {
        std::str::from_utf8(&bytes[from..=*at]).is_err_and(|error| error.error_len().is_some())
    })
}

type Push<'a> = &'a dyn Fn(&mut Validator, &[u8]) -> Result<(), InvalidUtf8>;

/// Unmasks a masked copy with the given misalignment, and checks the plain bytes if they are valid.
fn through_mask(
    bytes: &[u8],
    misalignment: usize,
    run: impl FnOnce(&mut [u8]) -> Result<(), InvalidUtf8>,
) -> Result<(), InvalidUtf8> {
    let mut masked = vec![0xc3; misalignment + bytes.len() + 70];
    let place = misalignment..misalignment + bytes.len();
    masked[place.clone()].copy_from_slice(bytes);
    for (byte, mask) in masked[place.clone()].iter_mut().zip(KEY.bytes().into_iter().cycle()) {
        *byte ^= mask;
    }
    let verdict = run(&mut masked[place.clone()]);
    assert!(masked[..place.start].iter().all(|byte| *byte == 0xc3), "bytes before the text");
    assert!(masked[place.end..].iter().all(|byte| *byte == 0xc3), "bytes behind the text");
    if verdict.is_ok() {
        assert!(&masked[place] == bytes, "unmasked text");
    }
    verdict
}

/// Calls `check` with each way to push a chunk.
fn each_push(mut check: impl FnMut(&str, Push<'_>)) {
    check("push", &|validator, bytes| validator.push(bytes));
    check("unmask_text", &|validator, bytes| {
        through_mask(bytes, 0, |masked| unmask_text(masked, KEY, validator))
    });
    for kernel in Kernel::available() {
        check(kernel.name(), &|validator, bytes| kernel.push(validator, bytes));
        check(kernel.name(), &|validator, bytes| {
            let misalignment = bytes.len() * 7 % 64;
            through_mask(bytes, misalignment, |masked| kernel.unmask_text(masked, KEY, validator))
        });
    }
}

/// Fails unless pushing `bytes`, split at the sorted `cuts`, reports an error exactly with the
/// chunk that contains the byte at `bad`.
fn check_chunks(name: &str, push: Push<'_>, bytes: &[u8], bad: Option<usize>, cuts: &[usize]) {
    let mut validator = Validator::new();
    let mut start = 0;
    for end in cuts.iter().copied().chain([bytes.len()]) {
        let verdict = push(&mut validator, &bytes[start..end]);
        let fails = bad.is_some_and(|bad| bad < end);
        assert_eq!(verdict.is_err(), fails, "{name}: {start}..{end}, bad {bad:?}, {bytes:02x?}");
        if fails {
            return;
        }
        start = end;
    }
    let complete = std::str::from_utf8(bytes).is_ok();
    assert_eq!(validator.is_complete(), complete, "{name}: end of {bytes:02x?}");
}

/// Checks a sequence at the start, across block boundaries and at the end of a longer text.
fn check_sequence(sequence: &[u8], lengths_before: &[usize]) {
    for &before in lengths_before {
        for behind in [0, 70] {
            let mut bytes = vec![b'a'; before];
            bytes.extend_from_slice(sequence);
            bytes.resize(bytes.len() + behind, b'b');
            let bad = first_bad(&bytes);
            each_push(|name, push| check_chunks(name, push, &bytes, bad, &[]));
        }
    }
}

#[test]
fn all_sequences_of_two_bytes() {
    for first in 0..=0xff {
        for second in 0..=0xff {
            check_sequence(&[first, second], &[0, 63]);
        }
    }
}

#[test]
fn all_sequences_of_three_limits() {
    for first in LIMITS {
        for second in LIMITS {
            for third in LIMITS {
                check_sequence(&[first, second, third], &[62, 63]);
            }
        }
    }
}

#[test]
fn all_sequences_of_four_limits_after_a_long_lead_byte() {
    for first in LIMITS.into_iter().filter(|first| *first >= 0xe0) {
        for second in LIMITS {
            for third in LIMITS {
                for fourth in [0x7f, 0x80, 0xbf, 0xc0] {
                    check_sequence(&[first, second, third, fourth], &[61]);
                }
            }
        }
    }
}

#[test]
fn every_character_is_valid() {
    let text: String = ('\0'..=char::MAX).collect();
    assert!(is_valid(text.as_bytes()), "all characters");
    for kernel in Kernel::available() {
        let mut validator = Validator::new();
        assert_eq!(kernel.push(&mut validator, text.as_bytes()), Ok(()), "{}", kernel.name());
        assert!(validator.is_complete(), "{}", kernel.name());
    }
}

#[test]
fn every_cut_of_mixed_texts() {
    for text in TEXTS {
        for repeat in [1, 9] {
            let bytes = text.repeat(repeat);
            let bad = first_bad(&bytes);
            each_push(|name, push| {
                for cut in 0..=bytes.len() {
                    check_chunks(name, push, &bytes, bad, &[cut]);
                    check_chunks(name, push, &bytes, bad, &[cut, (cut + 3).min(bytes.len())]);
                }
                let every_byte: Vec<usize> = (1..bytes.len()).collect();
                check_chunks(name, push, &bytes, bad, &every_byte);
            });
        }
    }
}

#[test]
fn impossible_sequences_fail_before_they_end() {
    let impossible: [&[u8]; 9] = [
        b"\xc0",
        b"\xc1",
        b"\xf5",
        b"\xff",
        b"\x80",
        b"\xe0\x80",
        b"\xed\xa0",
        b"\xf0\x8f",
        b"\xf4\x90",
    ];
    for sequence in impossible {
        for before in 0..130 {
            let mut bytes = vec![b'a'; before];
            bytes.extend_from_slice(sequence);
            each_push(|name, push| {
                let verdict = push(&mut Validator::new(), &bytes);
                assert_eq!(verdict, Err(InvalidUtf8), "{name}: {sequence:02x?} behind {before}");
            });
        }
    }
}

#[test]
fn random_damage_in_random_chunks() {
    let mut random = fastrand::Rng::with_seed(3629);
    for round in 0..4000 {
        let mut bytes = Vec::new();
        let len = random.usize(1..1500);
        // Runs of one script, so that blocks of ASCII and of multi-byte characters alternate.
        while bytes.len() < len {
            let script = *random
                .choice(
                    &['a'..='z', 'ß'..='ÿ', '가'..='힣', '😀'..='🙏']
                        .map(|script| [*script.start(), *script.end()]),
                )
                .unwrap();
            for _ in 0..random.usize(1..120) {
                let character = random.char(script[0]..=script[1]);
                bytes.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
            }
        }
        // Every second text is damaged, mostly near a multiple of the block.
        if round % 2 == 0 {
            let near = random.usize(0..=bytes.len() / 64) * 64 + random.usize(0..8);
            let at = near.saturating_sub(4).min(bytes.len() - 1);
            match random.u8(0..3) {
                0 => bytes[at] = random.u8(..),
                1 => drop(bytes.remove(at)),
                _ => bytes.truncate(at),
            }
        }
        let bad = first_bad(&bytes);
        let mut cuts: Vec<usize> =
            (0..random.usize(0..4)).map(|_| random.usize(0..=bytes.len())).collect();
        cuts.sort_unstable();
        each_push(|name, push| check_chunks(name, push, &bytes, bad, &cuts));
    }
}

#[test]
fn ascii_in_constant_time_only_between_characters() {
    let mut validator = Validator::new();
    assert_eq!(validator.push_ascii(usize::MAX), Ok(()));
    assert_eq!(validator.push(b"\xe2\x82"), Ok(()));
    assert!(!validator.is_complete());
    assert_eq!(validator.push_ascii(0), Ok(()));
    assert_eq!({ validator }.push_ascii(1), Err(InvalidUtf8));
    assert_eq!(validator.push(b"\xac"), Ok(()));
    assert!(validator.is_complete());
    assert_eq!(validator.push_ascii(1), Ok(()));
}

#[test]
fn empty_chunks_change_nothing() {
    each_push(|name, push| {
        let mut validator = Validator::new();
        assert_eq!(push(&mut validator, b""), Ok(()), "{name}");
        assert!(validator.is_complete(), "{name}");
        assert_eq!(push(&mut validator, b"\xf0"), Ok(()), "{name}");
        assert_eq!(push(&mut validator, b""), Ok(()), "{name}");
        assert!(!validator.is_complete(), "{name}");
    });
}

/// Long runs of ASCII are skipped; an unfinished character before them is still an error.
#[test]
fn unfinished_characters_before_long_ascii() {
    let unfinished: [&[u8]; 6] =
        [b"\xc2", b"\xe1", b"\xe1\x80", b"\xf1", b"\xf1\x80", b"\xf1\x80\x80"];
    for sequence in unfinished {
        for before in (0..130).chain(250..260).chain(505..515) {
            let mut bytes = vec![b'a'; before];
            bytes.extend_from_slice(sequence);
            let cut = bytes.len();
            bytes.resize(cut + 700, b'b');
            each_push(|name, push| {
                check_chunks(name, push, &bytes, Some(cut), &[]);
                check_chunks(name, push, &bytes, Some(cut), &[cut]);
            });
        }
    }
}
