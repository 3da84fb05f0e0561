//! The negotiated parameters of `permessage-deflate` (RFC 7692 section 7.1).

/// The name of the extension.
pub(super) const NAME: &str = "permessage-deflate";

/// The parameters of `permessage-deflate` that apply to one connection.
///
/// A `server_max_window_bits` of 8 limits the server to distances of at most 256 bytes, which not
/// every compressor can be set to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Agreement {
    /// The server resets its window before each message. Written in the response if true.
    pub server_no_context_takeover: bool,
    /// The client resets its window before each message. Written in the response if true.
    pub client_no_context_takeover: bool,
    /// Window of the server's compressor, as a power of two from 8 to 15.
    pub server_max_window_bits: u8,
    /// Window of the client's compressor, as a power of two from 8 to 15.
    pub client_max_window_bits: u8,
    /// Whether `server_max_window_bits` is in the response; if not, it is 15.
    pub answers_server_bits: bool,
    /// Whether `client_max_window_bits` is in the response; if not, it is 15.
    pub answers_client_bits: bool,
}

impl Agreement {
    /// Appends the value of the response's `Sec-WebSocket-Extensions` header.
    pub fn write(&self, out: &mut Vec<u8>) {
        let bits = |answers: bool, bits: u8| answers.then_some(Some(bits));
        write_parameters(
            out,
            self.server_no_context_takeover,
            self.client_no_context_takeover,
            bits(self.answers_server_bits, self.server_max_window_bits),
            bits(self.answers_client_bits, self.client_max_window_bits),
        );
    }
}

/// Appends the extension with its parameters. A window size is `None` to leave the parameter out,
/// and `Some(None)` to write it without a value.
pub(super) fn write_parameters(
    out: &mut Vec<u8>,
    server_no_context_takeover: bool,
    client_no_context_takeover: bool,
    server_max_window_bits: Option<Option<u8>>,
    client_max_window_bits: Option<Option<u8>>,
) {
    out.extend_from_slice(NAME.as_bytes());
    if server_no_context_takeover {
        out.extend_from_slice(b"; server_no_context_takeover");
    }
    if client_no_context_takeover {
        out.extend_from_slice(b"; client_no_context_takeover");
    }
    if let Some(bits) = server_max_window_bits {
        out.extend_from_slice(b"; server_max_window_bits");
        write_bits(out, bits);
    }
    if let Some(bits) = client_max_window_bits {
        out.extend_from_slice(b"; client_max_window_bits");
        write_bits(out, bits);
    }
}

/// Appends `=` and a number below 100 in decimal, if there is one.
fn write_bits(out: &mut Vec<u8>, bits: Option<u8>) {
    let Some(bits) = bits else { return };
    out.push(b'=');
    if bits >= 10 {
        out.push(b'0' + bits / 10 % 10);
    }
    out.push(b'0' + bits % 10);
}
