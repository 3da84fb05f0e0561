//! `corecast ping` comes to an end whatever is at the address, and takes only what speaks HTTP for
//! a server.

mod support;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use support::server::{Finished, command, run};

/// It may take twice the five seconds that it has for an answer, on a machine with much else to do.
const LIMIT: Duration = Duration::from_secs(60);
/// More than it takes, and than sockets hold.
const MUCH: usize = 128 << 20;

/// A listener that does this with each connection, whose request was read.
fn listener(answer: impl Fn(TcpStream) + Send + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\n") {
                let mut piece = [0; 1024];
                match stream.read(&mut piece) {
                    Ok(len @ 1..) => request.extend_from_slice(&piece[..len]),
                    _ => break,
                }
            }
            answer(stream);
        }
    });
    addr
}

fn ping(addr: SocketAddr) -> Finished {
    run(command(&["ping", &addr.to_string()]), LIMIT)
}

#[test]
fn every_status_is_an_answer() {
    for (answer, told) in [
        ("HTTP/1.1 200 OK\r\n\r\nok\n", "200"),
        ("HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n", "503"),
        ("HTTP/1.0 404 Not Found\r\n\r\n", "404"),
    ] {
        let addr = listener(|mut stream| drop(stream.write_all(answer.as_bytes())));
        let done = ping(addr);
        assert!(done.status.success() && done.stderr.is_empty(), "{done:?}");
        assert_eq!(done.stdout, format!("{addr} answers with {told}\n"));
    }
}

#[test]
fn what_is_no_http_is_no_answer() {
    for answer in [
        &b""[..],
        b"SSH-2.0-OpenSSH_9.9\r\n",
        b"HTTP/1.1",
        b"HTTP/2.0 200 OK\r\n\r\n",
        b" 200 HTTP/1.1 ",
        // An alert of TLS, and what is no text.
        b"\x15\x03\x01\x00\x02\x02\x46",
        b"\xff\xfe 200 \x80",
    ] {
        let done = ping(listener(move |mut stream| drop(stream.write_all(answer))));
        assert!(done.error_line(1).ends_with("does not speak HTTP"), "{done:?}");
    }
}

#[test]
fn silence_is_not_waited_for_long() {
    // The connection stays open.
    let done = ping(listener(std::mem::forget));
    assert!(done.error_line(1).ends_with("does not answer within 5 s"), "{done:?}");
}

#[test]
fn an_answer_that_comes_byte_by_byte_is_not_waited_for_long() {
    let done = ping(listener(|mut stream| {
        while stream.write_all(b"H").is_ok() {
            thread::sleep(Duration::from_millis(100));
        }
    }));
    assert!(done.error_line(1).ends_with("the answer does not end"), "{done:?}");
}

#[test]
fn an_answer_without_end_is_not_read_to_the_end() {
    let sent = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&sent);
    let done = ping(listener(move |mut stream| {
        let piece = vec![b'x'; 1 << 20];
        while count.load(Ordering::Relaxed) < MUCH && stream.write_all(&piece).is_ok() {
            count.fetch_add(piece.len(), Ordering::Relaxed);
        }
    }));
    // If all was read, it is no HTTP.
    assert!(done.error_line(1).ends_with("the answer does not end"), "{done:?}");
    assert!(sent.load(Ordering::Relaxed) < MUCH);
}
