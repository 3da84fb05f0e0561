//! The load: one thread that opens connections to a server, keeps it busy in one of four ways, and
//! counts the replies.

pub mod cli;
#[allow(unsafe_code)]
pub mod connect;
mod content;
mod echo;
mod engine;
#[cfg(test)]
mod fake;
pub mod fanout;
pub mod handshakes;
pub mod idle;
mod open;
mod plan;
mod report;
mod tls;

use std::io;

pub(crate) use echo::request_bytes;
pub use plan::{
    Content, Echo, Fanout, Handshakes, Idle, Length, Moment, Outcome, Pace, Plan, Work,
};
pub use tls::Tls;

/// Runs a load; `probe` is called when the measurement begins, during it and when it ends. An error
/// of `probe` ends the run.
pub fn run(plan: &Plan, probe: &mut dyn FnMut(Moment) -> io::Result<()>) -> io::Result<Outcome> {
    match &plan.work {
        Work::Echo(work) => echo::run(plan, work, probe),
        Work::Fanout(work) => fanout::run(plan, work, probe),
        Work::Idle(work) => idle::run(plan, work, probe),
        Work::Handshakes(work) => handshakes::run(plan, work, probe),
    }
}
