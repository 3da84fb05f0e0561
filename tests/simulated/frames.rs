//! Reading and writing frames for the simulated clients. Separate from the library, so that a
//! mistake in the server's encoder is not repeated here.

pub(crate) const FIN: u8 = 0x80;
pub(crate) const CONTINUATION: u8 = 0x0;
pub(crate) const TEXT: u8 = 0x1;
pub(crate) const BINARY: u8 = 0x2;
pub(crate) const CLOSE: u8 = 0x8;
pub(crate) const PING: u8 = 0x9;
pub(crate) const PONG: u8 = 0xA;

/// Appends a client's frame: `first` is FIN, RSV bits and opcode.
pub(crate) fn append(out: &mut Vec<u8>, first: u8, payload: &[u8], mask: [u8; 4]) {
    out.push(first);
    match u16::try_from(payload.len()) {
        Ok(len) if len < 126 => out.push(0x80 | payload.len() as u8),
        Ok(len) => {
            out.push(0x80 | 126);
            out.extend(len.to_be_bytes());
        }
        Err(_) => {
            out.push(0x80 | 127);
            out.extend((payload.len() as u64).to_be_bytes());
        }
    }
    out.extend(mask);
    out.extend(payload.iter().enumerate().map(|(at, byte)| byte ^ mask[at % 4]));
}

/// A frame of the server.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Frame {
    pub(crate) opcode: u8,
    pub(crate) payload: Vec<u8>,
}

/// Takes the first frame out of `bytes`; `None` while it is incomplete. The server must send whole
/// messages, unmasked, uncompressed, with minimal lengths: anything else is an error.
pub(crate) fn take(bytes: &mut Vec<u8>) -> Result<Option<Frame>, String> {
    let [first, second, ..] = bytes[..] else { return Ok(None) };
    if first & 0xF0 != FIN {
        return Err(format!("fragmented, or with reserved bits: first byte {first:#04x}"));
    }
    let number = |range: std::ops::Range<usize>| {
        let field = bytes.get(range)?;
        Some(field.iter().fold(0, |number, byte| number << 8 | usize::from(*byte)))
    };
    let (start, len, least) = match second {
        0..=125 => (2, Some(usize::from(second)), 0),
        126 => (4, number(2..4), 126),
        127 => (10, number(2..10), 0x1_0000),
        _ => return Err("masked".into()),
    };
    let Some(len) = len else { return Ok(None) };
    let opcode = first & 0x0F;
    if !matches!(opcode, TEXT | BINARY | CLOSE | PING | PONG) {
        return Err(format!("opcode {opcode:#x}"));
    }
    if len < least || (opcode >= CLOSE && len > 125) {
        return Err(format!("length {len} of opcode {opcode:#x} in the wrong form"));
    }
    if bytes.len() < start + len {
        return Ok(None);
    }
    let rest = bytes.split_off(start + len);
    let payload = std::mem::replace(bytes, rest).split_off(start);
    Ok(Some(Frame { opcode, payload }))
}
