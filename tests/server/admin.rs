//! Goal: the admin listener tells what happens, exactly, and does what it is told, for those who
//! may ask. Method: the command, real sockets, scripted events, and the changes of all metrics.

mod control;
mod counted;
mod drained;
mod guarded;
mod heads;
mod limits;
mod listed;
mod logged;
mod loops;
pub(crate) mod page;
mod pressure;
mod private;
mod prometheus;
mod refused;
mod routes;
mod terminal;
#[cfg(feature = "tls")]
mod tls;
#[cfg(feature = "tokens")]
mod tokens;
mod top;
