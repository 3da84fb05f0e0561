//! Who a client is, and what it may publish and subscribe to: what it has shown at its handshake,
//! judged without a socket or a clock. The time is passed in.
//!
//! A [`Verify`] makes an [`Authority`] of a [`Credential`]. [`Tokens`] (feature `tokens`) does that
//! with JSON Web Tokens and API keys; a program may have its own. One that has to ask somebody else
//! returns a [`Question`] for a handshake.

mod access;
#[cfg(feature = "tokens")]
mod api_keys;
mod asked;
#[cfg(feature = "tokens")]
mod claims;
mod credential;
mod error;
#[cfg(feature = "tokens")]
mod expand;
#[cfg(feature = "tokens")]
mod jwks;
#[cfg(feature = "tokens")]
mod key;
#[cfg(feature = "tokens")]
mod keys;
#[cfg(feature = "tokens")]
mod provider;
mod refusal;
#[cfg(test)]
#[cfg(feature = "tokens")]
pub(crate) mod testing;
#[cfg(test)]
#[cfg(feature = "tokens")]
mod tests;
#[cfg(feature = "tokens")]
mod tokens;
mod verify;

pub use access::{Authority, TooLarge};
pub use asked::{AskCounts, Question, Reply};
#[cfg(feature = "auth-url")]
pub(crate) use claims::Claims;
pub(crate) use credential::is_bearer;
pub use credential::{Credential, MAX_TOKEN, find_credential};
pub use error::TokenError;
#[cfg(feature = "tokens")]
pub use key::KeyError;
#[cfg(feature = "tokens")]
pub use keys::Keys;
pub(crate) use refusal::{forbidden, refuse};
#[cfg(feature = "tokens")]
pub use tokens::Tokens;
pub use verify::{Admission, Verify, Verifying};
