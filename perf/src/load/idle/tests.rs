use std::io::Read;
use std::net::{SocketAddr, TcpListener};
use std::thread;

use super::*;
use crate::load::Work;
use crate::load::fake::{Client, listen};
use crate::wire::reply;

fn plan(address: SocketAddr, connections: usize, broadcast: bool) -> (Plan, Idle) {
    let broadcast = broadcast.then(|| "/pub".to_owned());
    let work = Idle { path: "/sub".into(), connections, broadcast };
    let plan = Plan {
        address,
        work: Work::Idle(work.clone()),
        warm_up: Duration::ZERO,
        length: Length::Time(Duration::from_millis(50)),
        busy: false,
        verify: false,
        deflate: false,
        tls: None,
    };
    (plan, work)
}

/// Holds `count` connections, sends each a message and a ping, then relays one message of a
/// publisher, changed by `change`; returns the input from the first connection.
fn serve(
    listener: TcpListener,
    count: usize,
    change: fn(usize, &mut Vec<u8>),
) -> thread::JoinHandle<Option<Vec<u8>>> {
    thread::spawn(move || {
        let mut clients: Vec<_> = (0..count).map(|_| Client::accept(&listener, "")).collect();
        for client in &mut clients {
            client.stream.write_all(&[0x81, 4, b'k', b'e', b'p', b't', 0x89, 1, b'!']).unwrap();
        }
        let mut publisher = Client::accept(&listener, "");
        let message = publisher.frame().unwrap();
        for (index, client) in clients.iter_mut().enumerate() {
            let mut message = message.clone();
            change(index, &mut message);
            client.stream.write_all(&message).unwrap();
        }
        let first = clients[0].frame();
        // They stay open until the load ends them.
        for client in &mut clients {
            while client.frame().is_some() {}
        }
        first
    })
}

#[test]
fn connections_are_held_and_get_the_broadcast() {
    // More than are opened at a time.
    let listener = listen();
    let (plan, work) = plan(listener.local_addr().unwrap(), 150, true);
    let server = serve(listener, 150, |_, message| assert_eq!(*message, reply(64)));
    let mut moments = Vec::new();
    let outcome = run(&plan, &work, &mut |moment| {
        moments.push(moment);
        Ok(())
    })
    .unwrap();
    assert_eq!(server.join().unwrap().unwrap(), [0x8a, 1, b'!'], "the ping is answered");
    assert_eq!(outcome.messages, 150);
    assert!(outcome.elapsed >= Duration::from_millis(50));
    assert!(outcome.broadcast.unwrap() > Duration::ZERO);
    assert_eq!(moments, [Moment::Begin, Moment::End]);
}

#[test]
fn a_broadcast_with_a_wrong_byte_is_an_error() {
    let listener = listen();
    let (plan, work) = plan(listener.local_addr().unwrap(), 3, true);
    serve(listener, 3, |index, message| message[40] ^= u8::from(index == 2));
    let text = run(&plan, &work, &mut |_| Ok(())).unwrap_err().to_string();
    assert!(text.contains("wrong bytes"), "{text}");
}

#[test]
fn a_connection_without_the_broadcast_is_an_error() {
    let listener = listen();
    let address = listener.local_addr().unwrap();
    let server = serve(listener, 3, |index, message| {
        if index == 1 {
            message.clear();
        }
    });
    let mut hold = Hold::open(address, None, "/", 3, 0).unwrap();
    hold.keep(Duration::from_millis(20)).unwrap();
    let mut publisher = connect::open(address, "/", false, None).unwrap().connection();
    let watch = hold.watch().unwrap();
    publish(&mut publisher).unwrap();
    let text = watch.wait(true, Duration::from_millis(100)).unwrap_err().to_string();
    assert!(text.contains("1 of 3 connections did not get"), "{text}");
    drop(hold);
    server.join().unwrap();
}

#[test]
fn connections_that_cannot_be_opened_are_counted() {
    let listener = listen();
    let address = listener.local_addr().unwrap();
    let server = thread::spawn(move || {
        let kept = [Client::accept(&listener, ""), Client::accept(&listener, "")];
        let (mut third, _) = listener.accept().unwrap();
        third.read_exact(&mut [0; 16]).unwrap();
        third.write_all(b"HTTP/1.1 503 Full\r\n\r\n").unwrap();
        kept
    });
    let text = Hold::open(address, None, "/", 3, 0).err().unwrap().to_string();
    assert!(text.contains("only 2 of 3 connections are open: "), "{text}");
    assert!(text.contains("503 Full"), "{text}");
    server.join().unwrap();
}

#[test]
fn a_holder_takes_orders_by_lines() {
    let listener = listen();
    let address = listener.local_addr().unwrap();
    let server = serve(listener, 2, |_, _| {});
    let (orders, mut to) = io::pipe().unwrap();
    let (from, mut answers) = io::pipe().unwrap();
    let holder = thread::spawn(move || {
        let arguments = [address.to_string(), "/sub".into(), "2".into(), "0".into()];
        serve_holder(&arguments, &mut Input(BufReader::new(orders)), &mut answers)
    });
    let mut lines = BufReader::new(from).lines().map(Result::unwrap);
    assert_eq!(lines.next().unwrap(), "open");
    let mut publisher = connect::open(address, "/pub", false, None).unwrap().connection();
    writeln!(to, "watch").unwrap();
    assert_eq!(lines.next().unwrap(), "ready");
    let at = publish(&mut publisher).unwrap();
    let got = lines.next().unwrap();
    let got: u64 = got.strip_prefix("got ").unwrap().parse().unwrap();
    assert!(got > at);
    drop(to);
    holder.join().unwrap().unwrap();
    server.join().unwrap();
}

#[test]
fn a_holder_reports_its_error() {
    let gone = listen().local_addr().unwrap().to_string();
    let (orders, _to) = io::pipe().unwrap();
    let mut answers = Vec::new();
    let arguments = [gone, "/".into(), "5".into(), "0".into()];
    assert!(serve_holder(&arguments, &mut Input(BufReader::new(orders)), &mut answers).is_err());
    let text = String::from_utf8(answers).unwrap();
    assert!(text.starts_with("failed only 0 of 5 connections are open: "), "{text}");
}

#[test]
fn a_missing_program_for_the_shares_is_named() {
    let gone = listen().local_addr().unwrap();
    let (plan, work) = plan(gone, 3, false);
    let program = Path::new("/nowhere/hold");
    let text = Crowd::open(&plan, &work, 2, program).err().unwrap().to_string();
    assert!(text.starts_with("starting /nowhere/hold: "), "{text}");
    assert!(text.contains("build all programs first"), "{text}");
}

#[test]
fn a_failed_share_reports_the_output_of_its_process() {
    // A substitute for `hold`: it only prints its first argument, and ends.
    let gone = listen().local_addr().unwrap();
    let (plan, work) = plan(gone, 3, false);
    let text = Crowd::open(&plan, &work, 2, Path::new("/bin/echo")).err().unwrap().to_string();
    assert!(text.contains(&format!("it printed `{gone} /sub 1 0` instead of `open`")), "{text}");
    let text = Crowd::open(&plan, &work, 2, Path::new("/bin/true")).err().unwrap().to_string();
    assert!(text.contains("it ended"), "{text}");
}

/// Buffered and with a descriptor, as standard input is.
struct Input(BufReader<io::PipeReader>);

impl Read for Input {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        self.0.read(to)
    }
}

impl BufRead for Input {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.0.fill_buf()
    }

    fn consume(&mut self, n: usize) {
        self.0.consume(n);
    }
}

impl std::os::fd::AsFd for Input {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.0.get_ref().as_fd()
    }
}
