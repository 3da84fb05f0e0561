//! What an application implements and is given.

pub mod echo;
