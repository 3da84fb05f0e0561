//! An application that wants tokens.

use super::*;
use crate::app::{Action, Denied};
use crate::authority::Authority;

/// Wants tokens on its own paths, and notes who they are of.
struct Named(Vec<String>);

impl Handler for Named {
    type Connection = ();
    type User = String;
    const TOKENS: bool = true;

    fn upgrade(&mut self, request: &Request<'_>, accept: &mut Accept) -> Upgrade<()> {
        let user = accept.authority().map_or("nobody", Authority::user);
        self.0.push(format!("{} {user}", request.path));
        accept.first_protocol(request);
        Upgrade::Accept(())
    }

    fn authorised(&mut self, user: &mut String, authority: &Authority) {
        *user = authority.user().to_owned();
        self.0.push(format!("authorised {user}"));
    }

    fn authorise(&mut self, user: &String, action: Action<'_>) -> Result<(), Denied> {
        self.0.push(format!("{user} {action:?}"));
        Ok(())
    }

    fn message<'a>(&mut self, (): &mut (), message: Message<'a>, cx: &mut Context<'_, 'a>) {
        cx.echo(message);
    }
}

#[test]
fn an_application_learns_who_its_clients_are() {
    let [mut core, _] = guarded(|| Named(Vec::new()));
    assert_eq!(status(&Client::connect(&mut core, id(7), "/a", "").1), "401");
    let ann = of("ann", 100, "\"t\"", "");
    let offered = format!("Sec-WebSocket-Protocol: bearer.{ann}, chat\r\n");
    let (_, answer) = Client::connect(&mut core, id(7), "/a", &offered);
    assert!(answer.contains("Sec-WebSocket-Protocol: chat\r\n"), "{answer}");
    let (mut client, _) = Client::connect(&mut core, id(8), "/pubsub", &header(&ann));
    client.send(&mut core, &[r#"{"publish":"t","data":1}"#, r#"{"publish":"u","data":1}"#]);
    client.send(&mut core, &[&format!(r#"{{"token":"{ann}"}}"#)]);
    let noted = &core.gateway.app().0;
    assert_eq!(noted[..2], ["/a ann", "authorised ann"], "{noted:?}");
    assert!(noted[2].starts_with("ann Publish"), "{noted:?}");
    assert_eq!(noted[3..], ["authorised ann"], "what the token denies is not asked");
    // Without keys nobody is asked for one.
    let [mut core, _] = cores_with(|| Named(Vec::new()));
    assert_eq!(status(&Client::connect(&mut core, id(7), "/a", "").1), "101");
    assert_eq!(core.gateway.app().0, ["/a nobody"]);
}
