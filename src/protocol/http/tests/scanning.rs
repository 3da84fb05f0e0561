//! Goal: the scanner finds the end of a head, reports each fault with its own byte, and looks at
//! each byte once.

use super::{LINES, with};
use crate::protocol::http::{HARD_MAX_HEADERS, HeadError, HeadLimits, HeadScanner};

type Verdict = Result<Option<usize>, HeadError>;

fn scan(bytes: &[u8], limits: &HeadLimits) -> Verdict {
    HeadScanner::default().scan(bytes, limits)
}

/// The result after each byte, passed one by one.
fn bytewise(bytes: &[u8], limits: &HeadLimits) -> Vec<Verdict> {
    let mut scanner = HeadScanner::default();
    (1..=bytes.len()).map(|len| scanner.scan(&bytes[..len], limits)).collect()
}

/// The same rules, applied byte by byte over the whole input.
fn oracle(bytes: &[u8], limits: &HeadLimits) -> Verdict {
    let (mut lines, mut start) = (0, 0);
    for (at, &byte) in bytes.iter().enumerate() {
        if at == limits.max_bytes {
            return Err(HeadError::TooLarge);
        }
        let before = &bytes[start..at];
        let after_cr = before.ends_with(b"\r");
        if start == 0 && (at == 0 && byte == b'\r' || at == 1 && before == b"\r") {
            match (at, byte) {
                (1, b'\n') => start = 2,
                (1, _) => return Err(HeadError::BareCr),
                _ => {}
            }
            continue;
        }
        if at == start && !byte.is_ascii_uppercase() {
            let empty = byte == b'\r' || byte == b'\n';
            return Err(if empty { HeadError::LeadingEmptyLine } else { HeadError::NotHttp });
        }
        if lines == 0
            && before.len() >= limits.max_line
            && byte >= b' '
            && byte != 0x7f
            && !after_cr
        {
            return Err(HeadError::LineTooLong);
        }
        if after_cr && byte != b'\n' {
            return Err(HeadError::BareCr);
        }
        if byte == b'\n' {
            if !after_cr {
                return Err(HeadError::BareLf);
            }
            if before.ends_with(b"\r\n\r") {
                return Ok(Some(at + 1));
            }
            lines += 1;
            continue;
        }
        let fresh = before.ends_with(b"\n");
        if fresh && (byte == b' ' || byte == b'\t') {
            return Err(HeadError::FoldedLine);
        }
        let tab = byte == b'\t' && lines > 0;
        if byte.is_ascii_control() && byte != b'\r' && !tab {
            return Err(HeadError::ControlByte);
        }
        if fresh && byte != b'\r' && lines > limits.max_headers {
            return Err(HeadError::TooManyHeaders);
        }
    }
    if bytes.len() >= limits.max_bytes { Err(HeadError::TooLarge) } else { Ok(None) }
}

#[test]
fn the_end_is_found_where_it_is_and_stays_found() {
    let limits = HeadLimits::default();
    let head = with(&[]);
    let more = [&head[..], b"\x81\x80more"].concat();
    assert_eq!(scan(&head, &limits), Ok(Some(head.len())));
    assert_eq!(scan(&more, &limits), Ok(Some(head.len())));
    let mut scanner = HeadScanner::default();
    for len in 0..=more.len() {
        let expected = (len >= head.len()).then_some(head.len());
        assert_eq!(scanner.scan(&more[..len], &limits), Ok(expected));
    }
}

#[test]
fn no_byte_is_looked_at_twice() {
    let limits = HeadLimits::default();
    let head = with(&[&format!("X: {}", "a".repeat(7000))]);
    let mut scanner = HeadScanner::default();
    for len in 0..=head.len() {
        assert!(scanner.scan(&head[..len], &limits).is_ok());
        assert_eq!(scanner.scanned(), len, "every byte has been checked");
    }
}

#[test]
fn a_fault_is_reported_with_its_own_byte() {
    let limits = HeadLimits::default();
    let cases: [(HeadError, &[u8]); 15] = [
        (HeadError::NotHttp, b"\x16"),
        (HeadError::NotHttp, b"g"),
        (HeadError::NotHttp, b"\x80"),
        (HeadError::BareCr, b"\rG"),
        (HeadError::LeadingEmptyLine, b"\r\n\r"),
        (HeadError::LeadingEmptyLine, b"\r\n\n"),
        (HeadError::NotHttp, b"\r\n\0"),
        (HeadError::LeadingEmptyLine, b"\n"),
        (HeadError::BareLf, b"GET / HTTP/1.1\n"),
        (HeadError::BareLf, b"GET / HTTP/1.1\r\n\n"),
        (HeadError::BareCr, b"GET / HTTP/1.1\rX"),
        (HeadError::BareCr, b"GET / HTTP/1.1\r\n\rX"),
        (HeadError::ControlByte, b"GET\t"),
        (HeadError::ControlByte, b"GET / HTTP/1.1\r\nX: \0"),
        (HeadError::FoldedLine, b"GET / HTTP/1.1\r\n "),
    ];
    for (expected, bytes) in cases {
        let verdicts = bytewise(bytes, &limits);
        let (last, earlier) = verdicts.split_last().expect("at least one byte");
        assert_eq!(*last, Err(expected), "{bytes:?}");
        assert!(earlier.iter().all(|verdict| *verdict == Ok(None)), "{bytes:?}");
        assert_eq!(scan(bytes, &limits), Err(expected), "{bytes:?} at once");
    }
}

#[test]
fn an_error_is_repeated() {
    let limits = HeadLimits::default();
    let mut scanner = HeadScanner::default();
    for bytes in [&b"GET\0"[..], b"GET\0 / HTTP/1.1\r\n\r\n"] {
        assert_eq!(scanner.scan(bytes, &limits), Err(HeadError::ControlByte));
    }
}

#[test]
fn the_byte_limit_is_exact() {
    let exact = |len: usize| with(&[&format!("X: {}", "a".repeat(len - with(&["X: "]).len()))]);
    let limits = HeadLimits::default();
    let most = limits.max_bytes;
    assert_eq!((most, limits.max_line), (16_384, 8_192));
    assert_eq!(scan(&exact(most), &limits), Ok(Some(most)));
    assert_eq!(scan(&exact(most + 1), &limits), Err(HeadError::TooLarge));
    // As many bytes without an end are refused at once: no further byte can complete a head that
    // fits.
    assert_eq!(scan(&exact(most + 1)[..most - 1], &limits), Ok(None));
    assert_eq!(scan(&exact(most + 1)[..most], &limits), Err(HeadError::TooLarge));
    assert_eq!(scan(b"G", &HeadLimits { max_bytes: 0, ..limits }), Err(HeadError::TooLarge));
}

#[test]
fn the_limit_of_the_first_line_is_exact() {
    let limits = HeadLimits::default();
    let line = |len: usize| [b"GET /".to_vec(), vec![b'p'; len - 5]].concat();
    for before in ["", "\r\n"] {
        let begun = |len| [before.as_bytes(), &line(len)].concat();
        let ended = |len| [&begun(len), &b"\r\nHost: a\r\n\r\n"[..]].concat();
        assert_eq!(scan(&begun(limits.max_line), &limits), Ok(None));
        assert_eq!(scan(&begun(limits.max_line + 1), &limits), Err(HeadError::LineTooLong));
        assert!(matches!(scan(&ended(limits.max_line), &limits), Ok(Some(_))));
        let steps = bytewise(&ended(limits.max_line + 1), &limits);
        assert_eq!(steps.last(), Some(&Err(HeadError::LineTooLong)));
    }
}

#[test]
fn the_line_limit_is_exact_and_early() {
    let limits = HeadLimits::default();
    let fill = |lines: usize| with(&vec!["X: a"; lines - LINES.len()]);
    assert_eq!(limits.max_headers, 64);
    assert!(matches!(scan(&fill(64), &limits), Ok(Some(_))));
    assert_eq!(scan(&fill(65), &limits), Err(HeadError::TooManyHeaders));
    let begun = fill(65).len() - "X: a\r\n\r\n".len();
    assert_eq!(scan(&fill(65)[..begun], &limits), Ok(None));
    assert_eq!(scan(&fill(65)[..=begun], &limits), Err(HeadError::TooManyHeaders));
    let loose = HeadLimits { max_bytes: 1 << 20, max_headers: usize::MAX, ..limits };
    assert!(matches!(scan(&fill(HARD_MAX_HEADERS), &loose), Ok(Some(_))));
    assert_eq!(scan(&fill(HARD_MAX_HEADERS + 1), &loose), Err(HeadError::TooManyHeaders));
}

#[test]
fn every_byte_at_every_place_has_the_result_of_the_oracle() {
    let limits = HeadLimits::default();
    let head = with(&["X-Pad: abcdefgh"]);
    for at in 0..head.len() {
        for byte in 0..=u8::MAX {
            let mut bytes = head.clone();
            bytes[at] = byte;
            assert_eq!(scan(&bytes, &limits), oracle(&bytes, &limits), "{byte} at {at}");
        }
    }
}

#[test]
fn random_lines_have_the_result_of_the_oracle() {
    let limits = HeadLimits { max_bytes: 60, max_line: 40, max_headers: 4 };
    let parts: [&[u8]; 9] =
        [b"GET / HTTP/1.1", b"\r\n", b"\r\n\r\n", b"A: b", b"\n", b"\r", b"\t", b" ", b"\x7f"];
    let mut rng = fastrand::Rng::with_seed(6455);
    let mut complete = 0;
    for _ in 0..20_000 {
        let mut bytes = b"GET / HTTP/1.1".to_vec();
        for _ in 0..rng.usize(..12) {
            // The first parts are likelier, or hardly any head would be whole.
            let at = if rng.u8(..8) == 0 { rng.usize(..parts.len()) } else { rng.usize(1..4) };
            bytes.extend_from_slice(parts[at]);
        }
        let expected = oracle(&bytes, &limits);
        complete += usize::from(matches!(expected, Ok(Some(_))));
        assert_eq!(scan(&bytes, &limits), expected, "{bytes:?}");
        let mut steps = bytewise(&bytes, &limits);
        assert_eq!(steps.pop(), Some(expected), "{bytes:?}");
    }
    assert!(complete > 300, "{complete} heads were complete");
}
