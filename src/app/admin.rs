//! Who answers the requests that come to listeners for administration.

use super::request::RequestContext;
use crate::base::ConnectionId;
use crate::protocol::http::{Request, Response};

/// Answers these requests on one core. No page of another origin may read the answers.
pub(crate) trait Admin: std::fmt::Debug {
    /// The answer to a request, or `None` if it follows, as of
    /// [`Handler::request`](super::Handler::request).
    fn request(&mut self, request: &Request<'_>, cx: &mut RequestContext<'_>) -> Option<Response>;

    /// Whether somebody with such a request may ask anything.
    fn allows(&self, request: &Request<'_>) -> bool;

    /// An answer that was to follow has not come in time: whatever is known is the answer.
    fn overdue(&mut self, id: ConnectionId);
}
