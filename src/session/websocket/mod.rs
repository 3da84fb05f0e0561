//! An open WebSocket: frames in, frames out.

mod closing;
pub(super) mod compression;
mod control;
mod fast_path;
mod liveness;
pub(super) mod pending;
mod reader;
pub(super) mod replies;
