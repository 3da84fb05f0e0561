//! Chooses a certificate by the name that a client asks for.

use std::collections::HashMap;
use std::sync::Arc;

use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use webpki::EndEntityCert;

/// Certificates, of which the first is the default one. Their names are read once.
#[derive(Debug)]
pub(super) struct ByName {
    pairs: Vec<Arc<CertifiedKey>>,
    /// Names, each with the place of the first certificate that has it.
    exact: HashMap<Box<str>, usize>,
    /// What is behind the first dot of names that begin with a wildcard.
    wildcards: HashMap<Box<str>, usize>,
}

impl ByName {
    pub(super) fn new(pairs: Vec<Arc<CertifiedKey>>) -> Self {
        let (mut exact, mut wildcards) = (HashMap::new(), HashMap::new());
        for (at, pair) in pairs.iter().enumerate() {
            let leaf = pair.cert.first().and_then(|leaf| EndEntityCert::try_from(leaf).ok());
            for name in leaf.iter().flat_map(|leaf| leaf.valid_dns_names()) {
                let name = name.to_ascii_lowercase();
                match name.strip_prefix("*.") {
                    Some(parent) => wildcards.entry(parent.into()).or_insert(at),
                    None => exact.entry(name.into()).or_insert(at),
                };
            }
        }
        Self { pairs, exact, wildcards }
    }

    /// The first certificate that is valid for `name`, or the default one.
    fn find(&self, name: Option<&str>) -> Option<&Arc<CertifiedKey>> {
        if self.pairs.len() > 1
            && let Some(name) = name
        {
            let name = name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
            // A wildcard stands for one label (RFC 9525 section 6.3).
            let parent = name.split_once('.').map(|(_, parent)| parent);
            let by_wildcard = parent.and_then(|parent| self.wildcards.get(parent));
            let found = self.exact.get(&*name).into_iter().chain(by_wildcard).min();
            if let Some(&at) = found {
                return self.pairs.get(at);
            }
        }
        self.pairs.first()
    }
}

impl ResolvesServerCert for ByName {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.find(hello.server_name()).cloned()
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair};
    use rustls::client::verify_server_name;
    use rustls::crypto::ring;
    use rustls::pki_types::{PrivateKeyDer, ServerName};
    use rustls::server::ParsedCertificate;

    use super::*;

    fn pair(names: &[&str]) -> Arc<CertifiedKey> {
        let key = KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
        let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
        let cert = CertificateParams::new(names).unwrap().self_signed(&key).unwrap();
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let key = ring::sign::any_supported_type(&key).unwrap();
        Arc::new(CertifiedKey::new(vec![cert.der().clone()], key))
    }

    /// The choice is that of a client that verifies each certificate in turn.
    #[test]
    fn the_first_certificate_is_chosen_that_clients_accept() {
        let certificates = [
            &["localhost", "One.Example", "127.0.0.1"][..],
            &["*.two.example", "a.three.example"],
            &["two.example", "chat.two.example", "*.three.example", "one.example"],
            &["*.a.three.example", "xn--bcher-kva.example"],
        ];
        let by_name = ByName::new(certificates.iter().map(|names| pair(names)).collect());
        let accepts = |pair: &CertifiedKey, name: &str| {
            let (leaf, name) = (ParsedCertificate::try_from(&pair.cert[0]), name.to_owned());
            verify_server_name(&leaf.unwrap(), &ServerName::try_from(name).unwrap()).is_ok()
        };
        let mut chosen = Vec::new();
        for name in [
            "localhost",
            "LOCALHOST",
            "one.example",
            "a.one.example",
            "two.example",
            "example",
            "chat.two.example",
            "Chat.Two.Example",
            "a.chat.two.example",
            "a.three.example",
            "b.three.example",
            "b.a.three.example",
            "three.example",
            "xn--bcher-kva.example",
            "other.example",
            "two.example.org",
            "a.three.example.",
        ] {
            let pairs = &by_name.pairs;
            let expected = pairs.iter().position(|pair| accepts(pair, name)).unwrap_or(0);
            let found = by_name.find(Some(name)).unwrap();
            assert!(Arc::ptr_eq(found, &pairs[expected]), "{name}: {expected} is expected");
            chosen.push(expected);
        }
        assert!((0..4).all(|at| chosen.contains(&at)), "{chosen:?}");
        assert!(Arc::ptr_eq(by_name.find(None).unwrap(), &by_name.pairs[0]));
    }
}
