//! Random input of clients: bytes for the server, and the expected answers for the model.

use crate::frames::{BINARY, CLOSE, CONTINUATION, FIN, PING, PONG, TEXT, append};
use crate::sim::model::{Ending, Model};
use crate::sim::world::World;

/// Characters of one to four bytes.
const TEXTS: [&str; 3] = [
    "the quick brown fox jumps over the lazy dog 0123456789 ",
    "Falsches Üben von Xylophonmusik quält jeden größeren Zwerg ",
    "다람쥐 헌 쳇바퀴에 타고파, 𝄞𝄢 ",
];

fn mask(rng: &mut fastrand::Rng) -> [u8; 4] {
    if rng.u8(0..8) == 0 { [0; 4] } else { rng.u32(..).to_le_bytes() }
}

fn size(rng: &mut fastrand::Rng) -> usize {
    match rng.u8(0..100) {
        0..60 => rng.usize(0..126),
        60..80 => rng.usize(0..2000),
        80..90 => rng.usize(0..9000),
        90..96 => *rng.choice(&[0, 1, 125, 126, 127, 65_535, 65_536]).unwrap(),
        _ => rng.usize(0..=70 * 1024),
    }
}

fn text(rng: &mut fastrand::Rng, size: usize) -> Vec<u8> {
    let pattern = TEXTS[rng.usize(0..TEXTS.len())];
    let skip = rng.usize(0..20);
    let mut text: String = pattern.chars().skip(skip).collect();
    while text.len() < size {
        text.push_str(pattern);
    }
    text.truncate(text.floor_char_boundary(size));
    // The text must have exactly `size` bytes.
    text.extend(std::iter::repeat_n('.', size - text.len()));
    text.into_bytes()
}

fn binary(rng: &mut fastrand::Rng, size: usize) -> Vec<u8> {
    let mut bytes = vec![0; size];
    rng.fill(&mut bytes);
    bytes
}

/// One message of `size` bytes, whole or in fragments; a size above the limit is a violation.
pub(crate) fn message(rng: &mut fastrand::Rng, world: &World, model: &mut Model) -> Vec<u8> {
    let size = size(rng);
    let (opcode, payload) =
        if rng.bool() { (TEXT, text(rng, size)) } else { (BINARY, binary(rng, size)) };
    let mut out = Vec::new();
    if rng.u8(0..5) == 0 {
        fragments(rng, opcode, &payload, model, &mut out);
    } else {
        append(&mut out, FIN | opcode, &payload, mask(rng));
    }
    if size > world.config.limits.max_message {
        model.ending = Ending::Violation(1009);
    } else {
        model.sent_message(opcode, payload, world);
    }
    out
}

/// A message in two to five fragments, with pings between them.
fn fragments(
    rng: &mut fastrand::Rng,
    opcode: u8,
    payload: &[u8],
    model: &mut Model,
    out: &mut Vec<u8>,
) {
    let mut opcode = opcode;
    let mut rest = payload;
    for _ in 0..rng.usize(1..5) {
        let (fragment, behind) = rest.split_at(rng.usize(0..=rest.len()));
        append(out, opcode, fragment, mask(rng));
        (opcode, rest) = (CONTINUATION, behind);
        if rng.u8(0..3) == 0 {
            out.extend(ping(rng, model));
        }
    }
    append(out, FIN | CONTINUATION, rest, mask(rng));
}

/// Many small messages in one write.
pub(crate) fn pipeline(rng: &mut fastrand::Rng, world: &World, model: &mut Model) -> Vec<u8> {
    let mut out = Vec::new();
    let most = if rng.bool() { 20 } else { 300 };
    for _ in 0..rng.usize(2..60) {
        let size = rng.usize(0..most);
        let (opcode, payload) =
            if rng.bool() { (TEXT, text(rng, size)) } else { (BINARY, binary(rng, size)) };
        append(&mut out, FIN | opcode, &payload, mask(rng));
        model.sent_message(opcode, payload, world);
        if rng.u8(0..16) == 0 {
            out.extend(ping(rng, model));
        }
    }
    out
}

pub(crate) fn ping(rng: &mut fastrand::Rng, model: &mut Model) -> Vec<u8> {
    // Long enough for unique payloads, if there is more than one.
    let least = if model.awaits_pong() { 4 } else { 0 };
    let size = rng.usize(least..=125);
    let payload = binary(rng, size);
    let mut out = Vec::new();
    append(&mut out, FIN | PING, &payload, mask(rng));
    model.sent_ping(payload);
    out
}

/// A pong: the answer to a ping of the server, or an unsolicited one (RFC 6455 section 5.5.3).
pub(crate) fn pong(rng: &mut fastrand::Rng, payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    append(&mut out, FIN | PONG, payload, mask(rng));
    out
}

/// A close frame.
pub(crate) fn close(rng: &mut fastrand::Rng, payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    append(&mut out, FIN | CLOSE, payload, mask(rng));
    out
}

/// A valid payload of a close frame.
pub(crate) fn close_payload(rng: &mut fastrand::Rng) -> Vec<u8> {
    if rng.u8(0..4) == 0 {
        return Vec::new();
    }
    let code = *rng.choice(&[1000u16, 1001, 1003, 1007, 1011, 1014, 3000, 4999]).unwrap();
    let size = rng.usize(0..=123);
    [code.to_be_bytes().to_vec(), text(rng, size)].concat()
}

/// A violation: the bytes, and the close code of the answer.
pub(crate) fn violation(rng: &mut fastrand::Rng, world: &World) -> (Vec<u8>, u16) {
    let mut out = Vec::new();
    let mask = mask(rng);
    let small = rng.usize(0..100);
    let payload = binary(rng, small);
    let limits = &world.config.limits;
    let code = match rng.u8(0..14) {
        0 => {
            out.extend([FIN | BINARY, 5]);
            out.extend(b"naked");
            1002
        }
        1 => {
            let opcode = *rng.choice(&[3, 4, 5, 6, 7, 11, 12, 13, 14, 15]).unwrap();
            append(&mut out, FIN | opcode, &payload, mask);
            1002
        }
        2 => {
            append(&mut out, FIN | BINARY | rng.u8(1..8) << 4, &payload, mask);
            1002
        }
        3 => {
            append(&mut out, *rng.choice(&[CLOSE, PING, PONG]).unwrap(), &payload, mask);
            1002
        }
        4 => {
            append(&mut out, FIN | PING, &[7; 126], mask);
            1002
        }
        5 => {
            out.extend([FIN | BINARY, 0x80 | 126, 0, rng.u8(0..126)]);
            1002
        }
        6 => {
            out.extend([FIN | BINARY, 0x80 | 127, 0, 0, 0, 0, 0, 0, rng.u8(..), rng.u8(..)]);
            1002
        }
        7 => {
            out.extend([FIN | BINARY, 0x80 | 127, rng.u8(0x80..), 0, 0, 0, 0, 0, 0, 0]);
            1002
        }
        8 => {
            append(&mut out, CONTINUATION | if rng.bool() { FIN } else { 0 }, &payload, mask);
            1002
        }
        9 => {
            append(&mut out, BINARY, &payload, mask);
            append(&mut out, TEXT | if rng.bool() { FIN } else { 0 }, b"again", mask);
            1002
        }
        10 => return bad_close(rng, mask),
        11 => {
            let bad: &[u8] = rng
                .choice(&[&b"\xFF"[..], b"ok \xC0\x80", b"\xED\xA0\x80", b"\xF4\x90\x80\x80"])
                .unwrap();
            append(&mut out, TEXT | if rng.bool() { FIN } else { 0 }, bad, mask);
            1007
        }
        12 if limits.max_message < 1 << 24 => {
            // Only the header of a frame above the limit.
            out.extend([FIN | BINARY, 0x80 | 127, 0, 0, 0, 0, rng.u8(1..), 0, 0, 0]);
            out.extend(mask);
            1009
        }
        _ => too_many_fragments(rng, world, &mut out),
    };
    (out, code)
}

fn bad_close(rng: &mut fastrand::Rng, mask: [u8; 4]) -> (Vec<u8>, u16) {
    let mut out = Vec::new();
    let refused = [0u16, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65_535];
    let code = rng.choice(&refused).unwrap().to_be_bytes();
    let (payload, answer): (&[u8], u16) = match rng.u8(0..3) {
        0 => (b"\x03", 1002),
        1 => (&code, 1002),
        _ => (b"\x03\xE8\xE2\x28\xA1", 1007),
    };
    append(&mut out, FIN | CLOSE, payload, mask);
    (out, answer)
}

/// A message of too many fragments; or, if that would be very many, one that is interrupted by
/// another message.
fn too_many_fragments(rng: &mut fastrand::Rng, world: &World, out: &mut Vec<u8>) -> u16 {
    let most = world.config.limits.max_fragments;
    append(out, BINARY, b"", mask(rng));
    if most > 100 {
        append(out, BINARY, b"", mask(rng));
        return 1002;
    }
    for _ in 0..most {
        append(out, CONTINUATION, b"", mask(rng));
    }
    1008
}

/// Random bytes.
pub(crate) fn junk(rng: &mut fastrand::Rng) -> Vec<u8> {
    let size = rng.usize(0..3000);
    binary(rng, size)
}
