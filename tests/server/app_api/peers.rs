//! The addresses of peers.

use std::net::SocketAddr;

use corecast::app::{Accept, CloseContext, Context, Handler, Upgrade};
use corecast::config::Config;
use corecast::protocol::websocket::handshake::{Refusal, Request};
use corecast::server::{Server, ServerHandle};
use corecast::session::{CloseReason, Message};

use super::{Log, expect, say, wait_for};
use crate::support::backend;
use crate::support::client::Client;

/// Says where a client comes from, if it asks the server for addresses.
struct Where<const ASKS: bool>(Log);

impl<const ASKS: bool> Handler for Where<ASKS> {
    type Connection = Option<SocketAddr>;
    type User = ();

    const PEER_ADDRESSES: bool = ASKS;

    fn upgrade(&mut self, request: &Request<'_>, _: &mut Accept) -> Upgrade<Option<SocketAddr>> {
        Upgrade::Accept(request.peer_addr)
    }

    fn authorise_connect(&mut self, request: &Request<'_>, (): &mut ()) -> Result<(), Refusal> {
        self.0.lock().unwrap().push(format!("client {:?}", request.peer_addr));
        Ok(())
    }

    fn message<'a>(
        &mut self,
        at_upgrade: &mut Option<SocketAddr>,
        _: Message<'a>,
        cx: &mut Context<'_, 'a>,
    ) {
        assert_eq!(*at_upgrade, cx.peer_addr());
        cx.text(&format!("{:?}", cx.peer_addr())).unwrap();
    }

    fn close(&mut self, _: Option<SocketAddr>, _: CloseReason, cx: &mut CloseContext<'_>) {
        self.0.lock().unwrap().push(format!("closed {:?}", cx.peer_addr()));
    }
}

fn start<const ASKS: bool>(addresses: &[&str]) -> (ServerHandle, Log) {
    let log = Log::default();
    let notes = Log::clone(&log);
    let listen = |server: Server, address: &&str| server.listen(address.parse().unwrap());
    let server = addresses.iter().fold(backend::server(Config::default()), listen);
    (server.start(move |_, _| Where::<ASKS>(Log::clone(&notes))).unwrap(), log)
}

fn stop(server: &ServerHandle) {
    server.drain();
    server.join().unwrap();
}

/// What a client says of its own address.
fn local(client: &Client) -> String {
    format!("{:?}", Some(client.stream().local_addr().unwrap()))
}

#[test]
fn each_connection_has_the_address_of_its_own_peer() {
    let (server, log) = start::<true>(&["127.0.0.1:0", "[::]:0"]);
    let [v4, both] = server.addresses() else { panic!("{:?}", server.addresses()) };
    let targets = [*v4, ([127, 0, 0, 1], both.port()).into()];
    let v6 = SocketAddr::from((std::net::Ipv6Addr::LOCALHOST, both.port()));
    // Slots are used again, each with another address.
    for _ in 0..3 {
        let mut clients = Vec::new();
        for at in 0..30 {
            let target = if at % 3 == 2 { v6 } else { targets[at % 3] };
            clients.push(Client::open(target));
        }
        for client in &mut clients {
            say(client, "where");
            let own = local(client);
            expect(client, &own);
        }
        let own = local(&clients[1]);
        clients.into_iter().for_each(Client::close);
        wait_for(&log, &format!("closed {own}"));
    }
    let mut endpoint = Client::connect(*v4);
    let own = local(&endpoint);
    endpoint.open_at("/pubsub", "");
    wait_for(&log, &format!("client {own}"));
    drop(endpoint);
    stop(&server);
}

#[test]
fn a_handler_that_does_not_ask_is_told_none() {
    let (server, log) = start::<false>(&["127.0.0.1:0"]);
    let mut client = Client::open(server.addresses()[0]);
    say(&mut client, "where");
    expect(&mut client, "None");
    client.close();
    wait_for(&log, "closed None");
    stop(&server);
}

/// Connections that come all at once are all accepted, although each accept is for one.
#[test]
fn a_burst_of_connections_is_accepted() {
    let (server, _) = start::<true>(&["127.0.0.1:0"]);
    let addr = server.addresses()[0];
    let mut clients: Vec<Client> = (0..500).map(|_| Client::connect(addr)).collect();
    for client in &mut clients {
        client.open_at("/", "");
        say(client, "where");
    }
    for client in &mut clients {
        let own = local(client);
        expect(client, &own);
    }
    drop(clients);
    stop(&server);
}
