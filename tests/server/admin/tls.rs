//! Handshakes of TLS are counted: full ones, resumed ones, and those that fail. The admin listener
//! can have TLS as well.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use corecast::app::echo::Echo;
use corecast::config::Config;
use corecast::server::{Listen, Listening, allowed_cores};
use rustls::{ClientConfig, ClientConnection, StreamOwned};

use crate::admin::page::Metrics;
use crate::certificates::Pair;
use crate::support::backend;
use crate::support::host::wait_until;

const LIMIT: Duration = Duration::from_secs(20);

/// Asks for a page over TLS; returns all that came.
fn ask(to: SocketAddr, config: &Arc<ClientConfig>, target: &str, headers: &str) -> String {
    let name = "localhost".try_into().unwrap();
    let tls = ClientConnection::new(Arc::clone(config), name).unwrap();
    let mut stream = StreamOwned::new(tls, TcpStream::connect(to).unwrap());
    let head =
        format!("GET {target} HTTP/1.1\r\nHost: localhost\r\n{headers}Connection: close\r\n\r\n");
    stream.write_all(head.as_bytes()).unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    text
}

#[test]
fn handshakes_are_counted_by_their_result() {
    let pair = Pair::p256(&["localhost"]);
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    let everywhere = SocketAddr::from(([0, 0, 0, 0], 0));
    let server = backend::server(Config::default())
        .listen_tls(any)
        .listen_on(Listen::tcp(everywhere).tls().admin())
        .admin_token("s3cret0123456789")
        .tls(pair.tls())
        .cores(vec![allowed_cores()[0]]);
    let running = server.start(|_, _| Echo).unwrap();
    let addr = running.addresses()[0];
    let Listening::Tcp(admin) = running.listening()[1] else { panic!() };
    let admin = SocketAddr::from(([127, 0, 0, 1], admin.port()));
    // Of one configuration for each request, which so is a full handshake.
    let metrics = || {
        let authorised = "Authorization: Bearer s3cret0123456789\r\n";
        let text = ask(admin, &Arc::new(pair.client()), "/metrics", authorised);
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 200 "), "{text}");
        Metrics::parse(body)
    };
    let count = |metrics: &Metrics, result: &str| {
        metrics.get(&format!("corecast_tls_handshakes_total{{result=\"{result}\"}}"))
    };
    let before = metrics();
    let config = Arc::new(pair.client());
    for _ in 0..3 {
        assert!(ask(addr, &config, "/healthz", "").ends_with("ok\n"));
    }
    let mut plain = TcpStream::connect(addr).unwrap();
    plain.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
    plain.read_to_end(&mut Vec::new()).unwrap();
    let mut after = metrics();
    assert!(wait_until(LIMIT, || {
        after = metrics();
        count(&after, "failed") - count(&before, "failed") == 1.0
    }));
    assert_eq!(count(&after, "resumed") - count(&before, "resumed"), 2.0);
    assert!(count(&after, "full") - count(&before, "full") >= 2.0);
    let refused = ask(admin, &config, "/metrics", "");
    assert!(
        refused.starts_with("HTTP/1.1 401 ") && !refused.contains("s3cret0123456789"),
        "{refused}"
    );
    running.drain();
    running.join().unwrap();
}
