//! Certificates and keys, and the configuration that is made of them.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::{self, PemObject as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use rustls::server::{NoServerSessionStorage, ProducesTickets};
use rustls::sign::CertifiedKey;
use rustls::{ServerConfig, SignatureAlgorithm};
use webpki::{EndEntityCert, KeyUsage};

use super::names::ByName;
use super::secrets::Collector;
use crate::base::file;

/// The protocols of which the first one that the client offers is agreed on, if it offers any
/// (RFC 7301). curl offers HTTP/1.0 alone if it is to use that.
const ALPN: [&[u8]; 2] = [b"http/1.1", b"http/1.0"];

/// What a key with a passphrase says in its lines.
const ENCRYPTED: &[u8] = b"ENCRYPTED";
/// What is said of a key that ring does not take.
const KEY_KINDS: &str = "it is none of those that can be used: RSA of 2048 to 4096 bits, ECDSA on \
                         P-256 or P-384, and Ed25519";

/// What is said of a certificate of an old version.
const V1: &str = "it is of version 1 of X.509, and version 3 is needed: with `openssl req -x509 \
                  -addext subjectAltName=DNS:NAME` or `openssl x509 -req -extfile FILE` it is";

/// The most early data of a client that is skipped, in bytes of records.
const EARLY_DATA: u32 = 24 << 10;

/// The certificates of a server, each with its key: the setting for
/// `Server::tls`.
///
/// TLS 1.3 and 1.2 are spoken. Sessions are resumed by tickets, which the server does not store.
#[derive(Clone)]
pub struct Tls {
    pairs: Vec<Arc<CertifiedKey>>,
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls").field("certificates", &self.pairs.len()).finish_non_exhaustive()
    }
}

/// Whether clients take a certificate at this time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Validity {
    /// Its time has come and is not over.
    Valid,
    /// Its time is over.
    Expired,
    /// Its time has not begun.
    NotYet,
}

/// Why a certificate or its key cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TlsError {
    /// A file cannot be read.
    Read {
        /// The file.
        path: PathBuf,
        /// The system's error.
        error: String,
    },
    /// There is no certificate where one is expected.
    NoCertificate(String),
    /// There is no private key where one is expected.
    NoKey(String),
    /// The certificate is not valid.
    BadCertificate(String, String),
    /// The key is not valid, or of a kind that is not supported.
    BadKey(String, String),
    /// The key belongs to another certificate.
    Mismatch(String, String),
    /// No certificate is given.
    Empty,
}

impl fmt::Display for TlsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Read { path, error } => write!(f, "{}: {error}", path.display()),
            Self::NoCertificate(cert) => write!(
                f,
                "{cert} holds no certificate; it has to be in PEM, between BEGIN CERTIFICATE and \
                 END CERTIFICATE"
            ),
            Self::NoKey(key) => write!(
                f,
                "{key} holds no private key; it has to be in PEM, between BEGIN PRIVATE KEY and \
                 END PRIVATE KEY, without a passphrase"
            ),
            Self::BadCertificate(cert, error) => write!(f, "the certificate in {cert}: {error}"),
            Self::BadKey(key, error) => write!(f, "the private key in {key}: {error}"),
            Self::Mismatch(cert, key) => {
                write!(f, "the key in {key} is not the key of the certificate in {cert}")
            }
            Self::Empty => f.write_str("no certificate is given"),
        }
    }
}

impl std::error::Error for TlsError {}

impl Tls {
    /// A server with this certificate, which may be followed by those that lead to a root, and its
    /// private key (PKCS#8, PKCS#1 or SEC1). Both are PEM.
    ///
    /// # Errors
    /// If they cannot be read, or the key belongs to another certificate.
    pub fn from_pem(certificate: &[u8], key: &[u8]) -> Result<Self, TlsError> {
        let pair = read_pair(certificate, key, "the certificate", "the key")?;
        Ok(Self { pairs: vec![Arc::new(pair)] })
    }

    /// The same from two files.
    ///
    /// # Errors
    /// As [`from_pem`](Self::from_pem), and if a file cannot be read.
    pub fn from_files(certificate: &Path, key: &Path) -> Result<Self, TlsError> {
        let read = |path: &Path| {
            let fail = |error: std::io::Error| TlsError::Read {
                path: path.to_owned(),
                error: error.to_string(),
            };
            file::read(path).map_err(fail)
        };
        let (cert, private) = (read(certificate)?, read(key)?);
        let names = [certificate, key].map(|path| path.display().to_string());
        let pair = read_pair(&cert, &private, &names[0], &names[1])?;
        Ok(Self { pairs: vec![Arc::new(pair)] })
    }

    /// Whether all certificates are valid now; what is wrong with the first that is not. Those that
    /// lead to a root are not looked at.
    #[must_use]
    pub fn validity(&self) -> Validity {
        let all = self.pairs.iter().map(|pair| validity(pair, UnixTime::now()));
        all.into_iter().find(|found| *found != Validity::Valid).unwrap_or(Validity::Valid)
    }

    /// Adds the certificates of `other`. The first certificate is the default one; another is used
    /// for a client that asks for a name that it is valid for and the ones before it are not (SNI,
    /// RFC 6066 section 3).
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        self.pairs.extend(other.pairs);
        self
    }
}

/// Whether the certificate of this pair is valid at this time.
fn validity(pair: &CertifiedKey, now: UnixTime) -> Validity {
    let Some(Ok(leaf)) = pair.cert.first().map(EndEntityCert::try_from) else {
        return Validity::Valid;
    };
    // The times are looked at before who has signed it, which is not known here.
    let found = leaf.verify_for_usage(&[], &[], &[], now, KeyUsage::server_auth(), None, None);
    match found {
        Err(webpki::Error::CertExpired { .. }) => Validity::Expired,
        Err(webpki::Error::CertNotValidYet { .. }) => Validity::NotYet,
        _ => Validity::Valid,
    }
}

/// Reads a certificate and its key. `cert_name` and `key_name` say in errors where they come from.
fn read_pair(
    cert: &[u8],
    key: &[u8],
    cert_name: &str,
    key_name: &str,
) -> Result<CertifiedKey, TlsError> {
    let bad_cert = |error: String| TlsError::BadCertificate(cert_name.to_owned(), error);
    let bad_key = |error: String| TlsError::BadKey(key_name.to_owned(), error);
    let chain = CertificateDer::pem_slice_iter(cert)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| bad_cert(pem_fault(error)))?;
    if chain.is_empty() {
        return Err(TlsError::NoCertificate(cert_name.to_owned()));
    }
    // Of the two forms with a passphrase, the older one has the BEGIN line of a key without.
    let is_encrypted = key.windows(ENCRYPTED.len()).any(|part| part == ENCRYPTED);
    let key = PrivateKeyDer::from_pem_slice(key).map_err(|error| match error {
        pem::Error::NoItemsFound => TlsError::NoKey(key_name.to_owned()),
        pem::Error::Base64Decode(_) if is_encrypted => TlsError::NoKey(key_name.to_owned()),
        error => bad_key(pem_fault(error)),
    })?;
    let key = ring::sign::any_supported_type(&key).map_err(|_| bad_key(KEY_KINDS.to_owned()))?;
    if let Some(Err(error)) = chain.first().map(EndEntityCert::try_from) {
        return Err(bad_cert(match error {
            webpki::Error::UnsupportedCertVersion => V1.to_owned(),
            _ => "it is no valid certificate (X.509)".to_owned(),
        }));
    }
    let pair = CertifiedKey::new(chain, key);
    match pair.keys_match() {
        Ok(()) => Ok(pair),
        Err(rustls::Error::InconsistentKeys(_)) => {
            Err(TlsError::Mismatch(cert_name.to_owned(), key_name.to_owned()))
        }
        Err(error) => Err(bad_cert(error.to_string())),
    }
}

/// What is wrong with a text in PEM. The errors of the parser show names as numbers.
fn pem_fault(error: pem::Error) -> String {
    match error {
        pem::Error::MissingSectionEnd { end_marker } => {
            format!("its last line, END {}, is missing", String::from_utf8_lossy(&end_marker))
        }
        pem::Error::IllegalSectionStart { line } => {
            format!("the line {} is malformed", String::from_utf8_lossy(&line).trim())
        }
        pem::Error::Base64Decode(_) => "what is between BEGIN and END is not base64".to_owned(),
        error => error.to_string(),
    }
}

/// The certificates in use, for all cores of a server. They may be replaced at any time.
#[derive(Debug)]
pub struct Certificates {
    provider: Arc<CryptoProvider>,
    tickets: Arc<dyn ProducesTickets>,
    version: AtomicU64,
    current: Mutex<Current>,
}

/// What new connections of a core are made with.
#[derive(Clone, Debug)]
pub(crate) struct Current {
    pub(crate) config: Arc<ServerConfig>,
    /// What the most expensive signature costs, in steps of a handshake.
    pub(crate) signature: u32,
}

impl Certificates {
    /// The certificates of `tls`.
    ///
    /// # Errors
    /// If there is none, or the system gives no random numbers.
    pub fn new(tls: &Tls) -> Result<Self, TlsError> {
        let provider = Arc::new(ring::default_provider());
        let tickets = ring::Ticketer::new()
            .map_err(|error| TlsError::BadKey("the tickets".to_owned(), error.to_string()))?;
        let current = make(&provider, &tickets, tls)?;
        let (version, current) = (AtomicU64::new(0), Mutex::new(current));
        Ok(Self { provider, tickets, version, current })
    }

    /// New connections get the certificates of `tls`. Tickets stay valid.
    ///
    /// # Errors
    /// If there is none; then nothing changes.
    pub fn replace(&self, tls: &Tls) -> Result<(), TlsError> {
        let new = make(&self.provider, &self.tickets, tls)?;
        *self.current.lock().unwrap_or_else(PoisonError::into_inner) = new;
        self.version.fetch_add(1, Ordering::Release);
        Ok(())
    }

    /// Changes whenever the certificates do.
    pub(crate) fn version(&self) -> u64 {
        self.version.load(Ordering::Acquire)
    }

    /// What new connections are made with.
    pub(crate) fn current(&self) -> Current {
        self.current.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn make(
    provider: &Arc<CryptoProvider>,
    tickets: &Arc<dyn ProducesTickets>,
    tls: &Tls,
) -> Result<Current, TlsError> {
    if tls.pairs.is_empty() {
        return Err(TlsError::Empty);
    }
    let signature = tls.pairs.iter().map(|pair| signature(pair)).max().unwrap_or_default();
    let mut config = ServerConfig::builder_with_provider(Arc::clone(provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| TlsError::BadKey("the protocol versions".to_owned(), error.to_string()))?
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(ByName::new(tls.pairs.clone())));
    config.alpn_protocols = ALPN.map(<[u8]>::to_vec).to_vec();
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.ticketer = Arc::clone(tickets);
    // No ticket allows early data, and none is accepted. So much is skipped of a client that sends
    // it because another server has given it a ticket: as much as others take.
    config.max_early_data_size = EARLY_DATA;
    // The records after the handshake are not those of rustls.
    config.enable_secret_extraction = true;
    config.key_log = Arc::new(Collector);
    Ok(Current { config: Arc::new(config), signature })
}

/// What a signature takes, in steps of a handshake without one: about 25 us.
fn signature(pair: &CertifiedKey) -> u32 {
    let len = pair.key.public_key().map_or(0, |key| key.as_ref().len());
    signature_of(pair.key.algorithm(), len)
}

/// The same for a public key of so many bytes, with its header.
const fn signature_of(algorithm: SignatureAlgorithm, len: usize) -> u32 {
    match (algorithm, len) {
        // 2048, 3072 and 4096 bits.
        (SignatureAlgorithm::RSA, ..=310) => 24,
        (SignatureAlgorithm::RSA, ..=440) => 70,
        (SignatureAlgorithm::RSA, _) => 160,
        // P-384.
        (_, 100..) => 16,
        // P-256 and Ed25519.
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair};

    use super::*;

    #[test]
    fn signatures_are_charged_by_their_key() {
        let of = |algorithm| {
            let key = KeyPair::generate_for(algorithm).unwrap();
            let params = CertificateParams::new(["localhost".to_owned()]).unwrap();
            let cert = params.self_signed(&key).unwrap();
            Tls::from_pem(cert.pem().as_bytes(), key.serialize_pem().as_bytes()).unwrap()
        };
        let [ed25519, p256, p384] =
            [&rcgen::PKCS_ED25519, &rcgen::PKCS_ECDSA_P256_SHA256, &rcgen::PKCS_ECDSA_P384_SHA384]
                .map(of);
        let charged = |tls: &Tls| Certificates::new(tls).unwrap().current().signature;
        assert_eq!([&ed25519, &p256, &p384].map(charged), [1, 1, 16]);
        // The most expensive of several.
        assert_eq!(charged(&p256.and(p384).and(ed25519)), 16);
        let rsa = [294, 422, 550].map(|len| signature_of(SignatureAlgorithm::RSA, len));
        assert_eq!(rsa, [24, 70, 160]);
    }

    /// As `openssl x509 -req` makes it without extensions.
    const OLD: &str = "-----BEGIN CERTIFICATE-----
MIHkMIGXAhRO9GyaFguBuB+j1HP8tEfWdT/eXTAFBgMrZXAwFDESMBAGA1UEAwwJ
bG9jYWxob3N0MCAXDTI2MTEzMDIzMjc0N1oYDzIxMjYxMTA2MjMyNzQ3WjAUMRIw
EAYDVQQDDAlsb2NhbGhvc3QwKjAFBgMrZXADIQCTKn8MP25ksrr2b2aVKb9Vllpu
Wt63H1tdmYP2zPDRmTAFBgMrZXADQQB54A4Pv/RDU60uSfk4N9vspITyp7Uofn7y
a2YuKqH52vegz5mKT11OlwSs8MkM96+1nIpE3R+7P9X1Dz3HGVwF
-----END CERTIFICATE-----";
    const OLD_KEY: &str = "-----BEGIN PRIVATE KEY-----
MC4CAQAwBQYDK2VwBCIEIMDB6Uq/w5CB795luU+E2bJvGi2R2jywlxD0JLodexcY
-----END PRIVATE KEY-----";

    #[test]
    fn a_certificate_of_version_1_is_named() {
        let error = read_pair(OLD.as_bytes(), OLD_KEY.as_bytes(), "c", "k").unwrap_err();
        let error = error.to_string();
        assert!(error.contains("the certificate in c: it is of version 1"), "{error}");
        let torn = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        let error = read_pair(torn.as_bytes(), OLD_KEY.as_bytes(), "c", "k").unwrap_err();
        assert_eq!(error.to_string(), "the certificate in c: it is no valid certificate (X.509)");
    }

    /// What is said of files that cannot be read as PEM, which the parser names by numbers.
    #[test]
    fn errors_name_the_fault_of_a_file() {
        let key = KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
        let params = CertificateParams::new(["localhost".to_owned()]).unwrap();
        let cert = params.self_signed(&key).unwrap().pem();
        let (key, cut) = (key.serialize_pem(), &cert[..cert.len() / 2]);
        let block = |kind: &str, text: &str| {
            format!("-----BEGIN {kind}-----\n{text}\n-----END {kind}-----\n")
        };
        let old = "Proc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00FF\n\nAAAA";
        let no_passphrase = "without a passphrase";
        for (cert, key, says) in [
            (cut, &*key, "the certificate in c: its last line, END CERTIFICATE, is missing"),
            (&block("CERTIFICATE", "@@@@"), &key, "between BEGIN and END is not base64"),
            ("-----BEGIN CERTIFICATE\nAAAA\n", &key, "-----BEGIN CERTIFICATE is malformed"),
            (&cert, &block("EC PRIVATE KEY", old), no_passphrase),
            (&cert, &block("ENCRYPTED PRIVATE KEY", "AAAA"), no_passphrase),
            (&cert, &block("PRIVATE KEY", "@@@@"), "the private key in k: what is between"),
            (&cert, &block("PRIVATE KEY", "AAAA"), "RSA of 2048 to 4096 bits, ECDSA on P-256"),
        ] {
            let error = read_pair(cert.as_bytes(), key.as_bytes(), "c", "k").unwrap_err();
            let error = error.to_string();
            assert!(error.contains(says), "{says} is not in {error}");
        }
    }
}
