//! The client's side of the opening handshake (RFC 6455 section 4.1): the request to send, and the
//! checks of the server's response.

mod error;
mod key;
mod request;
mod response;
#[cfg(test)]
mod tests;

pub use error::{RequestError, ResponseError};
pub use key::ClientKey;
pub use request::ClientRequest;
pub use response::Accepted;
