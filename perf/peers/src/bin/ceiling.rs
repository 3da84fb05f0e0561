//! An echo of raw bytes on a raw ring: no handshake, no frames, no checks.

use std::io;

use corecast_peers::{relay, start};

fn main() -> io::Result<()> {
    match start("io-uring", env!("IO_URING_VERSION"))? {
        Some(listener) => relay::run(&listener),
        None => Ok(()),
    }
}
