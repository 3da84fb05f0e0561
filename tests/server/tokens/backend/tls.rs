//! A backend over https: who has signed its certificate has to be trusted.

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use super::*;

/// Who signs certificates.
struct Signer {
    issuer: Issuer<'static, KeyPair>,
    /// Its own certificate, in PEM.
    cert: String,
}

impl Signer {
    fn new() -> Self {
        let key = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let cert = params.self_signed(&key).unwrap().pem();
        Self { issuer: Issuer::new(params, key), cert }
    }

    /// A server with a certificate for this name.
    fn server(&self, name: &str) -> ServerConfig {
        let key = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
        let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        let cert = params.signed_by(&key, &self.issuer).unwrap().pem();
        let chain = vec![CertificateDer::from_pem_slice(cert.as_bytes()).unwrap()];
        let key = PrivateKeyDer::from_pem_slice(key.serialize_pem().as_bytes()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider);
        let config = config.with_safe_default_protocol_versions().unwrap();
        config.with_no_client_auth().with_single_cert(chain, key).unwrap()
    }
}

/// A backend that allows everybody, over TLS.
fn start(config: ServerConfig) -> Backend {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    let (tell, asked) = channel();
    let config = Arc::new(config);
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let (tell, config) = (tell.clone(), Arc::clone(&config));
            thread::spawn(move || {
                let tls = ServerConnection::new(config).unwrap();
                let answer: Answer = Box::new(allow);
                serve(StreamOwned::new(tls, stream), &tell, &Mutex::new(answer));
            });
        }
    });
    Backend { addr, asked }
}

/// A server that asks this backend by https.
fn asking(backend: &Backend, more: &[&str]) -> Server {
    let url = format!("https://{}/auth", backend.addr);
    Server::start(&[&["--auth-url", &url, "--allow-origin", PAGE], more].concat())
}

#[test]
fn a_backend_with_a_certificate_of_a_trusted_authority_decides() {
    let (files, signer) = (Files::new(), Signer::new());
    let backend = start(signer.server("127.0.0.1"));
    let ca = files.write("ca.pem", &signer.cert);
    let server = asking(&backend, &["--auth-ca", &ca]);
    let mut client = Client::connect(server.addr());
    client.open_at("/pubsub", "Cookie: session=abc\r\n");
    let asked = backend.request().to_ascii_lowercase();
    assert!(asked.starts_with("get /auth http/1.1\r\n"), "{asked}");
    assert!(asked.contains("\r\ncookie: session=abc\r\n"), "{asked}");
    send(&mut client, r##"{"subscribe":"#","id":2}"##);
    let said = read(&mut client);
    assert!(said.contains("does not allow to subscribe"), "{said}");
}

#[test]
fn a_backend_that_is_not_trusted_is_told_nothing() {
    let (files, signer) = (Files::new(), Signer::new());
    let other = files.write("other.pem", Signer::new().cert);
    let right = files.write("right.pem", &signer.cert);
    let [here, elsewhere] =
        ["127.0.0.1", "elsewhere.example"].map(|name| start(signer.server(name)));
    for (backend, flags) in [
        // Without a setting those that browsers trust.
        (&here, &[][..]),
        (&here, &["--auth-ca", &other]),
        // The authority is the right one, and the name another.
        (&elsewhere, &["--auth-ca", &right]),
    ] {
        let server = asking(backend, flags);
        assert_eq!(status(server.addr(), "/pubsub", "Cookie: secret\r\n"), 503, "{flags:?}");
        let line = format!("the certificate of {} is not accepted: ", backend.addr);
        let is_told = || server.log().iter().any(|it| it.contains(&line));
        assert!(wait_until(LIMIT, is_told), "{line} is not in {:?}", server.log());
        assert_eq!(backend.count(), 0, "{flags:?}");
        // The echo does not need it.
        assert_eq!(status(server.addr(), "/", ""), 101);
    }
}
