//! Panics in callbacks.

use std::sync::{Arc, Mutex};

use corecast::config::Config;
use corecast::server::Server;

use super::support::client::Client;
use super::support::wire;
use super::{Log, Script, expect, say, wait_for};

#[test]
fn a_panic_ends_its_connection_only() {
    let (log, told) = (Log::default(), Arc::new(Mutex::new(Vec::new())));
    let (notes, list) = (Arc::clone(&log), Arc::clone(&told));
    let address = std::net::SocketAddr::from(([127, 0, 0, 1], 0));
    let server = Server::new(Config::default())
        .listen(address)
        .cores(vec![corecast::server::allowed_cores()[0]])
        .on_panic(move |panic| {
            list.lock().unwrap().push((panic.callback, panic.message.clone()));
            panic!("in the hook as well");
        })
        .start(move |_, _| Script(Arc::clone(&notes)))
        .unwrap();
    let addr = server.addresses()[0];
    let mut other = Client::open(addr);
    let mut client = Client::open(addr);
    say(&mut client, "before");
    say(&mut client, "panic");
    say(&mut client, "after");
    expect(&mut client, "before");
    client.expect(&wire::server_close(1011, "internal error"));
    client.send(&wire::close(1011, ""));
    client.expect_end(b"");
    wait_for(&log, "closed /: closed here with");
    let mut refused = Client::connect(addr);
    refused.send(&super::support::client::request_to("/panic", ""));
    assert!(refused.read_head().status.contains(" 503 "));
    say(&mut other, "still here");
    expect(&mut other, "still here");
    assert_eq!(server.stats()[0].app.panics, 2);
    let expected = [("message", "asked to".to_owned()), ("upgrade", "in upgrade".to_owned())];
    assert_eq!(*told.lock().unwrap(), expected);
    server.drain();
    drop((other, refused));
    server.join().unwrap();
}
