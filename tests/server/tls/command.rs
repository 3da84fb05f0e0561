//! The flags and the signal of the command.

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rustix::process::Signal;

use super::client::TlsClient;
use crate::certificates::Pair;
use crate::support::client::Client;
use crate::support::host::wait_until;
use crate::support::server::{Server, command, run};

const LIMIT: Duration = Duration::from_secs(20);

/// Files of a test, removed with it.
struct Files(PathBuf);

impl Files {
    fn new(name: &str) -> Self {
        let folder =
            std::env::temp_dir().join(format!("corecast-tls-{name}-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        Self(folder)
    }

    fn path(&self, name: &str) -> String {
        self.0.join(name).display().to_string()
    }

    fn write(&self, pair: &Pair) {
        fs::write(self.path("cert.pem"), &pair.cert).unwrap();
        fs::write(self.path("key.pem"), &pair.key).unwrap();
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// The address with TLS in the start line.
fn secure(server: &Server) -> SocketAddr {
    let log = server.log();
    let line = log.iter().find(|line| line.contains("listening on")).unwrap();
    let before = line.split(" (TLS)").next().unwrap();
    before.rsplit(' ').next().unwrap().parse().unwrap()
}

#[test]
fn sighup_has_the_certificates_read_again() {
    let files = Files::new("reload");
    let (old, new) = (Pair::new(&["localhost"]), Pair::new(&["localhost"]));
    files.write(&old);
    let (cert, key) = (files.path("cert.pem"), files.path("key.pem"));
    let flags = ["--listen-tls", "127.0.0.1:0", "--tls-cert", &cert, "--tls-key", &key];
    let mut server = Server::start(&flags);
    let addr = secure(&server);
    let mut before = TlsClient::open(addr, old.client(), "/");
    let said = |text: &str| {
        let has = || server.log().iter().any(|line| line.contains(text));
        assert!(wait_until(LIMIT, has), "{text} is not in {:?}", server.log());
    };
    // The key of another certificate: nothing changes.
    fs::write(&key, &new.key).unwrap();
    server.signal(Signal::HUP);
    said("the certificates stay as they were: TLS: the key in");
    TlsClient::open(addr, old.client(), "/").close();
    files.write(&new);
    server.signal(Signal::HUP);
    said("the certificates were read again");
    TlsClient::open(addr, new.client(), "/").close();
    let config = Arc::new(old.client());
    assert!(TlsClient::try_connect(addr, &config, "localhost").is_err());
    before.echo(b"still open");
    before.close();
    Client::open(server.addr()).close();
    server.signal(Signal::TERM);
    assert!(server.wait(LIMIT).is_some_and(|status| status.success()));
}

#[test]
fn pairs_that_cannot_be_used_are_refused_at_the_start() {
    let files = Files::new("pairs");
    let (one, other) = (Pair::new(&["localhost"]), Pair::new(&["localhost"]));
    let write = |name: &str, text: &str| {
        fs::write(files.path(name), text).unwrap();
        files.path(name)
    };
    let cert = write("cert.pem", &one.cert);
    let key = write("key.pem", &one.key);
    let foreign = write("other.pem", &other.key);
    let empty = write("empty.pem", "");
    let bad = write("bad.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
    let missing = files.path("missing.pem");
    let start = |more: &[&str]| {
        let flags = ["serve", "--listen-tls", "127.0.0.1:0"];
        run(command(&[&flags, more].concat()), LIMIT)
    };
    for (cert, key, says) in [
        (&cert, &foreign, format!("the key in {foreign} is not the key of the certificate")),
        (&empty, &key, format!("{empty} holds no certificate")),
        (&cert, &empty, format!("{empty} holds no private key")),
        (&cert, &cert, format!("{cert} holds no private key")),
        (&bad, &key, format!("the certificate in {bad}")),
        (
            &missing,
            &key,
            format!("{missing}: No such file or directory (os error 2) (a file of `tls-cert`)"),
        ),
    ] {
        let ended = start(&["--tls-cert", cert, "--tls-key", key]);
        let line = ended.error_line(1);
        assert!(line.contains(&says), "{says} is not in {line}");
    }
    let ended = start(&["--tls-cert", &cert, "--tls-cert", &cert, "--tls-key", &key]);
    assert!(ended.error_line(2).contains("2 of `--tls-cert` and 1 of `--tls-key`"), "{ended:?}");
    assert!(start(&[]).error_line(2).contains("--tls-cert"), "a listener without certificate");
    let ended = run(command(&["serve", "--tls-cert", &cert, "--tls-key", &key]), LIMIT);
    assert!(ended.error_line(2).contains("--listen-tls"), "{ended:?}");
}

/// Clients would refuse it, so who runs the server is told.
#[test]
fn certificates_of_another_time_are_warned_of() {
    for (name, from, until, says) in [
        ("expired", 1999, 2001, Some("has expired")),
        ("early", 4000, 4001, Some("is not valid yet")),
        ("good", 1999, 4000, None),
    ] {
        let files = Files::new(name);
        files.write(&Pair::valid(&["localhost"], from, until));
        let (cert, key) = (files.path("cert.pem"), files.path("key.pem"));
        let flags = ["--listen-tls", "127.0.0.1:0", "--tls-cert", &cert, "--tls-key", &key];
        let server = Server::start(&flags);
        let told =
            || server.log().iter().filter(|line| line.contains("the certificate in")).count();
        let text = format!("WARN the certificate in {cert} {}", says.unwrap_or_default());
        assert_eq!(told(), usize::from(says.is_some()), "{:?}", server.log());
        server.signal(Signal::HUP);
        let is_read = || server.log().iter().any(|line| line.contains("were read again"));
        assert!(wait_until(LIMIT, is_read));
        let lines = server.log().into_iter().filter(|line| line.contains(&text));
        assert_eq!(lines.count(), if says.is_some() { 2 } else { 0 }, "{:?}", server.log());
    }
}

/// With `--listen-tls` alone there is no listener without TLS.
#[test]
fn the_default_listener_gives_way() {
    let files = Files::new("alone");
    files.write(&Pair::new(&["localhost"]));
    let (cert, key) = (files.path("cert.pem"), files.path("key.pem"));
    let flags = ["serve", "--listen-tls", "127.0.0.1:0", "--tls-cert", &cert, "--tls-key", &key];
    let server = Server::spawn(command(&flags));
    let line = server.log().into_iter().find(|line| line.contains("listening on")).unwrap();
    assert_eq!(line.matches("127.0.0.1:").count(), 1, "{line}");
    assert_eq!(secure(&server), server.addr());
}
