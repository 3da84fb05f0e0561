//! The handler of `corecast serve`: every message is sent back to its sender.

use super::{Accept, Context, Handler, RequestContext, Upgrade};
use crate::config::{RouteTo, Routes};
use crate::protocol::http;
use crate::protocol::http::{Response, Status};
use crate::protocol::websocket::handshake::Request;
use crate::session::Message;

const TITLE: &str = "corecast: a WebSocket echo and publish/subscribe server (RFC 6455).\n\n";
const NOT_FOUND: &str = "Nothing is served here over plain HTTP. GET / lists what is.\n";

/// Echoes every message, opcode and boundaries kept, on every path.
#[derive(Clone, Copy, Debug, Default)]
pub struct Echo;

impl Handler for Echo {
    type Connection = ();
    type User = ();
    // The callbacks are code of the server.
    const CATCH_PANICS: bool = false;

    fn upgrade(&mut self, request: &Request<'_>, accept: &mut Accept) -> Upgrade<()> {
        accept.first_protocol(request);
        Upgrade::Accept(())
    }

    fn request(
        &mut self,
        request: &http::Request<'_>,
        cx: &mut RequestContext<'_>,
    ) -> Option<Response> {
        let has_routes = !cx.config().routes.is_empty();
        match (request.path, request.method) {
            ("/", "GET" | "HEAD") => Some(Response::text(Status::OK, page(request, cx))),
            ("/" | "/echo" | "/healthz" | "*", _) => None,
            _ if has_routes => None,
            (_, method) if !http::is_known_method(method) => None,
            _ => Some(Response::text(Status::NOT_FOUND, NOT_FOUND)),
        }
    }

    #[inline(always)]
    fn message<'a>(&mut self, (): &mut (), message: Message<'a>, cx: &mut Context<'_, 'a>) {
        cx.echo(message);
    }
}

/// What this server is and where its endpoints are, with the address that the client has used.
fn page(request: &http::Request<'_>, cx: &RequestContext<'_>) -> String {
    let host = request.host.unwrap_or("<this host>");
    let peer = cx.peer_addr().map(|peer| peer.ip());
    let proxies = &cx.config().trusted_proxies;
    let is_tls = request.is_tls || proxies.is_https(peer, &request.headers());
    let (ws, http) = if is_tls { ("wss", "https") } else { ("ws", "http") };
    let routes = &cx.config().routes;
    if !routes.is_empty() {
        return TITLE.to_owned() + &listed(routes, host, ws, http);
    }
    let mut page = format!(
        "{TITLE}Connect with a WebSocket client, for example: websocat {ws}://{host}/echo\n\n\
         {ws}://{host}/echo            every message comes back (so it does on other paths)\n"
    );
    if cx.config().pubsub.endpoints {
        page.push_str(&format!(
            "{ws}://{host}/topics/<topic>  messages to and from all clients of a topic\n\
             {ws}://{host}/pubsub          many topics on one connection, in JSON\n"
        ));
    }
    page.push_str(&format!("{http}://{host}/healthz       200 while this server takes clients\n"));
    page
}

/// A line for each route that serves something.
fn listed(routes: &Routes, host: &str, ws: &str, http: &str) -> String {
    let lines = routes.iter().filter_map(|route| {
        let (scheme, what) = match route.to {
            RouteTo::Application => (ws, "every message comes back"),
            RouteTo::Topics => (ws, "messages to and from all clients of a topic"),
            RouteTo::PubSub => (ws, "many topics on one connection, in JSON"),
            RouteTo::Health => (http, "200 while this server takes clients"),
            RouteTo::Off => return None,
        };
        let address = format!("{scheme}://{host}{}", route.path);
        Some(format!("{address:<40}  {what}\n"))
    });
    lines.collect()
}
