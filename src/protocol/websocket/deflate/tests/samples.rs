//! The samples of RFC 7692 section 7.2.3, byte for byte.

use super::inflate;
use crate::protocol::websocket::deflate::{Deflater, InflateError, Inflater, Pool};

const HELLO: [u8; 7] = [0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00];

fn read(inflater: &mut Inflater, payload: &[u8]) -> Result<Vec<u8>, InflateError> {
    inflate(inflater, payload, 0, 100, &mut fastrand::Rng::with_seed(1))
}

#[test]
fn sample_one_message_whole_and_in_fragments() {
    let mut inflater = Inflater::new(15);
    assert_eq!(read(&mut inflater, &HELLO).unwrap(), b"Hello");
    for cut in 0..=HELLO.len() {
        let (mut inflater, mut out) = (Inflater::new(15), Vec::new());
        inflater.push(&HELLO[..cut], &mut out, 0, 5, usize::MAX).unwrap();
        inflater.push(&HELLO[cut..], &mut out, 0, 5, usize::MAX).unwrap();
        inflater.finish(&mut out, 0, 5).unwrap();
        assert_eq!(out, b"Hello", "cut at {cut}");
    }
}

#[test]
fn sample_sharing_the_window() {
    let mut inflater = Inflater::new(8);
    assert_eq!(read(&mut inflater, &HELLO).unwrap(), b"Hello");
    let again = [0xf2, 0x00, 0x11, 0x00, 0x00];
    assert_eq!(read(&mut inflater, &again).unwrap(), b"Hello");
    inflater.reset();
    assert_eq!(read(&mut inflater, &again), Err(InflateError::Corrupt), "nothing to share");
    let mut alone = Inflater::without_takeover();
    assert_eq!(read(&mut alone, &HELLO).unwrap(), b"Hello");
    assert_eq!(read(&mut alone, &again), Err(InflateError::Corrupt), "nothing remembered");
}

#[test]
fn sample_block_without_compression() {
    let payload = [0x00, 0x05, 0x00, 0xfa, 0xff, 0x48, 0x65, 0x6c, 0x6c, 0x6f, 0x00];
    assert_eq!(read(&mut Inflater::new(15), &payload).unwrap(), b"Hello");
}

#[test]
fn sample_final_block() {
    let payload = [0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, 0x00];
    let mut inflater = Inflater::new(15);
    assert_eq!(read(&mut inflater, &payload).unwrap(), b"Hello");
    let again = [0xf2, 0x00, 0x11, 0x00, 0x00];
    assert_eq!(read(&mut inflater, &again).unwrap(), b"Hello", "the window outlives BFINAL");
    // Two final blocks in one message, the second referring to the first.
    let twice = [&payload[..7], &[0xf3, 0x00, 0x11, 0x00], &[0x00]].concat();
    assert_eq!(read(&mut Inflater::new(15), &twice).unwrap(), b"HelloHello");
    // The empty stored block at the end may itself be final.
    assert_eq!(read(&mut inflater, &[0x01]).unwrap(), b"");
    assert_eq!(read(&mut inflater, &HELLO).unwrap(), b"Hello");
}

#[test]
fn sample_two_blocks() {
    let payload = [0xf2, 0x48, 0x05, 0x00, 0x00, 0x00, 0xff, 0xff, 0xca, 0xc9, 0xc9, 0x07, 0x00];
    assert_eq!(read(&mut Inflater::new(15), &payload).unwrap(), b"Hello");
}

#[test]
fn sample_empty_message() {
    let mut inflater = Inflater::new(15);
    for _ in 0..3 {
        assert_eq!(read(&mut inflater, &[0x00]).unwrap(), b"");
    }
    for level in 1..=9 {
        let (mut deflater, mut out) = (Deflater::new(15, level), Vec::new());
        deflater.message(b"", &mut out);
        deflater.message(b"", &mut out);
        assert_eq!(out, [0x00, 0x00]);
    }
}

#[test]
fn the_compressor_makes_the_samples() {
    let (mut deflater, mut out) = (Deflater::new(15, 6), b"frame".to_vec());
    deflater.message(b"Hello", &mut out);
    assert_eq!(out[5..], HELLO);
    out.clear();
    deflater.message(b"Hello", &mut out);
    assert_eq!(out, [0xf2, 0x00, 0x11, 0x00, 0x00]);
    out.clear();
    deflater.reset();
    deflater.message(b"Hello", &mut out);
    assert_eq!(out, HELLO);
}

#[test]
fn messages_end_before_the_removed_bytes_and_nowhere_else() {
    let bad: [&[u8]; 9] = [
        b"",
        // Within a fixed block; right after one, before the empty block's header.
        &HELLO[..3],
        &HELLO[..5],
        // A final block with no empty block after it.
        &[0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00],
        // The bytes that a sender must remove, in full and in part.
        &[0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, 0x00, 0x00, 0xff, 0xff],
        &[0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, 0x00, 0x00],
        // A stored block whose last bytes they would become.
        &[0x00, 0x05, 0x00, 0xfa, 0xff, 0x48],
        // The reserved block type; a wrong NLEN.
        &[0x06],
        &[0x00, 0x05, 0x00, 0xfa, 0xfe, 0x48, 0x65, 0x6c, 0x6c, 0x6f, 0x00],
    ];
    for payload in bad {
        let mut inflater = Inflater::new(15);
        assert_eq!(read(&mut inflater, payload), Err(InflateError::Corrupt), "{payload:x?}");
        assert_eq!(read(&mut inflater, &HELLO), Err(InflateError::Corrupt), "until reset");
        inflater.reset();
        assert_eq!(read(&mut inflater, &HELLO).unwrap(), b"Hello");
    }
}

#[test]
fn the_pool_lends_what_it_took_back() {
    let mut pool = Pool::new(3);
    for bits in 8..=15 {
        let (mut deflater, mut inflater) = (pool.deflater(bits), pool.inflater());
        for _ in 0..3 {
            let mut payload = Vec::new();
            deflater.message(b"Hello Hello Hello Hello", &mut payload);
            assert_eq!(read(&mut inflater, &payload).unwrap(), b"Hello Hello Hello Hello");
            deflater.reset();
        }
        assert!(read(&mut inflater, &[0x06]).is_err());
        let (d, i) = (std::ptr::from_ref(&*deflater), std::ptr::from_ref(&*inflater));
        pool.give_deflater(deflater);
        pool.give_inflater(inflater);
        let (deflater, mut inflater) = (pool.deflater(bits), pool.inflater());
        assert_eq!((d, i), (std::ptr::from_ref(&*deflater), std::ptr::from_ref(&*inflater)));
        assert_eq!(read(&mut inflater, &HELLO).unwrap(), b"Hello", "fit for use again");
        pool.give_inflater(inflater);
        pool.give_deflater(deflater);
    }
    // A decompressor with context takeover must not be lent to another connection.
    let own = Box::new(Inflater::new(15));
    pool.give_inflater(own);
    let mut lent = pool.inflater();
    assert_eq!(read(&mut lent, &HELLO).unwrap(), b"Hello");
    assert!(read(&mut lent, &[0xf2, 0x00, 0x11, 0x00, 0x00]).is_err());
}
