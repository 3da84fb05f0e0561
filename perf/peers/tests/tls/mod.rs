//! The peers with TLS echo over it, fan out, and resume sessions.

use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, HandshakeKind, RootCertStore, StreamOwned};

use crate::client::{BINARY, Client, PING, PONG, TEXT, frame};
use crate::server::{Server, all, with_tls};

type Stream = StreamOwned<ClientConnection, TcpStream>;

/// A certificate and its key in a folder of their own, and clients that trust it.
struct Files {
    folder: PathBuf,
    settings: Arc<ClientConfig>,
}

impl Files {
    fn new(name: &str) -> Self {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        fs::create_dir_all(&folder).unwrap();
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let pem = made.cert.pem();
        fs::write(folder.join("certificate.pem"), &pem).unwrap();
        fs::write(folder.join("key.pem"), made.signing_key.serialize_pem()).unwrap();
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(pem.as_bytes()).unwrap()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let settings = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        Self { folder, settings: Arc::new(settings) }
    }

    fn file(&self, name: &str) -> String {
        self.folder.join(name).to_str().unwrap().to_owned()
    }

    /// Starts each peer with TLS in turn.
    fn each(&self, check: impl Fn(&str, SocketAddr)) {
        let (certificate, key) = (self.file("certificate.pem"), self.file("key.pem"));
        for peer in all().into_iter().filter(with_tls) {
            let arguments = ["--tls-cert", &certificate, "--tls-key", &key];
            let server = Server::start_with(&peer, &arguments);
            check(peer.name, server.address());
        }
    }

    fn open(&self, address: SocketAddr, target: &str) -> Client<Stream> {
        let name = ServerName::try_from("localhost").unwrap();
        let tls = ClientConnection::new(self.settings.clone(), name).unwrap();
        Client::over(StreamOwned::new(tls, Client::connect(address).into_stream()), target)
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

#[test]
fn messages_come_back_and_sessions_are_resumed() {
    let files = Files::new("echo");
    files.each(|peer, address| {
        for kind in [HandshakeKind::Full, HandshakeKind::Resumed] {
            let mut client = files.open(address, "/");
            for (opcode, size) in [(TEXT, 20), (BINARY, 16 << 10), (BINARY, 300_000)] {
                let payload = vec![b'x'; size];
                client.send(&frame(opcode, &payload));
                let (first, came) = client.receive();
                assert!(first == 0x80 | opcode && came == payload, "{peer} at {size} bytes");
            }
            assert_eq!(client.stream().conn.handshake_kind(), Some(kind), "{peer}");
        }
    });
}

#[test]
fn a_published_message_reaches_the_subscribers() {
    let files = Files::new("topics");
    files.each(|peer, address| {
        let mut subscriber = files.open(address, "/topics/news?role=sub");
        let mut publisher = files.open(address, "/topics/news?role=pub");
        // A subscriber gets messages from its answer to a ping on.
        subscriber.send(&frame(PING, b""));
        assert_eq!(subscriber.receive(), (0x80 | PONG, Vec::new()), "{peer}");
        publisher.send(&frame(BINARY, b"news").repeat(8));
        for _ in 0..8 {
            assert_eq!(subscriber.receive(), (0x80 | BINARY, b"news".to_vec()), "{peer}");
        }
    });
}
