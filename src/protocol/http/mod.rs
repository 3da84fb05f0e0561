//! HTTP/1.1 without I/O (RFC 9110, RFC 9112): heads in, responses out.
//!
//! The caller appends received bytes to a buffer and passes the whole of it to a [`HeadScanner`]
//! after each read. Once the scanner reports the length of the head, [`Request::parse`] turns those
//! bytes into a [`Request`] that borrows from them. A [`Response`] is built, with every header
//! checked, and written in one piece. [`Request::framing`] says how a body follows the head, and a
//! [`BodyReader`] finds its end.

mod body;
mod cookies;
mod error;
mod fields;
mod forwarded;
mod framing;
mod head;
mod header_list;
mod headers;
mod limits;
mod method;
mod percent;
mod query;
mod request;
mod response;
mod response_head;
mod scanner;
mod status;
pub(crate) mod syntax;
mod target;
#[cfg(test)]
pub(crate) mod tests;
mod version;

pub use body::{BodyError, BodyReader};
pub use cookies::Cookies;
pub use error::HeadError;
pub(crate) use fields::FieldLines;
pub use forwarded::{Network, NetworkError, TrustedProxies};
pub use framing::{Framing, Persistence};
pub use header_list::{HeaderError, HeaderList};
pub use headers::{Elements, Headers, Values};
pub use limits::{HARD_MAX_HEADERS, HeadLimits};
pub use method::is_known_method;
pub(crate) use percent::{PercentError, percent_decoded};
pub use query::{QueryPairs, query_pairs};
pub use request::{Request, RequestHead};
pub use response::{Answer, Response};
pub(crate) use response::{Content, write_response};
pub use response_head::ResponseHead;
pub use scanner::HeadScanner;
pub use status::Status;
pub use target::Authority;
pub use version::Version;
