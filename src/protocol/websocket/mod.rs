//! WebSocket without I/O: frames, masking, UTF-8, fragments, close codes, compression and the
//! opening handshake of RFC 6455 and RFC 7692, for the server's role and for the client's.

pub mod assembler;
pub mod close_code;
pub mod close_frame;
pub mod deflate;
pub mod frame;
pub mod handshake;
pub mod mask;
pub mod opcode;
pub mod utf8;
pub mod violation;

pub use close_code::CloseCode;
pub use opcode::Opcode;
pub use violation::Violation;
