//! Frames as bytes: frames of a client, valid or not, and frames of a server.

/// The masking key of the examples in RFC 6455 section 5.7.
pub(crate) const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

pub(crate) const CONTINUATION: u8 = 0x0;
pub(crate) const TEXT: u8 = 0x1;
pub(crate) const BINARY: u8 = 0x2;
pub(crate) const CLOSE: u8 = 0x8;
pub(crate) const PING: u8 = 0x9;
pub(crate) const PONG: u8 = 0xA;

pub(crate) const FIN: u8 = 0x80;
pub(crate) const RSV1: u8 = 0x40;

/// The encoding of a length: 7, 16 or 64 bits, minimal or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    Seven,
    Sixteen,
    SixtyFour,
}

/// The shortest form for `len`.
pub(crate) fn form_of(len: usize) -> Form {
    match len {
        0..=125 => Form::Seven,
        126..=0xFFFF => Form::Sixteen,
        _ => Form::SixtyFour,
    }
}

/// The header of a frame, up to the mask.
fn head(first: u8, masked: u8, form: Form, len: u64) -> Vec<u8> {
    let mut bytes = vec![first];
    match form {
        Form::Seven => bytes.push(masked | u8::try_from(len).unwrap()),
        Form::Sixteen => {
            bytes.push(masked | 126);
            bytes.extend(u16::try_from(len).unwrap().to_be_bytes());
        }
        Form::SixtyFour => {
            bytes.push(masked | 127);
            bytes.extend(len.to_be_bytes());
        }
    }
    bytes
}

/// A client's header with the given length in the given form.
pub(crate) fn header(first: u8, form: Form, len: u64) -> Vec<u8> {
    let mut bytes = head(first, 0x80, form, len);
    bytes.extend(MASK);
    bytes
}

/// XORs `payload` with `mask`, byte by byte.
pub(crate) fn xor(payload: &[u8], mask: [u8; 4]) -> Vec<u8> {
    payload.iter().zip(mask.iter().cycle()).map(|(byte, key)| byte ^ key).collect()
}

/// A client's frame: `first` is FIN, RSV bits and opcode.
pub(crate) fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    masked(first, payload, MASK)
}

/// A client's frame with the given masking key.
pub(crate) fn masked(first: u8, payload: &[u8], mask: [u8; 4]) -> Vec<u8> {
    let mut bytes = head(first, 0x80, form_of(payload.len()), payload.len() as u64);
    bytes.extend(mask);
    bytes.extend(xor(payload, mask));
    bytes
}

/// A client's frame that declares `declared` bytes and has only `payload`.
pub(crate) fn cut_short(first: u8, declared: usize, payload: &[u8]) -> Vec<u8> {
    let mut bytes = header(first, form_of(declared), declared as u64);
    bytes.extend(xor(payload, MASK));
    bytes
}

/// A frame without a mask: valid from a server, invalid from a client.
pub(crate) fn unmasked(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = head(first, 0, form_of(payload.len()), payload.len() as u64);
    bytes.extend(payload);
    bytes
}

/// The payload of a close frame.
pub(crate) fn close_payload(code: u16, reason: &[u8]) -> Vec<u8> {
    [&code.to_be_bytes()[..], reason].concat()
}

/// The close frame that a client sends.
pub(crate) fn close(code: u16, reason: &str) -> Vec<u8> {
    frame(FIN | CLOSE, &close_payload(code, reason.as_bytes()))
}

/// The close frame that a server sends.
pub(crate) fn server_close(code: u16, reason: &str) -> Vec<u8> {
    unmasked(FIN | CLOSE, &close_payload(code, reason.as_bytes()))
}

/// A frame from the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Frame {
    pub(crate) first: u8,
    pub(crate) payload: Vec<u8>,
}

/// The length of the header at the start of `bytes` and of its payload, `None` while incomplete.
///
/// # Panics
/// If a server may not send this: a mask, a reserved bit other than RSV1, a length that is not
/// minimal.
pub(crate) fn server_header(bytes: &[u8]) -> Option<(usize, usize)> {
    let (&first, &second) = (bytes.first()?, bytes.get(1)?);
    assert_eq!(first & 0x30, 0, "RSV2 or RSV3 set by the server: {first:02x}");
    assert_eq!(second & 0x80, 0, "masked by the server");
    let (len, payload) = match second {
        126 => (4, usize::from(u16::from_be_bytes(*bytes.get(2..)?.first_chunk()?))),
        127 => {
            let len = u64::from_be_bytes(*bytes.get(2..)?.first_chunk()?);
            (10, usize::try_from(len).expect("a length that fits into memory"))
        }
        short => (2, usize::from(short)),
    };
    let shortest = match form_of(payload) {
        Form::Seven => 2,
        Form::Sixteen => 4,
        Form::SixtyFour => 10,
    };
    assert_eq!(len, shortest, "{payload} bytes announced in a header of {len}");
    Some((len, payload))
}

/// Splits `bytes` into complete frames and the rest.
pub(crate) fn server_frames(mut bytes: &[u8]) -> (Vec<Frame>, &[u8]) {
    let mut frames = Vec::new();
    while let Some((header, payload)) = server_header(bytes) {
        let Some(body) = bytes.get(header..header + payload) else { break };
        frames.push(Frame { first: bytes[0], payload: body.to_vec() });
        bytes = &bytes[header + payload..];
    }
    (frames, bytes)
}
