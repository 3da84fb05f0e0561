use std::io::Write;
use std::net::{Shutdown, TcpListener};
use std::thread;

use super::*;
use crate::load::Work;
use crate::load::fake::{Client, listen};

/// Serves a number of connections one by one: `handle` gets each after its upgrade.
fn serve(listener: TcpListener, count: usize, handle: fn(usize, Client)) -> thread::JoinHandle<()> {
    thread::spawn(move || {
        for n in 0..count {
            handle(n, Client::accept(&listener, ""));
        }
    })
}

/// Eight counted connections, one at the start and one that begins when the eighth has ended; and
/// the number of failures.
fn load(
    handle: fn(usize, Client),
    busy: bool,
    failing: usize,
) -> io::Result<(Outcome, Vec<Moment>)> {
    let listener = listen();
    let work = Handshakes { path: "/".into(), concurrent: 1 };
    let plan = Plan {
        address: listener.local_addr()?,
        work: Work::Handshakes(work.clone()),
        warm_up: Duration::ZERO,
        length: Length::Count(8),
        busy,
        verify: true,
        deflate: false,
        tls: None,
    };
    let server = serve(listener, 10 + failing, handle);
    let mut moments = Vec::new();
    let outcome = Load::open(&plan, &work, Duration::from_millis(600)).and_then(|load| {
        load.run(&plan, &mut |moment| {
            moments.push(moment);
            Ok(())
        })
    });
    if outcome.is_ok() {
        server.join().unwrap();
    }
    Ok((outcome?, moments))
}

/// Reads the client's close frame, answers it, and ends the stream.
fn close(_: usize, mut client: Client) {
    let frame = client.frame().unwrap();
    assert_eq!(frame, [0x88, 2, 0x03, 0xe8]);
    // A message in flight comes before it.
    client.stream.write_all(&[0x81, 1, b'x']).unwrap();
    client.stream.write_all(&frame).unwrap();
    client.stream.shutdown(Shutdown::Write).unwrap();
    assert!(client.frame().is_none(), "the client ends the stream too");
}

fn fails(handle: fn(usize, Client), want: &str) {
    let text = load(handle, true, 1).unwrap_err().to_string();
    assert!(text.contains(want), "{text}");
}

#[test]
fn whole_cycles_are_counted() {
    for busy in [true, false] {
        let (outcome, moments) = load(close, busy, 0).unwrap();
        assert_eq!(outcome.messages, 8);
        assert!(outcome.latency.len() >= 8 && outcome.latency.max() > 0);
        assert!(outcome.bytes > 8 * 100, "{}", outcome.bytes);
        assert_eq!(moments, [Moment::Begin, Moment::End]);
    }
}

#[test]
fn a_server_that_waits_for_us_gets_the_end_of_the_stream() {
    let wait = |_, mut client: Client| {
        let frame = client.frame().unwrap();
        client.stream.write_all(&frame).unwrap();
        assert!(client.frame().is_none());
    };
    assert_eq!(load(wait, true, 0).unwrap().0.messages, 8);
}

#[test]
fn errors_are_named() {
    fails(|_, client| drop(client), "a connection failed, waiting for the close frame");
    let early: fn(usize, Client) = |n, mut client| {
        if n == 4 {
            client.frame().unwrap();
        } else {
            close(n, client);
        }
    };
    fails(early, "1 connections failed; the first: a connection failed, waiting for the close");
    let code: fn(usize, Client) = |_, mut client| {
        client.frame().unwrap();
        client.stream.write_all(&[0x88, 2, 0x03, 0xea]).unwrap();
    };
    fails(code, "its close frame is [03, ea]");
    let late: fn(usize, Client) = |_, mut client| {
        client.frame().unwrap();
        assert!(client.frame().is_none());
    };
    fails(late, "nothing came for 0.6 s");
}

#[test]
fn nobody_there_ends_the_run() {
    let gone = listen().local_addr().unwrap();
    let work = Handshakes { path: "/".into(), concurrent: 4 };
    let plan = Plan {
        address: gone,
        work: Work::Handshakes(work.clone()),
        warm_up: Duration::ZERO,
        length: Length::Count(1),
        busy: false,
        verify: false,
        deflate: false,
        tls: None,
    };
    let text = run(&plan, &work, &mut |_| Ok(())).unwrap_err().to_string();
    assert!(text.contains("refused"), "{text}");
}
