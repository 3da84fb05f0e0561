//! `corecast drain`: has a server drain.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::time::Duration;

use rustix::process::Signal;

use crate::admin::page::Administrated;
use crate::support::client::Client;
use crate::support::host::wait_until;
use crate::support::server::{Finished, Server, command, run};
use crate::support::wire::server_close;

const LIMIT: Duration = Duration::from_secs(20);

fn drain(args: &[&str]) -> Finished {
    run(command(&[&["drain"], args].concat()), LIMIT)
}

#[test]
fn the_server_stays_until_it_is_stopped() {
    let mut server = Administrated::start(&[]);
    let mut client = Client::open(server.addr());
    let place = server.admin.to_string();
    // Once more makes no difference.
    for _ in 0..2 {
        let done = drain(&[&place]);
        assert!(done.status.success() && done.stderr.is_empty(), "{done:?}");
        assert_eq!(done.stdout, format!("{place} drains, and stays until it is stopped\n"));
        assert_eq!(server.get("/readyz").0, "503");
    }
    client.expect(&server_close(1001, "server is stopping"));
    drop(client);
    assert!(wait_until(LIMIT, || server.connections().is_empty()));
    assert!(server.server.is_running());
    server.server.signal(Signal::TERM);
    assert!(server.server.wait(LIMIT).is_some_and(|status| status.success()));
}

#[test]
fn the_server_ends_if_it_is_told_to() {
    let mut server = Administrated::start(&[]);
    let done = drain(&[&server.admin.to_string(), "--exit"]);
    assert!(done.status.success() && done.stdout.ends_with(" drains, and ends then\n"), "{done:?}");
    assert!(server.server.wait(LIMIT).is_some_and(|status| status.success()));
}

#[test]
fn the_token_is_that_of_the_file() {
    let folder = std::env::temp_dir();
    let file = |name: &str, text: &str| {
        let path = folder.join(format!("corecast-{name}-{}", std::process::id()));
        std::fs::write(&path, text).unwrap();
        path
    };
    let (right, wrong) = (file("drain", "s3cret0123456789\n"), file("other", "s3cret01234567890"));
    let (right, wrong) = (right.to_str().unwrap(), wrong.to_str().unwrap());
    let server = Server::start(&["--admin", "127.0.0.1:0", "--admin-token-file", right]);
    let place = server.admin().to_string();
    let is_not_that = format!("the token in {wrong} is not that of {place}");
    for (args, says) in [
        (&[place.as_str()][..], "asks for a token; give --admin-token-file"),
        (&[&place, "--admin-token-file", wrong], &is_not_that),
    ] {
        let done = drain(args);
        assert!(done.error_line(1).contains(says), "{done:?}");
    }
    Client::open(server.addr()).expect_alive();
    let done = drain(&[&place, "--admin-token-file", right]);
    assert!(done.status.success(), "{done:?}");
    let done = drain(&[&place, "--admin-token-file", "/nonexistent"]);
    assert!(done.error_line(1).contains("cannot be read from /nonexistent"), "{done:?}");
    [right, wrong].iter().for_each(|path| std::fs::remove_file(path).unwrap());
}

#[test]
fn faults_are_told_in_one_line() {
    let mut server = Administrated::start(&[]);
    for (place, part) in [
        (server.addr().to_string(), "is no admin listener"),
        ("nonsense".to_owned(), "is no address"),
        (format!("https://{}", server.admin), "is no address"),
        ("127.0.0.1:1".to_owned(), "does not answer"),
        ("unix:/nonexistent".to_owned(), "does not answer"),
    ] {
        let done = drain(&[&place]);
        assert!(done.error_line(1).contains(part) && done.stdout.is_empty(), "{done:?}");
    }
    assert!(drain(&[]).error_line(2).contains("no address is given"));
    assert!(server.server.is_running() && server.get("/readyz").0 == "200");
}

/// The place is taken in each form that another command shows.
#[test]
fn the_address_may_be_a_flag_or_a_url() {
    let server = Administrated::start(&[]);
    let place = server.admin.to_string();
    let url = format!("http://{place}/");
    for args in [
        &["drain", "--admin", &place][..],
        &["drain", &url],
        &["ping", "--admin", &url],
        &["top", "--once", &place],
        &["top", "--once", "--admin", &url],
    ] {
        let done = run(command(args), LIMIT);
        assert!(done.status.success() && done.stdout.contains(&place), "{args:?}: {done:?}");
    }
    let both = run(command(&["drain", &place, "--admin", &place]), LIMIT);
    assert!(both.error_line(2).contains("cannot be used with"), "{both:?}");
}

/// Somebody else may listen there.
#[test]
fn a_page_for_browsers_is_told_in_one_line() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let place = listener.local_addr().unwrap().to_string();
    let answers = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut head = [0; 4096];
        let _ = stream.read(&mut head).unwrap();
        let page = format!("<html>\n<body>\n{}\n</body>\n", "x".repeat(500));
        write!(stream, "HTTP/1.0 501 No\r\n\r\n{page}").unwrap();
    });
    let done = drain(&[&place]);
    answers.join().unwrap();
    let line = done.error_line(1);
    assert!(line.contains("answered with 501") && line.len() < 300, "{line}");
}

#[test]
fn a_socket_file_is_an_address() {
    let path = std::env::temp_dir().join(format!("corecast-drain-{}", std::process::id()));
    let place = format!("unix:{}", path.display());
    let mut server = Server::start(&["--admin", &place]);
    let done = drain(&[&place, "--exit"]);
    assert!(done.status.success(), "{done:?}");
    assert!(server.wait(LIMIT).is_some_and(|status| status.success()));
    let _ = std::fs::remove_file(&path);
}
