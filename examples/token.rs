//! A token at the handshake: `ws://127.0.0.1:9001/?token=ann` is greeted, without one it is 403.
//! The same token decides who may publish at `/pubsub` and `/topics/...`.

use std::net::SocketAddr;

use corecast::app::{Accept, Action, Context, Denied, Handler, Upgrade};
use corecast::config::Config;
use corecast::error::Error;
use corecast::protocol::websocket::handshake::{Refusal, Rejection, Request};
use corecast::server::{Server, ServerHandle};
use corecast::session::Message;

struct Greeter;

/// The user of a request. A real program checks a signature here.
fn user(request: &Request<'_>) -> Result<String, Refusal> {
    let mut parameters = request.query.unwrap_or_default().split('&');
    let token = parameters.find_map(|parameter| parameter.strip_prefix("token="));
    match token {
        Some(name @ ("ann" | "bob")) => Ok(name.to_owned()),
        _ => Err(Refusal::saying(Rejection::Forbidden, "The token is missing or not valid.")),
    }
}

impl Handler for Greeter {
    type Connection = String;
    type User = String;

    fn upgrade(&mut self, request: &Request<'_>, _: &mut Accept) -> Upgrade<String> {
        user(request).map_or_else(Upgrade::Refuse, Upgrade::Accept)
    }

    fn open(&mut self, name: &mut String, cx: &mut Context<'_, '_>) {
        let _ = cx.text(&format!("hello {name}"));
    }

    fn message<'a>(&mut self, _: &mut String, message: Message<'a>, cx: &mut Context<'_, 'a>) {
        cx.echo(message);
    }

    fn authorise_connect(
        &mut self,
        request: &Request<'_>,
        name: &mut String,
    ) -> Result<(), Refusal> {
        *name = user(request)?;
        Ok(())
    }

    fn authorise(&mut self, name: &String, action: Action<'_>) -> Result<(), Denied> {
        match action {
            Action::Publish(topic) if !topic.as_str().starts_with(name.as_str()) => {
                Err(Denied::because("not your topic"))
            }
            _ => Ok(()),
        }
    }
}

pub(crate) fn start(address: SocketAddr) -> Result<ServerHandle, Error> {
    Server::new(Config::default()).listen(address).start(|_core, _handle| Greeter)
}

fn main() -> Result<(), Error> {
    start(SocketAddr::from(([127, 0, 0, 1], 9001)))?.join()?;
    Ok(())
}
