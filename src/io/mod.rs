//! What a loop asks of the kernel: the trait [`Driver`], io_uring behind it ([`uring`]) and a
//! seeded simulation (`sim`, with the feature of that name).

mod driver;
#[cfg(feature = "sim")]
pub mod sim;
pub mod uring;

pub use driver::*;
