//! The same from a program.

use std::time::Duration;

use corecast::app::echo::Echo;
use corecast::config::{Access, Config, Route, RouteTo, Routes};
use corecast::error::Error;
use corecast::server::ServerHandle;

use crate::support::backend;
use crate::support::client::Client;
use crate::support::wire::{self, BINARY, FIN, frame};

fn default() -> Config {
    let mut config = Config::default();
    config.backend = backend::chosen();
    config
}

fn start(config: Config) -> ServerHandle {
    let server = backend::server(config).listen("127.0.0.1:0".parse().unwrap());
    server.start(|_, _| Echo).unwrap()
}

fn stop(server: &ServerHandle) {
    server.stop();
    server.join().unwrap();
}

fn with_route(most: usize) -> Config {
    let route = Route::new("/*", RouteTo::Application).unwrap().max_message(most);
    let mut config = default();
    config.routes = Routes::new([route]).unwrap();
    config
}

#[test]
fn reload_names_the_fields_that_stay() {
    let server = start(Config::default());
    let mut config = default();
    assert_eq!(server.reload(&config).unwrap(), Vec::<&str>::new());
    config.limits.max_message = 10;
    config.limits.max_connections = 7;
    config.pubsub.max_retained = 7;
    config.access_log = true;
    let kept = server.reload(&config).unwrap();
    assert_eq!(kept, ["limits.max_connections", "pubsub.max_retained"]);
    let mut client = Client::open(server.addresses()[0]);
    client.send(&frame(FIN | BINARY, &[0; 11]));
    assert_eq!(client.read_frame().payload[..2], 1009_u16.to_be_bytes());
    stop(&server);
}

/// What was there at the start may go and come back.
#[test]
fn proxies_are_trusted_again() {
    let mut trusting = default();
    trusting.trusted_proxies.networks.push("127.0.0.0/8".parse().unwrap());
    let server = start(trusting.clone());
    for config in [&default(), &trusting, &default(), &trusting] {
        assert_eq!(server.reload(config).unwrap(), Vec::<&str>::new());
    }
    stop(&server);
}

#[test]
fn nothing_is_reloaded_before_the_start() {
    let server = backend::server(Config::default()).listen("127.0.0.1:0".parse().unwrap());
    let start = server.start(|_, handle| {
        assert!(matches!(handle.reload(&default()), Err(Error::Usage(_))));
        Echo
    });
    let server = start.unwrap();
    assert_eq!(server.reload(&default()).unwrap(), Vec::<&str>::new());
    Client::open(server.addresses()[0]).close();
    stop(&server);
}

/// The time to drain that holds when the server is to end counts, for the loops as for those who
/// wait.
#[test]
fn a_server_that_stayed_ends_in_time() {
    let mut config = default();
    config.timeouts.close = Duration::from_secs(100);
    config.timeouts.drain = Duration::from_secs(100);
    let server = start(config.clone());
    let _client = Client::open(server.addresses()[0]);
    server.drain_and_stay();
    config.timeouts.drain = Duration::from_millis(500);
    server.reload(&config).unwrap();
    server.drain();
    // Nobody makes it stay again.
    server.drain_and_stay();
    server.join().unwrap();
}

/// Each route that was changed has a number of its own until the end, and there are 250. Those of a
/// file to which one goes back have theirs again.
#[test]
fn routes_change_until_their_numbers_are_used_up() {
    let server = start(with_route(1));
    for number in 1..=250 {
        for most in [number, 1] {
            server.reload(&with_route(most)).unwrap();
        }
    }
    let error = server.reload(&with_route(251)).unwrap_err();
    assert!(matches!(error, Error::Routes(_)) && error.to_string().contains("250"), "{error}");
    // All is as it was.
    let mut client = Client::open(server.addresses()[0]);
    client.send(&frame(FIN | BINARY, &[0; 1]));
    client.expect(&wire::unmasked(FIN | BINARY, &[0; 1]));
    client.send(&frame(FIN | BINARY, &[0; 2]));
    assert_eq!(client.read_frame().payload[..2], 1009_u16.to_be_bytes());
    server.reload(&with_route(250)).unwrap();
    stop(&server);
}

#[test]
fn routes_that_nobody_could_use_are_refused() {
    let server = start(Config::default());
    let route = Route::new("/pubsub", RouteTo::PubSub).unwrap().access(Access::Token);
    let mut config = default();
    config.routes = Routes::new([route]).unwrap();
    assert!(matches!(server.reload(&config), Err(Error::Usage(_))));
    Client::open(server.addresses()[0]).close();
    stop(&server);
}

/// Two servers of one process.
#[test]
fn a_server_takes_over_from_another() {
    let path = std::env::temp_dir().join(format!("corecast-library-{}", std::process::id()));
    let start = |port: u16| {
        let address = ([127, 0, 0, 1], port).into();
        backend::server(Config::default()).listen(address).hand_over(&path).start(|_, _| Echo)
    };
    let first = start(0).unwrap();
    let second = start(0).unwrap();
    assert_eq!(first.addresses(), second.addresses());
    assert!(!first.is_successor() && second.is_successor());
    first.join().unwrap();
    Client::open(second.addresses()[0]).close();
    // The address may be written as it is, too.
    let third = start(second.addresses()[0].port()).unwrap();
    second.join().unwrap();
    assert_eq!(second.addresses(), third.addresses());
    Client::open(third.addresses()[0]).close();
    third.drain();
    third.join().unwrap();
    assert!(!path.exists());
}
