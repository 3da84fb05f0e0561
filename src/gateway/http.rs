//! Plain requests: what the server answers itself, and what the application does.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use super::cors::{self, METHODS, Permission};
use super::service::Gateway;
use super::stopping::Stopping;
use super::waiting::Waiting;
use crate::app::{Handler, RequestContext, catch_if};
use crate::base::ConnectionId;
use crate::config::{RouteId, RouteTo};
use crate::protocol::http::{Request, Response, Status, is_known_method};
use crate::protocol::websocket::handshake::Rejection;
use crate::session::Outbound;

const PAGE: &str = "This is a WebSocket server (RFC 6455). Connect with a WebSocket client.\n";
const UNKNOWN_METHOD: &str = "This method is not known here.\n";
const FAILED: &str = "The server failed to answer.\n";
const NOT_FOUND: &str = "Nothing is served here.\n";

impl<H: Handler> Gateway<H> {
    /// From the time on that `drain` is set, requests for the health of the server are answered
    /// with 503, unless `hands_over` is.
    #[must_use]
    pub fn with_stop(mut self, drain: Arc<AtomicBool>, hands_over: Arc<AtomicBool>) -> Self {
        self.stopping = Stopping::new(drain, hands_over);
        self
    }

    /// The answer to a plain request, with its CORS headers. `None` if it follows.
    pub(super) fn answer(&mut self, id: ConnectionId, request: &Request<'_>) -> Option<Response> {
        self.note_client(id, &request.headers());
        let Some(route) = self.config.routes.of_request(request.path) else {
            let nothing = Response::text(Status::NOT_FOUND, NOT_FOUND);
            return Some(cors::allow(nothing, request, &self.config.origins));
        };
        let by_app = match request.method {
            "CONNECT" => Asked::Nothing,
            _ if !self.is_apps(route, request.path) => Asked::Nothing,
            _ => self.ask_app(id, request, route),
        };
        let origins = self.config.origins_of(route);
        let to = self.config.routes.get(route).map(|route| route.to);
        Some(match by_app {
            Asked::Response(response) => cors::allow(response, request, origins),
            Asked::Later(request) => {
                self.unanswered.insert(id, request);
                self.core.has_work = true;
                return None;
            }
            Asked::Nothing if request.method == "OPTIONS" => cors::options(request, origins),
            Asked::Nothing => cors::allow(self.answer_by_server(request, to), request, origins),
        })
    }

    /// Answers a request for which another thread has given the response. Returns whether the
    /// connection waits for one.
    pub(super) fn answer_late<O: Outbound>(&mut self, id: ConnectionId, out: &mut O) -> bool {
        let Some(waiting) = self.unanswered.get(&id) else { return false };
        if let Some(response) = waiting.take() {
            self.unanswered.remove(&id);
            self.core.timers.clear(id);
            out.answer_request(id, &response);
        }
        true
    }

    /// Whether the body of a request is for the application, and it wants it.
    pub(super) fn app_wants_body(&self, request: &Request<'_>) -> bool {
        let route = self.config.routes.of_request(request.path);
        H::REQUEST_BODIES
            && request.method != "CONNECT"
            && route.is_some_and(|route| self.is_apps(route, request.path))
    }

    /// Whether plain requests for a path on a route are for the application.
    fn is_apps(&self, route: RouteId, path: &str) -> bool {
        match self.config.routes.get(route) {
            Some(route) => route.to == RouteTo::Application,
            None => self.endpoint_of(route, path).is_none(),
        }
    }

    fn ask_app(&mut self, id: ConnectionId, request: &Request<'_>, route: RouteId) -> Asked {
        let Self { app, core, .. } = self;
        let mut cx = RequestContext::new(id, core);
        match catch_if(H::CATCH_PANICS, || app.request(request, &mut cx)) {
            Ok(Some(response)) => Asked::Response(response),
            Ok(None) => match cx.into_later() {
                Some(later) => {
                    let permission = Permission::of(request, self.config.origins_of(route));
                    Asked::Later(Waiting::new(later, permission))
                }
                None => Asked::Nothing,
            },
            Err(panic) => {
                self.core.panics.record("request", id, panic);
                Asked::Response(Response::text(Status::INTERNAL_SERVER_ERROR, FAILED))
            }
        }
    }

    /// The answer to a request that the application leaves to the server. Every path may be one for
    /// WebSocket. `to` is what the route of the path leads to, if the server has routes.
    fn answer_by_server(&self, request: &Request<'_>, to: Option<RouteTo>) -> Response {
        let is_read = matches!(request.method, "GET" | "HEAD");
        match request.path {
            _ if !is_known_method(request.method) => {
                Response::text(Status::NOT_IMPLEMENTED, UNKNOWN_METHOD)
            }
            _ if !is_read => not_allowed(),
            _ if to == Some(RouteTo::Health) => self.stopping.health(),
            _ if to.is_some() => Rejection::UpgradeRequired.response(),
            "/" => Response::text(Status::OK, PAGE),
            "/healthz" => self.stopping.health(),
            path if path.starts_with('/') => Rejection::UpgradeRequired.response(),
            _ => Response::text(Status::NOT_FOUND, NOT_FOUND),
        }
    }
}

/// What the application does with a request.
enum Asked {
    Response(Response),
    Later(Waiting),
    Nothing,
}

/// 405, with the methods that are allowed (RFC 9110 section 15.5.6).
fn not_allowed() -> Response {
    let body = format!("This method is not allowed here; allowed are {METHODS}.\n");
    Response::text(Status::METHOD_NOT_ALLOWED, body).with_known_header("Allow", METHODS)
}
