//! The pages: which request is answered by what.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use tracing::field::display;

use super::connections::MAX_LIMIT;
use super::lists::Lists;
use super::metrics::Metrics;
use super::refusals::Cause;
use super::text::Format;
use super::waiting::Pending;
use super::{answers, connections, topics};
use crate::app::{Admin, PublishError, RequestContext};
use crate::base::ConnectionId;
use crate::gateway::percent_decode;
use crate::protocol::http::{Request, Response, Status, query_pairs};
use crate::protocol::websocket::CloseCode;
use crate::pubsub::Payload;
use crate::server::handle::ServerHandle;
use crate::server::token::Token;

/// The connections or topics of a page, unless the request says otherwise.
const LIMIT: usize = 100;
const INDEX: &str = "\
This is the admin listener of corecast.

GET  /metrics                 metrics for Prometheus
GET  /healthz                 200 while the server runs
GET  /readyz                  200 while it takes clients, 503 while it drains
GET  /connections             connections, by pages: ?limit=100&from=NEXT
POST /connections/<id>/close  closes one: ?code=1008&reason=TEXT
GET  /topics                  topics and filters, by pages: ?limit=100&after=NEXT
POST /publish/<topic>         publishes the body: ?retain=1
POST /drain                   drains and stays; ?exit=1 ends the process as SIGTERM does
";

/// Answers requests on one loop.
pub(in crate::server) struct Pages {
    server: ServerHandle,
    token: Option<Token>,
    metrics: Arc<Metrics>,
    lists: Arc<Lists>,
    /// Answers that other loops have a part in, by the connections that wait for them.
    pending: HashMap<ConnectionId, Arc<dyn Pending>>,
}

impl std::fmt::Debug for Pages {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pages").field("pending", &self.pending).finish_non_exhaustive()
    }
}

/// What is answered at once, or what is waited for.
type Answer = Result<Response, Arc<dyn Pending>>;

impl Pages {
    pub(super) fn new(
        server: ServerHandle,
        token: Option<Token>,
        metrics: Arc<Metrics>,
        lists: Arc<Lists>,
    ) -> Self {
        Self { server, token, metrics, lists, pending: HashMap::new() }
    }

    pub(in crate::server) fn boxed(self) -> Box<dyn Admin> {
        Box::new(self)
    }

    /// Why the request is not answered. Without a token everybody on this machine may ask, pages in
    /// a browser excepted: they can send requests to local addresses, also under a name of their
    /// own that leads there.
    fn refusal(&self, request: &Request<'_>) -> Option<Cause> {
        if let Some(token) = &self.token {
            return (!token.is_in(request)).then_some(Cause::Token);
        }
        // A page in a browser can have an image loaded, which says no origin.
        let is_sites = |site: &str| !matches!(site, "none" | "same-origin");
        let is_page = request.header("origin").is_some()
            || header(request, "sec-fetch-site").is_some_and(is_sites);
        let is_local = request.host.is_none_or(is_local);
        (is_page || !is_local).then_some(Cause::Page)
    }

    fn route(&mut self, request: &Request<'_>, cx: &mut RequestContext<'_>) -> Answer {
        let path = request.path.strip_prefix('/').unwrap_or(request.path);
        let is_read = matches!(request.method, "GET" | "HEAD");
        match (path, path.split_once('/')) {
            ("" | "healthz" | "readyz" | "metrics" | "connections" | "topics", _) if !is_read => {
                return Ok(not_allowed("GET, HEAD"));
            }
            ("drain", _) | (_, Some(("publish", _))) if request.method != "POST" => {
                return Ok(not_allowed("POST"));
            }
            _ => {}
        }
        if let Some(reason) = unknown_parameter(path, request) {
            return Ok(bad_request(&reason));
        }
        match (path, path.split_once('/')) {
            ("", _) => return Ok(Response::text(Status::OK, INDEX)),
            ("healthz", _) => return Ok(Response::text(Status::OK, "ok\n")),
            ("readyz", _) => return Ok(self.ready()),
            ("metrics", _) => {
                let format = Format::of(header(request, "accept"));
                return Err(self.metrics.answer(&self.server, format, cx.answer_later()));
            }
            ("connections", _) => return self.connections(request, cx),
            ("topics", _) => return self.topics(request, cx),
            ("drain", _) => return Ok(self.drain(request, cx)),
            (_, Some(("publish", topic))) => return Ok(publish(topic, request, cx)),
            (_, Some(("connections", rest))) => {
                if let Some(id) = rest.strip_suffix("/close") {
                    return self.close(id, request, cx);
                }
            }
            _ => {}
        }
        Ok(answers::error(Status::NOT_FOUND, "there is no such page; GET / lists all"))
    }

    fn ready(&self) -> Response {
        match self.server.is_draining() {
            false => Response::text(Status::OK, "ready\n"),
            true => Response::text(Status::SERVICE_UNAVAILABLE, "draining\n"),
        }
    }

    fn drain(&self, request: &Request<'_>, cx: &RequestContext<'_>) -> Response {
        let exit = match flag(request, "exit") {
            Ok(exit) => exit,
            Err(reason) => return bad_request(&reason),
        };
        let client = cx.client_addr().map(display);
        tracing::info!(exit, client, "told to drain by the admin listener");
        if exit {
            self.server.drain();
        } else {
            self.server.drain_and_stay();
        }
        Response::text(Status::ACCEPTED, "draining\n")
    }

    fn connections(&self, request: &Request<'_>, cx: &mut RequestContext<'_>) -> Answer {
        let start = parameter(request, "from").map(|from| from.parse());
        match (limit(request), start.transpose()) {
            (Some(limit), Ok(start)) => {
                let loops = self.server.controls();
                let start = start.unwrap_or_default();
                Err(connections::list(&self.lists, loops, start, limit, cx.answer_later()))
            }
            (None, _) => Ok(wrong_limit()),
            (_, Err(())) => Ok(bad_request("from has to be the next of the page before")),
        }
    }

    fn topics(&self, request: &Request<'_>, cx: &mut RequestContext<'_>) -> Answer {
        let Some(limit) = limit(request) else { return Ok(wrong_limit()) };
        let after = parameter(request, "after");
        let retained = cx.retained(after.as_deref(), limit);
        let loops = self.server.controls();
        let from = (after.as_deref(), retained);
        Err(topics::list(&self.lists, loops, from, limit, cx.answer_later()))
    }

    fn close(&self, id: &str, request: &Request<'_>, cx: &mut RequestContext<'_>) -> Answer {
        if request.method != "POST" {
            return Ok(not_allowed("POST"));
        }
        let code = parameter(request, "code").map(|code| code.parse().ok());
        let code = code
            .map_or(Some(CloseCode::POLICY_VIOLATION), |code| code.and_then(CloseCode::from_wire));
        let Some(code) = code else {
            return Ok(bad_request("code has to be one that may be sent, such as 1008 or 4000"));
        };
        let reason =
            parameter(request, "reason").unwrap_or_else(|| "closed by the operator".into());
        let Ok(id) = id.parse() else { return Ok(answers::no_connection()) };
        let loops = self.server.controls();
        let by = cx.client_addr();
        Err(connections::close(loops, id, (code, &reason, by), cx.answer_later()))
    }
}

impl Admin for Pages {
    fn allows(&self, request: &Request<'_>) -> bool {
        self.refusal(request).is_none()
    }

    fn request(&mut self, request: &Request<'_>, cx: &mut RequestContext<'_>) -> Option<Response> {
        let (refusal, refusals) = (self.refusal(request), &self.metrics.refusals);
        if let Some(cause) = refusal {
            refusals.count(cause, cx.client_addr());
        }
        refusals.log();
        if let Some(cause) = refusal {
            return Some(refused(cause));
        }
        match self.route(request, cx) {
            Ok(response) => Some(response),
            Err(pending) => {
                self.pending.retain(|_, pending| !pending.is_over());
                self.pending.insert(cx.id(), pending);
                None
            }
        }
    }

    fn overdue(&mut self, id: ConnectionId) {
        if let Some(pending) = self.pending.remove(&id) {
            pending.give_up();
        }
    }
}

fn refused(cause: Cause) -> Response {
    match cause {
        Cause::Token => answers::error(Status::UNAUTHORIZED, "the token is missing or wrong")
            .with_known_header("WWW-Authenticate", "Bearer"),
        Cause::Page => answers::error(
            Status::FORBIDDEN,
            "no pages may ask, and Host has to be localhost or an address; or set a token",
        ),
    }
}

fn publish(topic: &str, request: &Request<'_>, cx: &mut RequestContext<'_>) -> Response {
    let topic = match percent_decode(topic) {
        Ok(topic) => topic,
        Err(reason) => return bad_request(&reason),
    };
    let is_binary = header(request, "content-type") == Some("application/octet-stream");
    let payload = match std::str::from_utf8(request.body) {
        Ok(text) if !is_binary => Payload::text(text.to_owned()),
        _ => Payload::binary(request.body.to_vec()),
    };
    let result = match flag(request, "retain") {
        Ok(true) => cx.retain(&topic, &payload),
        Ok(false) => cx.publish(&topic, &payload),
        Err(reason) => return bad_request(&reason),
    };
    match result {
        Ok(()) => Response::new(Status::NO_CONTENT),
        Err(PublishError::Topic(error)) => bad_request(&error.to_string()),
        Err(PublishError::TooLarge) => {
            answers::error(Status::CONTENT_TOO_LARGE, &PublishError::TooLarge.to_string())
        }
        Err(error) => answers::error(Status::SERVICE_UNAVAILABLE, &error.to_string()),
    }
}

/// Whether a Host names this machine without a look into the DNS, in which a page may have put a
/// local address.
fn is_local(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    let ip = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name);
    name.eq_ignore_ascii_case("localhost") || ip.parse::<IpAddr>().is_ok()
}

/// The first header of this name, if it is text.
fn header<'r>(request: &Request<'r>, name: &str) -> Option<&'r str> {
    std::str::from_utf8(request.header(name)?).ok()
}

/// The first parameter of this name in the query, decoded.
fn parameter(request: &Request<'_>, name: &str) -> Option<String> {
    let mut pairs = query_pairs(request.query.unwrap_or_default());
    pairs.find(|(other, _)| other == name).map(|(_, value)| value.into_owned())
}

/// A parameter that is 1 or 0; without it, it is 0.
fn flag(request: &Request<'_>, name: &str) -> Result<bool, String> {
    match parameter(request, name).as_deref() {
        Some("1") => Ok(true),
        None | Some("0") => Ok(false),
        Some(_) => Err(format!("{name} has to be 1 or 0")),
    }
}

/// What is wrong with the first parameter that a page does not know: who misspells one would
/// believe that it holds. Pages that only show something are left out, since some who ask add
/// parameters of their own to all of them.
fn unknown_parameter(path: &str, request: &Request<'_>) -> Option<String> {
    let known: &[&str] = match path.split_once('/') {
        None if path == "connections" => &["limit", "from"],
        None if path == "topics" => &["limit", "after"],
        None if path == "drain" => &["exit"],
        Some(("publish", _)) => &["retain"],
        Some(("connections", _)) => &["code", "reason"],
        _ => return None,
    };
    let mut names = query_pairs(request.query.unwrap_or_default()).map(|(name, _)| name);
    let unknown = names.find(|name| !known.contains(&&**name))?;
    let unknown: String = unknown.chars().take(40).collect();
    Some(format!("the parameter {unknown:?} is not known here; known are {}", known.join(", ")))
}

fn limit(request: &Request<'_>) -> Option<usize> {
    match parameter(request, "limit") {
        None => Some(LIMIT),
        Some(limit) => limit.parse().ok().filter(|limit| (1..=MAX_LIMIT).contains(limit)),
    }
}

fn wrong_limit() -> Response {
    bad_request(&format!("limit has to be a number from 1 to {MAX_LIMIT}"))
}

fn bad_request(reason: &str) -> Response {
    answers::error(Status::BAD_REQUEST, reason)
}

fn not_allowed(methods: &str) -> Response {
    let reason = format!("this method is not allowed here; allowed are {methods}");
    answers::error(Status::METHOD_NOT_ALLOWED, &reason).with_known_header("Allow", methods)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_a_page_can_have_are_not_local() {
        for host in ["localhost", "LocalHost:80", "127.0.0.1", "127.0.0.1:9100", "[::1]:1", "[::1]"]
        {
            assert!(is_local(host), "{host}");
        }
        for host in ["", "example.org", "localhost.example.org:9100", "127.0.0.1.example.org"] {
            assert!(!is_local(host), "{host}");
        }
    }
}
