//! What a loop asks of the kernel: the trait [`Driver`], io_uring behind it ([`uring`]) and a
//! seeded simulation (`sim`, with the feature of that name). Another backend is a folder beside
//! these, which `server` starts. So is a transport under the frames, such as TLS: a driver around
//! another one, so that loop and sessions see plain bytes.

mod driver;
#[cfg(feature = "sim")]
pub mod sim;
pub mod uring;

pub use driver::*;
