//! What a loop asks of the kernel: the trait [`Driver`], with io_uring ([`uring`]), epoll
//! ([`epoll`]) and a seeded simulation (`sim`, with the feature of that name) behind it. Another
//! backend is a folder beside these, which `server` starts. A transport under the frames, such as
//! TLS, is a driver around another one, so that loop and sessions see plain bytes: see `transport`.

mod buffer;
pub mod clock;
mod driver;
pub mod epoll;
#[cfg(feature = "sim")]
pub mod sim;
mod tcp_info;
pub mod uring;
mod wake;

pub(crate) use buffer::next_ring_number;
pub use buffer::{Buffer, Data};
pub use driver::*;
pub use wake::LoopWaker;

/// The most bytes of queued sends that are tried again between two calls of `enter`, because their
/// sockets got room. The last one may exceed it.
const RESENT: usize = 2 << 20;
