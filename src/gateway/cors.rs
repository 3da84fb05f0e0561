//! Which pages may read an answer: Cross-Origin Resource Sharing, as it is defined in
//! <https://fetch.spec.whatwg.org>. The pages are those whose origins may open a WebSocket.

use crate::protocol::http::{Request, Response, Status};
use crate::protocol::websocket::handshake::{Origins, Rejection};

/// The methods of everything that the server serves itself.
pub(super) const METHODS: &str = "GET, HEAD, OPTIONS";
/// Headers that pages may send besides those that need no permission.
const HEADERS: &str = "Authorization, Content-Type";
/// For how many seconds a browser may remember a permission.
const MAX_AGE: &str = "600";
const ALLOW_ORIGIN: &str = "Access-Control-Allow-Origin";

/// What the answer to a request says about the page that asks.
#[derive(Debug)]
pub(super) struct Permission {
    /// The origin that may read the answer.
    origin: Option<Box<str>>,
    /// Whether another origin would be told something else. What is stored for one page must not be
    /// given to another one.
    varies: bool,
}

impl Permission {
    /// Nobody may.
    pub(super) const NONE: Self = Self { origin: None, varies: false };

    pub(super) fn of(request: &Request<'_>, origins: &Origins) -> Self {
        let varies = *origins != Origins::Any && request.header("origin").is_some();
        Self { origin: allowed(request, origins).map(Into::into), varies }
    }

    /// The response with the permission, unless it has one.
    pub(super) fn add_to(&self, mut response: Response) -> Response {
        if response.header(ALLOW_ORIGIN).is_some() {
            return response;
        }
        if self.varies {
            response = response.with_known_header("Vary", "Origin");
        }
        match &self.origin {
            Some(origin) => response.with_known_header(ALLOW_ORIGIN, origin),
            None => response,
        }
    }
}

/// The response with the permission for the page that asks, unless it has one or needs none.
pub(super) fn allow(response: Response, request: &Request<'_>, origins: &Origins) -> Response {
    Permission::of(request, origins).add_to(response)
}

/// The answer to OPTIONS: what is allowed, and for a page that asks before it sends a request,
/// whether it may send that.
pub(super) fn options(request: &Request<'_>, origins: &Origins) -> Response {
    let asks = request.header("access-control-request-method").is_some();
    let is_page = request.header("origin").is_some();
    if asks && is_page && allowed(request, origins).is_none() {
        return allow(Rejection::Origin.response(), request, origins);
    }
    let mut response = Response::new(Status::OK).with_known_header("Allow", METHODS);
    if asks && is_page {
        response = response
            .with_known_header("Access-Control-Allow-Methods", METHODS)
            .with_known_header("Access-Control-Allow-Headers", HEADERS)
            .with_known_header("Access-Control-Max-Age", MAX_AGE);
    }
    allow(response, request, origins)
}

/// What permits the page that asks, if it is permitted.
fn allowed<'r>(request: &Request<'r>, origins: &Origins) -> Option<&'r str> {
    let mut lines = request.headers().filter(|(name, _)| name.eq_ignore_ascii_case("origin"));
    let (origin, None) = (lines.next()?.1, lines.next()) else { return None };
    let origin = std::str::from_utf8(origin).ok()?;
    let is_allowed = origins.allows(Some(origin), request.host.unwrap_or_default());
    is_allowed.then_some(if *origins == Origins::Any { "*" } else { origin })
}
