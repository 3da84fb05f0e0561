//! Handles for other threads.

use std::sync::mpsc::channel;
use std::time::Duration;

use corecast::app::SendError;
use corecast::config::Config;
use corecast::error::Error;
use corecast::protocol::websocket::CloseCode;
use corecast::pubsub::Payload;
use corecast::server::ServerHandle;

use super::{Log, Script, expect, say, script, wait_for};
use crate::support::backend;
use crate::support::client::{Client, End};
use crate::support::host::wait_until;
use crate::support::wire;

const LIMIT: Duration = Duration::from_secs(20);

#[test]
fn another_thread_sends_to_each_connection_and_closes_it() {
    let (server, log) = script(Config::default());
    let mut clients: Vec<Client> = (0..5).map(|_| Client::open(server.addr())).collect();
    for client in &mut clients {
        say(client, "here");
        expect(client, "here");
    }
    let mut topics = Client::connect(server.addr());
    topics.open_at("/topics/t", "");
    let handles = server.handle().connections();
    assert_eq!(handles.len(), 5, "a client of a topic is none of the application's");
    std::thread::scope(|scope| {
        for handle in &handles {
            scope.spawn(|| {
                (0..100).for_each(|n| {
                    handle.send(Payload::text(n.to_string())).unwrap();
                })
            });
        }
    });
    for client in &mut clients {
        (0..100).for_each(|n| expect(client, &n.to_string()));
    }
    let too_large = vec![0; Config::default().limits.max_message + 1];
    assert_eq!(handles[0].send(Payload::binary(too_large)), Err(SendError::TooLarge));
    for handle in &handles {
        handle.close(CloseCode::SERVICE_RESTART, "again").unwrap();
    }
    for mut client in clients {
        client.expect(&wire::server_close(1012, "again"));
        client.send(&wire::close(1012, ""));
        client.expect_end(b"");
    }
    wait_for(&log, "closed");
    assert!(wait_until(LIMIT, || handles.iter().all(|handle| !handle.is_open())));
    assert_eq!(handles[0].send(Payload::text("x")), Err(SendError::Gone));
}

#[test]
fn the_handle_is_there_before_the_handler_and_reports() {
    let (sender, handles) = channel();
    let address = std::net::SocketAddr::from(([127, 0, 0, 1], 0));
    let make = move |core: usize, handle: &ServerHandle| {
        assert!(handle.cores().contains(&core) && handle.addresses()[0].port() != 0);
        sender.send(handle.clone()).unwrap();
        Script(Log::default())
    };
    let server = backend::server(Config::default()).listen(address).start(make).unwrap();
    let early = handles.recv_timeout(LIMIT).unwrap();
    assert_eq!(early.addresses(), server.addresses());
    let addr = server.addresses()[0];
    // Dropping handles does not stop it.
    drop(server);
    let mut client = Client::open(addr);
    // The retained value comes once the subscription is in force on every core.
    say(&mut client, "retain t");
    say(&mut client, "subscribe t");
    expect(&mut client, "ok");
    expect(&mut client, "kept");
    early.publish("t", Payload::text("from outside")).unwrap();
    expect(&mut client, "from outside");
    let stats = early.stats();
    assert_eq!(stats.len(), early.cores().len());
    assert_eq!(stats.iter().map(|stats| stats.connections).sum::<usize>(), 1);
    assert_eq!(stats.iter().map(|stats| stats.worker.accepted).sum::<u64>(), 1);
    assert_eq!(stats.iter().map(|stats| stats.topics.published).sum::<u64>(), 2);
    let handle = early.connections().remove(0);
    early.stop();
    let (_, end) = client.read_to_end(LIMIT);
    assert!(end != End::Open, "it is cut");
    assert_eq!(early.join().unwrap().len(), early.join().unwrap().len());
    assert!(early.stats().is_empty() && early.connections().is_empty());
    assert!(matches!(handle.send(Payload::text("x")), Err(SendError::Stopped | SendError::Gone)));
}

#[test]
fn a_drained_server_says_goodbye_and_waits() {
    let (server, log) = script(Config::default());
    let (addr, handle) = (server.addr(), server.handle().clone());
    let mut clients: Vec<Client> = (0..3).map(|_| Client::open(addr)).collect();
    let joiner = std::thread::spawn(move || handle.join());
    server.handle().drain();
    for client in &mut clients {
        client.expect(&wire::server_close(1001, "server is stopping"));
    }
    assert!(!joiner.is_finished(), "it waits for those that have not left");
    assert!(wait_until(LIMIT, || std::net::TcpStream::connect(addr).is_err()));
    for mut client in clients {
        client.send(&wire::close(1001, ""));
        client.expect_end(b"");
    }
    let stats = joiner.join().unwrap().unwrap();
    let sum = |of: fn(&corecast::worker::Stats) -> u64| stats.iter().map(of).sum::<u64>();
    assert!(sum(|stats| stats.accepted) >= 3);
    assert_eq!(sum(|stats| stats.accepted), sum(|stats| stats.closed));
    let line = "end /: here 1001 \"server is stopping\"";
    let log = log.lock().unwrap();
    assert_eq!(log.iter().filter(|noted| *noted == line).count(), 3, "{log:?}");
}

#[test]
fn a_start_that_fails_leaves_no_thread() {
    let make = |_: usize, _: &ServerHandle| -> Script { panic!("no handler today") };
    let address = std::net::SocketAddr::from(([127, 0, 0, 1], 0));
    let error = backend::server(Config::default()).listen(address).start(make).unwrap_err();
    assert!(matches!(&error, Error::Panic(text) if text == "no handler today"), "{error:?}");
}
