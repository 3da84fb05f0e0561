//! The opening handshake (RFC 6455 section 4) of both roles, without sockets or clocks.
//!
//! A server passes a complete request head to [`parse`], or an [`http::Request`] to
//! [`Request::from_http`]. [`negotiate_deflate`] selects the compression parameters and
//! [`write_accepted`] writes the 101. Every fault is a [`Rejection`], which has an HTTP status and
//! writes its own response; the connection must be closed after it. An application refuses with a
//! [`Refusal`].
//!
//! A client must wait for the 101 before it sends its first frame (RFC 6455 section 4.1). Bytes
//! received after the head may therefore mean that a proxy and this server disagree on where the
//! request ends; the caller refuses them with [`Rejection::EarlyData`].
//!
//! The client's side is in [`client`].
//!
//! [`http::Request`]: crate::protocol::http::Request

mod accept_key;
mod agreement;
pub mod client;
mod extensions;
mod extra_headers;
mod fields;
mod negotiate;
mod offer;
mod origin;
mod refusal;
mod rejection;
mod request;
mod response;
#[cfg(test)]
mod tests;

pub use accept_key::{ACCEPT_LEN, accept_key};
pub use agreement::Agreement;
pub use extra_headers::ExtraHeaders;
pub use negotiate::{DeflatePolicy, negotiate_deflate};
pub use offer::DeflateOffer;
pub use origin::{Origin, OriginError, Origins};
pub use refusal::Refusal;
pub use rejection::Rejection;
pub use request::{Parsed, Request, parse};
pub use response::write_accepted;
