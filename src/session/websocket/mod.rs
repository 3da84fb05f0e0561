//! An open WebSocket: frames in, frames out.

pub(super) mod assembly;
mod closing;
mod control;
mod fast_path;
mod liveness;
mod reader;
