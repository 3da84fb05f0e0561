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

/// The response with the permission for the page that asks, unless it has one or needs none.
pub(super) fn allow(response: Response, request: &Request<'_>, origins: &Origins) -> Response {
    if response.header(ALLOW_ORIGIN).is_some() {
        return response;
    }
    // What is stored for one page must not be given to another one.
    let response = match origins {
        Origins::Any => response,
        Origins::SameHost | Origins::List(_) if request.header("origin").is_some() => {
            response.with_known_header("Vary", "Origin")
        }
        Origins::SameHost | Origins::List(_) => response,
    };
    match allowed(request, origins) {
        Some(origin) => response.with_known_header(ALLOW_ORIGIN, origin),
        None => response,
    }
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
