//! Goal: a reader that is slow but steady stays, whatever its rate, and is told of what was
//! dropped; a peer that is gone, or reads nothing, is noticed in the time configured.
//! Method: the worker on a simulated ring for minutes of virtual time, and sockets with small
//! receive buffers and short deadlines. How long each side takes is judged by what it has to read,
//! not by the clock: the reader counts what it got until the server let it go.

mod support;

#[path = "slow_readers/simulated.rs"]
mod simulated;
#[path = "slow_readers/sockets.rs"]
mod sockets;
