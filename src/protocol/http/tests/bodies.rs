//! Goal: a body ends where its framing says, however its bytes are split, and what could be read in
//! two ways is refused.

use crate::protocol::http::{BodyError, BodyReader, Framing};

/// The content, and the bytes that belong to the body.
type Verdict = Result<(Vec<u8>, Option<usize>), BodyError>;

/// Reads `bytes` in pieces of these lengths, the last of which is the rest.
fn read(framing: Framing, limit: usize, bytes: &[u8], cuts: &[usize]) -> Verdict {
    let mut reader = BodyReader::new(framing, limit)?;
    let (mut content, mut taken, mut rest) = (Vec::new(), 0, bytes);
    for cut in cuts.iter().copied().chain([bytes.len()]) {
        let (piece, behind) = rest.split_at(cut.min(rest.len()));
        let len = reader.read(piece, |part| content.extend_from_slice(part))?;
        taken += len;
        if reader.is_done() {
            return Ok((content, Some(taken)));
        }
        assert_eq!(len, piece.len(), "all of a piece is taken before the end");
        rest = behind;
    }
    Ok((content, None))
}

/// The same for every cut in two and byte by byte, all of which must agree.
fn read_all_ways(framing: Framing, limit: usize, bytes: &[u8]) -> Verdict {
    let whole = read(framing, limit, bytes, &[]);
    for cut in 0..=bytes.len() {
        let text = bytes.escape_ascii();
        assert_eq!(read(framing, limit, bytes, &[cut]), whole, "cut at {cut}: {text}");
    }
    assert_eq!(read(framing, limit, bytes, &vec![1; bytes.len()]), whole, "byte by byte");
    whole
}

#[test]
fn a_length_is_exact() {
    let of = |length, bytes: &[u8]| read_all_ways(Framing::Length(length), 5, bytes);
    assert_eq!(of(5, b"hello"), Ok((b"hello".to_vec(), Some(5))));
    assert_eq!(of(5, b"helloGET /"), Ok((b"hello".to_vec(), Some(5))));
    assert_eq!(of(5, b"hell"), Ok((b"hell".to_vec(), None)));
    assert_eq!(of(6, b""), Err(BodyError::TooLarge));
    assert_eq!(of(u64::MAX, b"hello"), Err(BodyError::TooLarge));
    assert_eq!(read_all_ways(Framing::None, 0, b"x"), Ok((Vec::new(), Some(0))));
}

#[test]
fn chunks_are_put_together() {
    let cases: [(&[u8], &[u8], usize); 7] = [
        (b"0\r\n\r\n", b"", 5),
        (b"5\r\nhello\r\n0\r\n\r\n", b"hello", 15),
        (b"5\r\nhello\r\n0\r\n\r\nGET / ", b"hello", 15),
        (b"1\r\na\r\nA\r\n0123456789\r\n000\r\n\r\n", b"a0123456789", 28),
        (b"2;a=b;c=\"d\"\r\n\r\n\r\n0;e\r\n\r\n", b"\r\n", 24),
        (b"0\r\nA: b\r\nC:\r\n\r\n", b"", 15),
        (b"00000000000000000001\r\nx\r\n0\r\n\r\n", b"x", 30),
    ];
    for (bytes, content, len) in cases {
        let expected = Ok((content.to_vec(), Some(len)));
        let whole = read_all_ways(Framing::Chunked, 100, bytes);
        assert_eq!(whole, expected, "{}", bytes.escape_ascii());
        // Everything before is incomplete.
        for end in 0..len {
            let begun = read(Framing::Chunked, 100, &bytes[..end], &[]);
            assert!(matches!(begun, Ok((_, None))), "{} to {end}", bytes.escape_ascii());
        }
    }
}

#[test]
fn malformed_chunks_are_refused() {
    use BodyError::{ChunkEnd, ChunkLine, TooLarge, Trailer};
    let cases: [(&[u8], BodyError); 28] = [
        (b"\r\n", ChunkLine),
        (b"x\r\n", ChunkLine),
        (b"+1\r\n", ChunkLine),
        (b"-1\r\n", ChunkLine),
        (b"0x1\r\n", ChunkLine),
        (b" 1\r\n", ChunkLine),
        (b"1 \r\n", ChunkLine),
        (b"1\n", ChunkLine),
        (b"1\r\r\n", ChunkLine),
        (b"1\rx", ChunkLine),
        (b"1;\r\n", ChunkLine),
        (b"1; a\r\n", ChunkLine),
        (b"1;a\n", ChunkLine),
        (b"1;a\0\r\n", ChunkLine),
        (b"1_0\r\n", ChunkLine),
        (b"1\r\nab", ChunkEnd),
        (b"1\r\na\n", ChunkEnd),
        (b"1\r\na\rb", ChunkEnd),
        (b"1\r\na\r\n\r\n", ChunkLine),
        (b"65\r\n", TooLarge),
        (b"ffffffffffffffff\r\n", TooLarge),
        (b"ffffffffffffffffffff\r\n", TooLarge),
        (b"0\r\nA b\r\n", Trailer),
        (b"0\r\nA\r\n", Trailer),
        (b"0\r\n: b\r\n", Trailer),
        (b"0\r\nA: b\n", Trailer),
        (b"0\r\nA: b\r\n c\r\n", Trailer),
        (b"0\r\n\n", Trailer),
    ];
    for (bytes, expected) in cases {
        let verdict = read_all_ways(Framing::Chunked, 100, bytes);
        assert_eq!(verdict, Err(expected), "{}", bytes.escape_ascii());
    }
}

#[test]
fn all_parts_of_a_body_are_limited() {
    let chunks = |count: usize| [&b"1\r\na\r\n".repeat(count)[..], b"0\r\n\r\n"].concat();
    assert_eq!(read(Framing::Chunked, 9, &chunks(9), &[]), Ok((vec![b'a'; 9], Some(59))));
    assert_eq!(read(Framing::Chunked, 9, &chunks(10), &[]), Err(BodyError::TooLarge));
    let extended =
        |len: usize| [b"0;".to_vec(), vec![b'x'; len - 2], b"\r\n\r\n".to_vec()].concat();
    assert_eq!(read_all_ways(Framing::Chunked, 0, &extended(255)), Ok((vec![], Some(259))));
    assert_eq!(read_all_ways(Framing::Chunked, 0, &extended(257)), Err(BodyError::ChunkLine));
    let digits = [vec![b'0'; 257], b"\r\n\r\n".to_vec()].concat();
    assert_eq!(read_all_ways(Framing::Chunked, 0, &digits), Err(BodyError::ChunkLine));
    let trailers = |count: usize| [b"0\r\n".to_vec(), b"A: b\r\n".repeat(count)].concat();
    assert!(read(Framing::Chunked, 0, &trailers(600), &[]).is_ok());
    let all = read(Framing::Chunked, 0, &trailers(700), &[]);
    assert_eq!(all, Err(BodyError::TrailersTooLarge));
}

#[test]
fn random_bodies_are_read_alike_however_they_are_split() {
    let parts: [&[u8]; 12] = [
        b"1\r\na\r\n",
        b"3\r\nabc\r\n",
        b"0\r\n",
        b"\r\n",
        b"A: b\r\n",
        b"5;x=y\r\n",
        b"hello",
        b"\n",
        b"\r",
        b";",
        b"f",
        b" ",
    ];
    let mut rng = fastrand::Rng::with_seed(9112);
    let (mut complete, mut refused) = (0, 0);
    for _ in 0..20_000 {
        let mut bytes = Vec::new();
        for _ in 0..rng.usize(1..8) {
            let at = if rng.u8(..4) == 0 { rng.usize(..parts.len()) } else { rng.usize(..4) };
            bytes.extend_from_slice(parts[at]);
        }
        match read_all_ways(Framing::Chunked, 8, &bytes) {
            Ok((_, Some(_))) => complete += 1,
            Ok((_, None)) => {}
            Err(_) => refused += 1,
        }
    }
    assert!(complete > 300 && refused > 300, "{complete} complete, {refused} refused");
}
