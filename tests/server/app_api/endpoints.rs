//! Clients of the server's own endpoints, as the application authorises them.

use corecast::app::{Accept, Action, Context, Denied, Handler, Upgrade};
use corecast::config::Config;
use corecast::protocol::websocket::handshake::{Refusal, Rejection, Request};
use corecast::session::Message;

use super::{expect, say};
use crate::support::client::{Client, request_to};
use crate::support::library::Embedded;
use crate::support::wire;

/// Each user has topics of their own, and reads those and `public`.
struct Owners;

impl Handler for Owners {
    type Connection = ();
    type User = String;

    fn upgrade(&mut self, _: &Request<'_>, _: &mut Accept) -> Upgrade<()> {
        Upgrade::Refuse(Rejection::NotFound.into())
    }

    fn message<'a>(&mut self, (): &mut (), _: Message<'a>, _: &mut Context<'_, 'a>) {}

    fn authorise_connect(
        &mut self,
        request: &Request<'_>,
        user: &mut String,
    ) -> Result<(), Refusal> {
        let name = request.query.and_then(|query| query.split_once("token="));
        let (_, name) = name.ok_or(Rejection::Forbidden)?;
        name.clone_into(user);
        Ok(())
    }

    fn authorise(&mut self, user: &String, action: Action<'_>) -> Result<(), Denied> {
        let is_own = match action {
            Action::Subscribe(filter) => {
                filter.as_str() == "public" || filter.as_str().starts_with(&**user)
            }
            Action::Publish(topic) => topic.as_str().starts_with(&**user),
            _ => false,
        };
        if is_own { Ok(()) } else { Err(Denied::because(format!("{user} may not"))) }
    }
}

#[test]
fn each_action_is_authorised() {
    let server = Embedded::start_with(Config::default(), |_, _| Owners);
    let mut client = Client::connect(server.addr());
    client.open_at("/pubsub?token=ann", "");
    for (request, answer) in [
        (r#"{"subscribe":"ann/#","id":1}"#, r#"{"subscribed":["ann/#"],"id":1}"#),
        (
            r#"{"subscribe":["public","bob/#"],"id":2}"#,
            r#"{"error":"\"bob/#\": ann may not","id":2}"#,
        ),
        (r#"{"publish":"bob/x","data":1,"id":3}"#, r#"{"error":"\"bob/x\": ann may not","id":3}"#),
        (r#"{"publish":"public","data":1}"#, r#"{"error":"\"public\": ann may not"}"#),
        (r#"{"subscribe":"public","id":4}"#, r#"{"subscribed":["public"],"id":4}"#),
        (r#"{"publish":"ann/x","data":1}"#, r#"{"topic":"ann/x","data":1}"#),
    ] {
        say(&mut client, request);
        expect(&mut client, answer);
    }
    client.close();
}

#[test]
fn a_raw_client_is_refused_or_closed() {
    let server = Embedded::start_with(Config::default(), |_, _| Owners);
    let mut refused = Client::connect(server.addr());
    refused.send(&request_to("/topics/bob/x?token=ann", ""));
    assert!(refused.read_head().status.contains(" 403 "));
    let mut closed = Client::connect(server.addr());
    closed.open_at("/topics/public?token=ann", "");
    say(&mut closed, "mine");
    closed.expect(&wire::server_close(1008, "not allowed to publish to this topic"));
    let mut own = Client::connect(server.addr());
    own.open_at("/topics/ann/x?token=ann", "");
    say(&mut own, "mine");
    // It subscribes to the topic as well, so its own message comes back.
    expect(&mut own, "mine");
    own.expect_alive();
}

/// Accepts every client, and has parameters of its own: `jwt` alone, or all.
struct Own<const ANY: bool>;

impl<const ANY: bool> Handler for Own<ANY> {
    type Connection = ();
    type User = ();

    const PARAMETERS: &'static [&'static str] = if ANY { &["*"] } else { &["jwt"] };

    fn upgrade(&mut self, _: &Request<'_>, _: &mut Accept) -> Upgrade<()> {
        Upgrade::Refuse(Rejection::NotFound.into())
    }

    fn message<'a>(&mut self, (): &mut (), _: Message<'a>, _: &mut Context<'_, 'a>) {}

    fn authorise_connect(&mut self, request: &Request<'_>, (): &mut ()) -> Result<(), Refusal> {
        match request.query {
            Some(query) if query.contains("=bad") => Err(Rejection::Forbidden.into()),
            _ => Ok(()),
        }
    }
}

/// The application sees every parameter; what it does not name is refused after it was asked.
#[test]
fn parameters_of_the_application_are_its_own() {
    let named = Embedded::start_with(Config::default(), |_, _| Own::<false>);
    let any = Embedded::start_with(Config::default(), |_, _| Own::<true>);
    for (query, of_named, of_any) in [
        ("jwt=1", 101, 101),
        ("jwt=bad", 403, 403),
        ("topik=1", 400, 101),
        ("topik=bad", 403, 403),
        ("token=1", 400, 101),
        ("jwt=1&x", 400, 101),
    ] {
        for (server, status) in [(&named, of_named), (&any, of_any)] {
            for path in ["/pubsub", "/topics/a"] {
                let mut client = Client::connect(server.addr());
                client.send(&request_to(&format!("{path}?{query}"), ""));
                let head = client.read_head();
                assert!(head.status.contains(&format!(" {status} ")), "{path}?{query} {head:?}");
            }
        }
    }
    let mut client = Client::connect(any.addr());
    client.send(&request_to("/topics/a?jwt=1&role=none", ""));
    assert!(client.read_head().status.contains(" 400 "));
}
