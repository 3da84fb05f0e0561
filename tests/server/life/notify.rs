//! What the service manager is told.

use std::io::{Read, Write};
use std::os::unix::net::{UnixDatagram, UnixListener};
use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use rustix::process::Signal;

use crate::life::LIMIT;
use crate::support::server::{Server, command};

/// A service manager.
struct Manager {
    socket: UnixDatagram,
    path: PathBuf,
}

impl Manager {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("corecast-{name}-{}", std::process::id()));
        let _ = std::fs::remove_file(&path);
        let socket = UnixDatagram::bind(&path).unwrap();
        socket.set_read_timeout(Some(LIMIT)).unwrap();
        Self { socket, path }
    }

    fn start(&self, args: &[&str], watchdog: Option<Duration>) -> Server {
        let mut command = command(&[&["serve", "--listen", "127.0.0.1:0"], args].concat());
        command.env("NOTIFY_SOCKET", &self.path);
        if let Some(time) = watchdog {
            command.env("WATCHDOG_USEC", time.as_micros().to_string());
        }
        Server::spawn(command)
    }

    fn next(&self) -> String {
        let mut bytes = [0; 4096];
        let len = self.socket.recv(&mut bytes).expect("a notification");
        String::from_utf8(bytes[..len].to_vec()).unwrap()
    }
}

impl Drop for Manager {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

fn monotonic() -> u128 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    Duration::try_from(now).unwrap().as_micros()
}

#[test]
fn it_is_told_of_the_start_a_reload_and_the_end() {
    let manager = Manager::new("notify");
    let file = std::env::temp_dir().join(format!("corecast-notify-{}.toml", std::process::id()));
    std::fs::write(&file, "").unwrap();
    let mut server = manager.start(&["--config", file.to_str().unwrap()], None);
    assert_eq!(manager.next(), "READY=1");
    let failed = format!("failed and changed nothing: {}:1:1: unknown key", file.display());
    for (text, status) in [("max-message = 1000", "was good"), ("no-such-key = 1", &failed)] {
        std::fs::write(&file, text).unwrap();
        let before = monotonic();
        server.signal(Signal::HUP);
        let said = manager.next();
        let time = said.strip_prefix("RELOADING=1\nMONOTONIC_USEC=").expect("a reload");
        assert!((before..=monotonic()).contains(&time.parse().unwrap()), "{said}");
        let said = manager.next();
        let said = said.strip_prefix("READY=1\nSTATUS=the last reload ").expect("a status");
        assert!(said.starts_with(status) && said.lines().count() == 1, "{said}");
    }
    server.signal(Signal::TERM);
    assert_eq!(manager.next(), "STOPPING=1");
    assert!(server.wait(LIMIT).is_some_and(|status| status.success()));
    std::fs::remove_file(&file).unwrap();
}

#[test]
fn the_watchdog_is_fed_while_loops_work() {
    let manager = Manager::new("notify-watchdog");
    let server = manager.start(&[], Some(Duration::from_millis(400)));
    assert_eq!(manager.next(), "READY=1");
    for _ in 0..4 {
        assert_eq!(manager.next(), "WATCHDOG=1");
    }
    drop(server);
}

/// The successor becomes the main process of the service, which does not stop.
#[test]
fn a_successor_names_itself() {
    let manager = Manager::new("notify-successor");
    let path = std::env::temp_dir().join(format!("corecast-successor-{}", std::process::id()));
    let args = ["--handover", path.to_str().unwrap()];
    let mut server = manager.start(&args, None);
    assert_eq!(manager.next(), "READY=1");
    let mut successor = manager.start(&args, None);
    assert_eq!(manager.next(), format!("READY=1\nMAINPID={}", successor.pid()));
    assert!(server.wait(LIMIT).is_some_and(|status| status.success()));
    successor.signal(Signal::TERM);
    assert_eq!(manager.next(), "STOPPING=1");
    assert!(successor.wait(LIMIT).is_some_and(|status| status.success()));
}

/// If the old main process ended first, the service manager would take the service to have ended.
#[test]
fn a_successor_names_itself_before_its_predecessor_can_end() {
    let manager = Manager::new("notify-before");
    let path = std::env::temp_dir().join(format!("corecast-before-{}", std::process::id()));
    let _ = std::fs::remove_file(&path);
    let predecessor = UnixListener::bind(&path).unwrap();
    thread::scope(|scope| {
        let start = || {
            let path = path.to_str().unwrap();
            let mut command = command(&["serve", "--listen", "127.0.0.1:0", "--handover", path]);
            command.env("NOTIFY_SOCKET", &manager.path);
            // That of the old main process.
            command.env("WATCHDOG_USEC", "400000").env("WATCHDOG_PID", "1");
            Server::spawn(command)
        };
        let successor = scope.spawn(start);
        let (mut stream, _) = predecessor.accept().unwrap();
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        stream.read_exact(&mut [0; 4]).unwrap();
        let mut end = [0; 512];
        end[..3].copy_from_slice(b"end");
        stream.write_all(&end).unwrap();
        let mut word = *b".";
        while word == *b"." {
            stream.read_exact(&mut word).unwrap();
        }
        manager.socket.set_nonblocking(true).unwrap();
        let said = manager.next();
        manager.socket.set_nonblocking(false).unwrap();
        std::fs::remove_file(&path).unwrap();
        stream.write_all(&word).unwrap();
        let successor = successor.join().unwrap();
        assert_eq!(said, format!("READY=1\nMAINPID={}", successor.pid()));
        assert_eq!(manager.next(), "WATCHDOG=1");
    });
    let _ = std::fs::remove_file(&path);
}
