//! An open WebSocket: frames in, frames out.

mod closing;
mod control;
mod fast_path;
mod liveness;
mod reader;
