//! Headers against an encoder of the tests' own, and every rule at every cut.

use super::*;

/// A client's header, written out naively.
fn client_header(first: u8, len: u64, form: u8, key: [u8; 4]) -> Vec<u8> {
    let mut bytes = vec![first];
    match form {
        7 => bytes.push(0x80 | u8::try_from(len).unwrap()),
        16 => {
            bytes.push(0x80 | 126);
            bytes.extend(u16::try_from(len).unwrap().to_be_bytes());
        }
        _ => {
            bytes.push(0x80 | 127);
            bytes.extend(len.to_be_bytes());
        }
    }
    bytes.extend(key);
    bytes
}

/// The verdict over `bytes` when they arrive one at a time: the same as when whole.
fn parse_at_every_cut(bytes: &[u8], rsv1_allowed: bool) -> Result<Option<FrameHeader>, Violation> {
    let whole = FrameHeader::parse(bytes, rsv1_allowed);
    for cut in 0..bytes.len() {
        match FrameHeader::parse(&bytes[..cut], rsv1_allowed) {
            Ok(None) => {}
            early => {
                assert_eq!(early, whole, "cut {cut} of {bytes:02x?}");
                break;
            }
        }
    }
    whole
}

#[test]
fn every_first_byte_with_every_boundary_length() {
    let lengths = [
        (0, 7),
        (1, 7),
        (125, 7),
        (126, 16),
        (127, 16),
        (65_535, 16),
        (65_536, 64),
        (1 << 32, 64),
        ((1 << 63) - 1, 64),
        (125, 16),
        (0, 16),
        (65_535, 64),
        (0, 64),
        (1 << 63, 64),
        (u64::MAX, 64),
    ];
    for first in 0..=u8::MAX {
        for (len, form) in lengths {
            for allowed in [false, true] {
                let bytes = client_header(first, len, form, [1, 2, 3, 4]);
                let got = parse_at_every_cut(&bytes, allowed);
                let nibble = first & 0x0F;
                let control = nibble >= 8;
                let begins = nibble == 1 || nibble == 2;
                let minimal = match form {
                    7 => true,
                    16 => len > 125,
                    _ => len > 65_535,
                };
                let bad_rsv = first & 0x30 != 0 || (first & 0x40 != 0 && !(allowed && begins));
                let expected = if !matches!(nibble, 0 | 1 | 2 | 8 | 9 | 10) {
                    matches!(got, Err(Violation::ReservedOpcode | Violation::ReservedBit))
                } else if bad_rsv {
                    got == Err(Violation::ReservedBit)
                } else if control && first & 0x80 == 0 {
                    got == Err(Violation::ControlFragmented)
                } else if control && form != 7 {
                    got == Err(Violation::ControlTooLong)
                } else if form == 64 && len >= 1 << 63 {
                    got == Err(Violation::LengthTopBit)
                } else if !minimal {
                    got == Err(Violation::LengthNotMinimal)
                } else {
                    let header = got.unwrap().unwrap();
                    header.fin == (first & 0x80 != 0)
                        && header.rsv1 == (first & 0x40 != 0)
                        && header.opcode as u8 == nibble
                        && header.payload_len == len
                        && header.len == bytes.len()
                        && header.mask == MaskKey::new([1, 2, 3, 4])
                };
                assert!(expected, "{first:02x} {len} {form} {allowed}: {got:?}");
            }
        }
    }
}

#[test]
fn a_frame_without_a_mask_is_refused_at_its_second_byte() {
    for second in 0..0x80 {
        assert_eq!(FrameHeader::parse(&[0x82, second], false), Err(Violation::Unmasked));
        let long = [0x81, second, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        assert_eq!(FrameHeader::parse(&long, false), Err(Violation::Unmasked));
    }
}

#[test]
fn server_headers_at_the_length_boundaries() {
    let expected: [(usize, &[u8]); 6] = [
        (0, &[0x82, 0]),
        (125, &[0x82, 125]),
        (126, &[0x82, 126, 0, 126]),
        (65_535, &[0x82, 126, 0xFF, 0xFF]),
        (65_536, &[0x82, 127, 0, 0, 0, 0, 0, 1, 0, 0]),
        (1 << 32, &[0x82, 127, 0, 0, 0, 1, 0, 0, 0, 0]),
    ];
    for (len, bytes) in expected {
        let mut room = [0xEE; 12];
        let took = write_server_header(&mut room, Opcode::Binary, false, len);
        assert_eq!((took, server_header_len(len)), (bytes.len(), bytes.len()));
        assert_eq!(&room[12 - took..], bytes);
        assert!(room[..12 - took].iter().all(|byte| *byte == 0xEE), "wrote outside its place");
    }
    let mut out = vec![7];
    append_frame(&mut out, Opcode::Text, true, b"ab");
    assert_eq!(out, [7, 0xC1, 2, b'a', b'b']);
}
