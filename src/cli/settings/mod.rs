//! The settings of `corecast serve`: one table, from which the flags, the variables, the keys of
//! the file, the default file, the documents and the checks come.

mod amount;
#[cfg(feature = "auth-url")]
mod backend_rules;
mod bounds;
mod check;
#[cfg(test)]
mod defaults_tests;
#[cfg(test)]
mod documents_tests;
mod effect_rules;
mod effects;
#[cfg(test)]
mod effects_tests;
mod fault;
mod field;
mod file;
mod flags;
mod given;
mod level;
mod lines;
mod listen_rules;
mod nearest;
mod options;
#[cfg(any(feature = "tls", feature = "tokens"))]
mod paths;
mod reload;
mod resolve;
#[cfg(test)]
mod route_tests;
mod routes;
mod rules;
mod setting;
#[cfg(test)]
mod source_tests;
mod table;
mod variables;
mod write;

pub(crate) use fault::Fault;
pub(crate) use file::Document;
pub(crate) use flags::{arguments, given};
pub(crate) use level::Level;
#[cfg(feature = "auth-url")]
pub(crate) use options::AuthOptions;
#[cfg(feature = "tokens")]
pub(crate) use options::TokenOptions;
pub(crate) use options::{AdminOptions, LogFormat, LogOptions, Options};
pub(crate) use reload::{differing, keep};
pub(crate) use resolve::{Inputs, Resolved};
pub(crate) use variables::{Variables, config_file};
pub(crate) use write::{default_file, effective_file};
