//! Files that would block, or take long: they make the server deaf to no signal.

use std::path::{Path, PathBuf};

use rustix::fs::{CWD, Mode, mkfifoat};
use rustix::process::Signal;

use crate::life::LIMIT;
use crate::support::host::wait_until;
use crate::support::server::{Server, command, run};

/// A path of this test, removed at its end.
struct Temporary(PathBuf);

impl Temporary {
    fn new(name: &str) -> Self {
        let name = format!("corecast-blocked-{name}-{}", std::process::id());
        Self(std::env::temp_dir().join(name))
    }

    fn file(name: &str, text: impl AsRef<[u8]>) -> Self {
        let file = Self::new(name);
        std::fs::write(&file.0, text).unwrap();
        file
    }

    fn path(&self) -> &str {
        self.0.to_str().unwrap()
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

fn make_fifo(path: &Path) {
    mkfifoat(CWD, path, Mode::RUSR | Mode::WUSR).unwrap();
}

fn await_line(server: &Server, part: &str) {
    let is_told = || server.log().iter().any(|line| line.contains(part));
    assert!(wait_until(LIMIT, is_told), "{part} is not in {:?}", server.log());
}

/// Nobody writes to it, so whoever opened it would wait.
#[test]
fn a_fifo_is_refused_at_the_start() {
    let fifo = Temporary::new("fifo");
    make_fifo(&fifo.0);
    let path = fifo.path();
    let cases: &[&[&str]] = &[
        &["--config", path],
        &["--admin", "127.0.0.1:0", "--admin-token-file", path],
        #[cfg(feature = "tokens")]
        &["--token-secret", path],
        #[cfg(feature = "tokens")]
        &["--api-keys", path],
        #[cfg(feature = "tls")]
        &["--listen-tls", "127.0.0.1:0", "--tls-cert", path, "--tls-key", path],
    ];
    for flags in cases {
        let done = run(command(&[&["serve", "--listen", "127.0.0.1:0"], *flags].concat()), LIMIT);
        let says = |part: &str| done.stderr.contains(part);
        assert!(!done.status.success(), "{flags:?}");
        assert!(says(path) && says("it is a FIFO, not a regular file"), "{flags:?}: {done:?}");
    }
}

#[cfg(feature = "tokens")]
#[test]
fn a_fifo_is_refused_at_a_reload() {
    let secret = Temporary::file("later", [7; 32]);
    let mut server = Server::start(&["--token-secret", secret.path()]);
    std::fs::remove_file(&secret.0).unwrap();
    make_fifo(&secret.0);
    server.signal(Signal::HUP);
    await_line(&server, "it is a FIFO, not a regular file");
    server.signal(Signal::TERM);
    assert!(server.wait(LIMIT).is_some_and(|status| status.success()), "{:?}", server.log());
}

/// The file takes long to be read, since it has a fault in each of very many lines.
#[test]
fn a_server_that_reads_for_long_stops_at_once() {
    let file = Temporary::file("long", "max-head = \"8KiB\"\n");
    let mut server = Server::start(&["--config", file.path()]);
    std::fs::write(&file.0, "max-head = \"8KiB\"\n".repeat(300_000)).unwrap();
    server.signal(Signal::HUP);
    server.signal(Signal::TERM);
    assert!(server.wait(LIMIT).is_some_and(|status| status.success()), "{:?}", server.log());
    await_line(&server, "stopped");
    let is_read = |line: &String| line.contains("stay as they were");
    assert!(!server.log().iter().any(is_read), "{:?}", server.log());
}
