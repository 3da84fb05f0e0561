//! The whole echo against small servers, with both engines.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::thread;

use corecast::protocol::websocket::handshake::accept_key;

use super::*;
use crate::frames::{self, Head};
use crate::load::{Content, Work};

/// The change that a server makes to the payload of the message with this number on the connection.
type Change = fn(u64, &mut Vec<u8>);

/// A server with a thread for each connection; it runs until the end of the process.
fn serve(connection: impl Fn(TcpStream) + Send + Sync + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let connection = std::sync::Arc::new(connection);
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let connection = connection.clone();
            thread::spawn(move || connection(stream));
        }
    });
    address
}

/// Sends the bytes back unchanged.
fn bounce(mut stream: TcpStream) {
    let mut buffer = vec![0; 100_000];
    while let Ok(n @ 1..) = stream.read(&mut buffer) {
        if stream.write_all(&buffer[..n]).is_err() {
            return;
        }
    }
}

/// A WebSocket echo.
fn echo(mut stream: TcpStream, change: Change) {
    let (mut buffer, mut carry, mut open, mut number) = (vec![0; 100_000], Vec::new(), false, 0);
    while let Ok(n @ 1..) = stream.read(&mut buffer) {
        carry.extend_from_slice(&buffer[..n]);
        let (mut done, mut out) = (0, Vec::new());
        if !open {
            let Some(end) = frames::head_end(&carry) else { continue };
            let head = String::from_utf8_lossy(&carry[..end]).into_owned();
            let key = accept_key(frames::field(&head, "Sec-WebSocket-Key").unwrap());
            let key = String::from_utf8_lossy(&key);
            out.extend(
                format!(
                    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\
                     Connection: Upgrade\r\nSec-WebSocket-Accept: {key}\r\n\r\n"
                )
                .into_bytes(),
            );
            // A ping follows it immediately.
            out.extend([0x89, 2, b'h', b'i']);
            (open, done) = (true, end);
        }
        while let Some(head) = Head::parse(&carry[done..]) {
            let frame = &carry[done..];
            if head.payload.end > frame.len() {
                break;
            }
            done += head.payload.end;
            if head.opcode() == 10 {
                let mut payload = Vec::new();
                head.unmask(frame, &mut payload);
                assert_eq!(payload, b"hi");
                continue;
            }
            let mut reply = Vec::new();
            head.relay(frame, &mut reply);
            change(number, &mut reply);
            number += 1;
            out.extend(reply);
        }
        carry.drain(..done);
        if stream.write_all(&out).is_err() {
            return;
        }
    }
}

fn plan(address: SocketAddr, echo: &Echo, length: Length) -> Plan {
    Plan {
        address,
        work: Work::Echo(echo.clone()),
        warm_up: Duration::ZERO,
        length,
        busy: true,
        verify: true,
        deflate: false,
        tls: None,
    }
}

fn work(path: Option<&str>, connections: usize, size: usize, pace: Pace) -> Echo {
    let path = path.map(String::from);
    Echo { path, connections, size, content: Content::Binary, pace }
}

const WAYS: [Way; 2] = [Way::Ring, Way::Epoll];

#[test]
fn all_sizes_come_back_by_both_ways() {
    for way in WAYS {
        for busy in [true, false] {
            for (size, depth, count) in
                [(0, 3, 500), (20, 16, 2000), (126, 1, 100), (3 << 20, 2, 9)]
            {
                for path in [None, Some("/")] {
                    let address = serve(move |stream| match path {
                        None => bounce(stream),
                        Some(_) => echo(stream, |_, _| ()),
                    });
                    let echo = work(path, 4, size, Pace::Depth(depth));
                    let plan = Plan { busy, ..plan(address, &echo, Length::Count(count)) };
                    let mut moments = Vec::new();
                    let outcome = run_on(way, &plan, &echo, &mut |moment| {
                        moments.push(moment);
                        Ok(())
                    })
                    .unwrap();
                    assert!(outcome.messages >= count, "{way:?}, {size}, {path:?}");
                    assert!(outcome.bytes + (size as u64) >= count * size as u64);
                    assert_eq!(outcome.latency.len(), outcome.messages);
                    assert_eq!(moments.first(), Some(&Moment::Begin));
                    assert_eq!(moments.last(), Some(&Moment::End));
                }
            }
        }
    }
}

#[test]
fn one_wrong_byte_is_found() {
    for way in WAYS {
        for size in [20, 100_000] {
            let address = serve(|stream| {
                echo(stream, |number, reply| {
                    if number == 1000 {
                        let last = reply.len() - 1;
                        reply[last] ^= 0x20;
                    }
                });
            });
            let echo = work(Some("/"), 1, size, Pace::Depth(4));
            let plan = plan(address, &echo, Length::Count(2000));
            let error = run_on(way, &plan, &echo, &mut |_| Ok(())).unwrap_err().to_string();
            let must = format!("after 1000 replies differs at byte {}:", size - 1);
            assert!(error.contains(&must), "{way:?}: {error}");
        }
    }
}

#[test]
fn the_end_of_a_stream_is_an_error_with_the_cause() {
    for way in WAYS {
        let address = serve(|stream| {
            echo(stream, |number, reply| {
                if number == 5 {
                    *reply = vec![0x88, 5, 3, 0xf1, b'b', b'y', b'e'];
                }
            });
        });
        let echo = work(Some("/"), 1, 20, Pace::Depth(2));
        let plan = plan(address, &echo, Length::Count(2000));
        let error = run_on(way, &plan, &echo, &mut |_| Ok(())).unwrap_err().to_string();
        assert!(error.contains("code 1009 and the reason \"bye\""), "{way:?}: {error}");

        let address = serve(|mut stream| drop(stream.read(&mut [0; 100])));
        let echo = work(None, 1, 20, Pace::Depth(1));
        let plan = self::plan(address, &echo, Length::Count(2000));
        let error = run_on(way, &plan, &echo, &mut |_| Ok(())).unwrap_err().to_string();
        assert!(error.contains("without a close frame"), "{way:?}: {error}");
    }
}

#[test]
fn an_open_loop_keeps_its_rate() {
    for way in WAYS {
        for busy in [true, false] {
            let address = serve(|stream| echo(stream, |_, _| ()));
            let echo = work(Some("/"), 3, 20, Pace::Rate(500.0));
            let plan = plan(address, &echo, Length::Count(100));
            let plan = Plan { busy, ..plan };
            let outcome = run_on(way, &plan, &echo, &mut |_| Ok(())).unwrap();
            // The hundredth message is not due before; a busy machine can only make it later.
            assert!(outcome.elapsed > Duration::from_millis(190), "{:?}", outcome.elapsed);
            // Messages that were due before the counting began have no latency.
            let latencies = outcome.latency.len();
            assert!((outcome.messages / 2..=outcome.messages).contains(&latencies), "{latencies}");
        }
    }
}

#[test]
fn a_probe_that_fails_ends_the_run() {
    let address = serve(bounce);
    let echo = work(None, 1, 20, Pace::Depth(1));
    let plan = plan(address, &echo, Length::Count(10));
    let error = run_on(Way::Ring, &plan, &echo, &mut |_| Err(io::Error::other("no meter")));
    assert_eq!(error.unwrap_err().to_string(), "no meter");
}

#[test]
fn invalid_plans_are_refused() {
    let address = "127.0.0.1:1".parse().unwrap();
    for echo in [
        work(None, 0, 20, Pace::Depth(1)),
        work(None, 1, 20, Pace::Depth(0)),
        work(None, 1, 20, Pace::Rate(0.0)),
        work(None, 1, 20, Pace::Rate(f64::NAN)),
    ] {
        let plan = plan(address, &echo, Length::Count(1));
        let error = run_on(Way::Ring, &plan, &echo, &mut |_| Ok(())).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput, "{echo:?}");
    }
}

#[test]
fn requests_stay_within_the_window_of_the_server() {
    for bits in 8..=15 {
        // Repetitions beyond the window must not be referred to.
        let payload = Content::Binary.payload(40_000, 1).repeat(2);
        let bytes = deflated(&payload, bits).unwrap();
        let bits = bits.max(9);
        let mut inflate = flate2::Decompress::new_with_window_bits(false, bits);
        let mut plain = Vec::with_capacity(payload.len() + 1);
        let whole = [&bytes[..], &[0, 0, 0xff, 0xff]].concat();
        inflate.decompress_vec(&whole, &mut plain, flate2::FlushDecompress::Sync).unwrap();
        assert!(plain == payload, "{bits} bits");
    }
    assert!(deflated(&[b'a'; 1000], 15).unwrap().len() < 30);
}
