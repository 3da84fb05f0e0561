//! The part of RFC 6455 framing that the experiments need: one masked binary frame per request and
//! the matching unmasked reply, both with a fixed payload pattern.

/// The masking key of every request.
const KEY: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

/// The payload that every frame of `len` bytes carries.
pub fn pattern(len: usize) -> Vec<u8> {
    (0..len).map(|i| u8::try_from((i * 7 + 3) % 251).unwrap_or(0)).collect()
}

/// Writes the header of an unmasked final binary frame into `to` and returns its length.
pub fn put_header(to: &mut [u8; 10], len: u64) -> usize {
    to[0] = 0x82;
    if let Some(short) = u8::try_from(len).ok().filter(|n| *n < 126) {
        to[1] = short;
        2
    } else if let Ok(medium) = u16::try_from(len) {
        to[1] = 126;
        to[2..4].copy_from_slice(&medium.to_be_bytes());
        4
    } else {
        to[1] = 127;
        to[2..10].copy_from_slice(&len.to_be_bytes());
        10
    }
}

/// A server's frame: unmasked.
pub fn reply(len: usize) -> Vec<u8> {
    let mut header = [0; 10];
    let n = put_header(&mut header, len as u64);
    let mut frame = header[..n].to_vec();
    frame.extend(pattern(len));
    frame
}

/// A client's frame: masked.
pub fn request(len: usize) -> Vec<u8> {
    let mut header = [0; 10];
    let n = put_header(&mut header, len as u64);
    header[1] |= 0x80;
    let mut frame = header[..n].to_vec();
    frame.extend(KEY);
    frame.extend(pattern(len).iter().zip(KEY.iter().cycle()).map(|(b, k)| b ^ k));
    frame
}
