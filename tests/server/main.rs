//! Goal: the server does what it promises to clients, to programs that embed it, and to those who
//! run it, over real sockets. Each module states its goal.
//! Method: the command, or a server in this process where a limit has no flag.
//!
//! Each program of tests that embeds the server compiles it for itself, and takes long to build and
//! to link. So these tests are one program. Its tests share a process, and two or more of them run
//! at once: they measure their own server, and take turns where they measure the process. Apart are
//! those that change the process (a counting allocator, a subscriber for its log) or the machine.

mod activation;
mod addresses;
mod admin;
mod admission;
mod app_api;
#[cfg(feature = "tls")]
#[path = "../support/certificates.rs"]
mod certificates;
mod deadlines;
mod echo;
mod http;
mod hung;
mod isolation;
mod life;
mod limits;
mod proxy_protocol;
mod pubsub;
mod rates;
mod refusals;
mod routes;
mod slow_readers;
#[path = "../support/mod.rs"]
mod support;
#[cfg(feature = "tls")]
mod tls;
#[cfg(feature = "tokens")]
mod tokens;
mod trust_proxy;
mod unix_sockets;
