//! Goal: the worker keeps its promises under every fault of the network, and whatever clients send.
//! Each module states its goal.
//! Method: the worker of the server on simulated drivers with virtual time, in this process; the
//! strictness suite also has the command. These tests are one program, since each program compiles
//! the worker for itself.

#[path = "../support/certificates.rs"]
mod certificates;
mod fanout;
mod frames;
mod pubsub_model;
mod sim;
mod slow_readers;
mod strictness;
#[path = "../support/mod.rs"]
mod support;
mod trace;
