//! Addresses: starting right after a predecessor was killed, and addresses that are in use.

use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use crate::support::client::Client;
use crate::support::library::Embedded;
use crate::support::server::{Finished, Server, command, run};
use corecast::config::Config;
use rustix::net::{AddressFamily, SocketType, bind, listen, socket, sockopt};
use rustix::process::Signal;

/// A server retries an address in use for 1 s; the rest allows for a busy machine.
const START_LIMIT: Duration = Duration::from_secs(4);

/// An address of 127.0.0.1 with a port that is free at this moment.
fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

fn serve(address: SocketAddr, more: &[&str]) -> std::process::Command {
    let mut command = command(&["serve", "--listen", &address.to_string()]);
    command.args(more);
    command
}

/// Kills a server 20 times, with `clients` connected, and starts the next one immediately.
fn restarts(more: &[&str], clients: usize) {
    const RESTARTS: usize = 20;
    // If the machine is stalled for a second, the kernel cannot close the sockets in time.
    const STALLS: usize = 2;
    let address = free_address();
    let mut failures = Vec::new();
    let mut server = Server::spawn(serve(address, more));
    for _ in 0..RESTARTS {
        let connected: Vec<Client> = (0..clients).map(|_| Client::open(address)).collect();
        server.signal(Signal::KILL);
        server.wait(START_LIMIT).expect("an end of the process");
        server = loop {
            match Server::try_spawn(serve(address, more)) {
                Ok(server) => break server,
                Err(said) => failures.push(said),
            }
            assert!(failures.len() <= STALLS, "{}", failures.join("\n"));
        };
        assert_eq!(server.addr(), address);
        Client::open(address).close();
        drop(connected);
    }
}

#[test]
fn a_server_starts_at_once_after_its_predecessor_was_killed() {
    restarts(&[], 0);
}

#[test]
fn a_server_of_one_loop_starts_at_once_after_its_predecessor_was_killed() {
    restarts(&["--cores", "0"], 0);
}

#[test]
fn a_server_starts_at_once_after_a_predecessor_with_connections_was_killed() {
    restarts(&["--loops-per-core", "2"], 100);
}

fn refused(address: SocketAddr) -> Finished {
    let end = run(serve(address, &[]), 2 * START_LIMIT);
    let line = end.error_line(1);
    assert!(line.contains(&format!("{address} is in use")), "{line}");
    assert!(line.contains("choose another address"), "{line}");
    assert!(line.contains(&format!("sport = :{}", address.port())), "{line}");
    assert!(end.took < START_LIMIT, "took {:?}", end.took);
    end
}

#[test]
fn an_address_in_use_exits_with_1_and_names_a_remedy() {
    let holder = TcpListener::bind("127.0.0.1:0").unwrap();
    refused(holder.local_addr().unwrap());
    let holder = TcpListener::bind("0.0.0.0:0").unwrap();
    let port = holder.local_addr().unwrap().port();
    refused(SocketAddr::from(([127, 0, 0, 1], port)));
}

#[test]
fn an_address_of_a_program_that_shares_its_port_exits_with_1() {
    let address = free_address();
    let holder = socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
    sockopt::set_socket_reuseport(&holder, true).unwrap();
    bind(&holder, &address).unwrap();
    listen(&holder, 8).unwrap();
    refused(address);
}

#[test]
fn two_servers_cannot_share_a_port() {
    for more in [&[][..], &["--cores", "0"]] {
        let server = Server::start(more);
        refused(server.addr());
        Client::open(server.addr()).close();
    }
}

#[test]
fn if_two_servers_start_together_one_listens() {
    for _ in 0..10 {
        let address = free_address();
        let start = move || Server::try_spawn(serve(address, &[]));
        let other = std::thread::spawn(start);
        let servers = [start(), other.join().unwrap()];
        let listening = servers.iter().filter(|server| server.is_ok()).count();
        assert_eq!(listening, 1, "{:?}", servers.map(|server| server.err()));
    }
}

#[test]
fn connections_are_spread_over_all_loops() {
    const LOOPS: usize = 4;
    const CONNECTIONS: usize = 200;
    let server = Embedded::start_loops(Config::default(), LOOPS);
    let clients: Vec<Client> = (0..CONNECTIONS).map(|_| Client::open(server.addr())).collect();
    for client in clients {
        client.close();
    }
    let accepted: Vec<u64> = server.stop().iter().map(|stats| stats.accepted).collect();
    assert_eq!(accepted.iter().sum::<u64>(), CONNECTIONS as u64);
    // 50 each are expected; 20 is some five standard deviations below.
    assert!(accepted.iter().all(|count| *count >= 20), "{accepted:?}");
}

/// A port that is free for IPv4 and IPv6, on all addresses.
fn free_port() -> u16 {
    TcpListener::bind("[::]:0").unwrap().local_addr().unwrap().port()
}

/// A server on all of `hosts` with one port, and that port.
fn start_on(hosts: &[&str]) -> (Server, u16) {
    let port = free_port();
    // The first address is for the start, which is checked on 127.0.0.1.
    let mut command = command(&["serve", "--listen", "127.0.0.1:0"]);
    for host in hosts {
        command.args(["--listen", &format!("{host}:{port}")]);
    }
    (Server::spawn(command), port)
}

#[test]
fn ipv4_and_ipv6_are_served_on_one_port() {
    for hosts in [
        &["0.0.0.0", "[::]"][..],
        &["[::]", "0.0.0.0"],
        &["[::]"],
        &["[::]", "127.0.0.1"],
        &["127.0.0.1", "[::1]"],
        &["[::ffff:127.0.0.1]", "[::1]"],
    ] {
        let (server, port) = start_on(hosts);
        for host in ["127.0.0.1", "[::1]"] {
            let address: SocketAddr = format!("{host}:{port}").parse().unwrap();
            Client::open(address).close();
        }
        drop(server);
    }
}

#[test]
fn only_the_given_addresses_are_served() {
    for (host, not) in [("0.0.0.0", "[::1]"), ("[::1]", "127.0.0.1"), ("127.0.0.1", "127.0.0.2")] {
        let (server, port) = start_on(&[host]);
        let address: SocketAddr = format!("{not}:{port}").parse().unwrap();
        let refused = std::net::TcpStream::connect(address).unwrap_err();
        assert_eq!(refused.kind(), std::io::ErrorKind::ConnectionRefused, "{not} of {host}");
        drop(server);
    }
    let (server, port) = start_on(&["[::]", "127.0.0.1"]);
    let address = SocketAddr::from(([127, 0, 0, 2], port));
    assert!(std::net::TcpStream::connect(address).is_err(), "only 127.0.0.1 of IPv4 is given");
    drop(server);
}

#[test]
fn overlapping_addresses_exit_with_2_and_are_named() {
    let port = free_port();
    for (hosts, named) in [
        (["127.0.0.1", "127.0.0.1"], ["127.0.0.1", "twice"]),
        (["[::]", "[::]"], ["[::]", "twice"]),
        (["0.0.0.0", "127.0.0.1"], ["127.0.0.1", "0.0.0.0"]),
        (["127.0.0.1", "0.0.0.0"], ["127.0.0.1", "0.0.0.0"]),
        (["[::1]", "[::]"], ["[::1]", "[::]"]),
        (["[::ffff:127.0.0.1]", "127.0.0.1"], ["127.0.0.1", "twice"]),
    ] {
        let [one, other] = hosts.map(|host| format!("{host}:{port}"));
        let end = run(command(&["serve", "--listen", &one, "--listen", &other]), START_LIMIT);
        let line = end.error_line(2);
        assert!(named.iter().all(|part| line.contains(part)), "{hosts:?}: {line}");
        assert!(!line.contains("in use"), "{hosts:?}: {line}");
    }
}

#[test]
fn short_forms_of_an_address_are_served() {
    let port = free_port();
    for (form, hosts) in [
        (port.to_string(), &["127.0.0.1"][..]),
        (format!(":{port}"), &["127.0.0.1", "[::1]"]),
        (format!("localhost:{port}"), &["127.0.0.1", "[::1]"]),
    ] {
        let server =
            Server::spawn(command(&["serve", "--listen", "127.0.0.1:0", "--listen", &form]));
        for host in hosts {
            let address: SocketAddr = format!("{host}:{port}").parse().unwrap();
            Client::open(address).close();
        }
        drop(server);
    }
}
