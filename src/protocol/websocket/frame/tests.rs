//! Goal: headers of both roles, parsed and written, follow RFC 6455 section 5.2.
//! Method: an independent encoder, every first byte with every boundary length, every rule with
//! the bytes cut at every place, and round trips between the roles.

use super::*;

const KEY: [u8; 4] = [1, 2, 3, 4];

type Verdict = Result<Option<FrameHeader>, Violation>;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sender {
    Client,
    Server,
}

impl Sender {
    fn parse(self, bytes: &[u8], rsv1_allowed: bool) -> Verdict {
        match self {
            Self::Client => FrameHeader::parse(bytes, rsv1_allowed),
            Self::Server => FrameHeader::parse_from_server(bytes, rsv1_allowed),
        }
    }

    /// A header written out naively, `len` in a field of `form` bits.
    fn header(self, first: u8, len: u64, form: u8) -> Vec<u8> {
        let mask = if self == Self::Client { 0x80 } else { 0 };
        let mut bytes = vec![first];
        match form {
            7 => bytes.push(mask | u8::try_from(len).unwrap()),
            16 => {
                bytes.push(mask | 126);
                bytes.extend(u16::try_from(len).unwrap().to_be_bytes());
            }
            _ => {
                bytes.push(mask | 127);
                bytes.extend(len.to_be_bytes());
            }
        }
        if self == Self::Client {
            bytes.extend(KEY);
        }
        bytes
    }

    fn key(self) -> MaskKey {
        if self == Self::Client { MaskKey::new(KEY) } else { MaskKey::new([0; 4]) }
    }
}

/// The result for `bytes`, after checking that it is the same when they arrive one at a time.
fn parse_at_every_cut(sender: Sender, bytes: &[u8], rsv1_allowed: bool) -> Verdict {
    let whole = sender.parse(bytes, rsv1_allowed);
    for cut in 0..bytes.len() {
        match sender.parse(&bytes[..cut], rsv1_allowed) {
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
    let senders = [Sender::Client, Sender::Server];
    for first in 0..=u8::MAX {
        for (len, form) in lengths {
            for (sender, allowed) in senders.into_iter().flat_map(|s| [(s, false), (s, true)]) {
                let bytes = sender.header(first, len, form);
                let got = parse_at_every_cut(sender, &bytes, allowed);
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
                        && header.mask == sender.key()
                };
                assert!(expected, "{sender:?} {first:02x} {len} {form} {allowed}: {got:?}");
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
fn a_masked_frame_of_a_server_is_refused_at_its_second_byte() {
    for second in 0x80..=0xFF {
        let short = FrameHeader::parse_from_server(&[0x82, second], false);
        assert_eq!(short, Err(Violation::Masked));
        let long = [0x81, second, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        assert_eq!(FrameHeader::parse_from_server(&long, false), Err(Violation::Masked));
    }
}

#[test]
fn frames_of_each_role_are_read_by_the_other() {
    let mut rng = fastrand::Rng::with_seed(5);
    for len in [0, 1, 124, 125, 126, 127, 1000, 65_535, 65_536, 70_000] {
        let payload: Vec<u8> = (0..len).map(|_| rng.u8(..)).collect();
        for (opcode, rsv1) in [(Opcode::Text, true), (Opcode::Binary, false)] {
            let key = MaskKey::new(rng.u32(..).to_le_bytes());
            let mut frame = b"before".to_vec();
            append_client_frame(&mut frame, opcode, rsv1, &payload, key);
            let header = FrameHeader::parse(&frame[6..], true).unwrap().unwrap();
            assert_eq!((header.fin, header.rsv1, header.opcode), (true, rsv1, opcode));
            assert_eq!((header.payload_len, header.mask), (len as u64, key));
            let body = &mut frame[6 + header.len..];
            unmask(body, header.mask);
            assert_eq!(body, payload);

            let mut frame = Vec::new();
            append_frame(&mut frame, opcode, rsv1, &payload);
            let header = FrameHeader::parse_from_server(&frame, true).unwrap().unwrap();
            assert_eq!((header.fin, header.rsv1, header.opcode), (true, rsv1, opcode));
            assert_eq!((header.payload_len, header.len), (len as u64, server_header_len(len)));
            assert_eq!(frame[header.len..], payload);
        }
    }
}

#[test]
fn a_client_writes_fragments_and_stays_in_its_place() {
    let key = MaskKey::new(KEY);
    let lens = [(0, 6), (125, 6), (126, 8), (65_535, 8), (65_536, 14), (1 << 40, 14)];
    for (payload_len, expected) in lens {
        for (opcode, fin) in [(Opcode::Text, false), (Opcode::Continuation, true)] {
            let mut room = [0xEE; 16];
            let len = write_client_header(&mut room, opcode, fin, false, payload_len, key);
            assert_eq!(len, expected);
            assert!(room[..16 - len].iter().all(|byte| *byte == 0xEE));
            let header = FrameHeader::parse(&room[16 - len..], false).unwrap().unwrap();
            assert_eq!((header.fin, header.opcode, header.len), (fin, opcode, len));
            assert_eq!((header.payload_len, header.mask), (payload_len as u64, key));
        }
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
