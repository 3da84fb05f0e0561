//! Goal: nobody waits long for what a hostile peer makes the server do, and the server's memory
//! stays bounded (the bounds are in `verdict.rs`).
//! Method: hostile workloads run beside 100 honest clients of the echo, 100 honest subscribers and
//! newcomers, whose waits are measured without the attack and with it. The short form judges the
//! workloads in `short.rs`; the long form runs all and prints a table (`scripts/hostile.sh`).

#[path = "support/certificates.rs"]
mod certificates;
mod support;

#[path = "hostile/attack.rs"]
mod attack;
#[path = "hostile/attacker.rs"]
mod attacker;
#[path = "hostile/guarded.rs"]
mod guarded;
#[path = "hostile/honest.rs"]
mod honest;
#[path = "hostile/limits.rs"]
mod limits;
#[path = "hostile/long.rs"]
mod long;
#[path = "hostile/newcomers.rs"]
mod newcomers;
#[path = "hostile/peers.rs"]
mod peers;
#[path = "hostile/rig_tests.rs"]
mod rig_tests;
#[path = "hostile/run.rs"]
mod run;
#[path = "hostile/sched.rs"]
mod sched;
#[path = "hostile/script.rs"]
mod script;
#[path = "hostile/series.rs"]
mod series;
#[path = "hostile/short.rs"]
mod short;
#[path = "hostile/sigterm.rs"]
mod sigterm;
#[path = "hostile/stream.rs"]
mod stream;
#[path = "hostile/table.rs"]
mod table;
#[path = "hostile/tls.rs"]
mod tls;
#[path = "hostile/topics.rs"]
mod topics;
#[path = "hostile/verdict.rs"]
mod verdict;
#[path = "hostile/waits.rs"]
mod waits;
#[path = "hostile/workloads.rs"]
mod workloads;
