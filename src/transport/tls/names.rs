//! Chooses a certificate by the name that a client asks for.

use std::sync::Arc;

use rustls::client::verify_server_name;
use rustls::pki_types::ServerName;
use rustls::server::{ClientHello, ParsedCertificate, ResolvesServerCert};
use rustls::sign::CertifiedKey;

/// Certificates, of which the first is the default one.
#[derive(Debug)]
pub(super) struct ByName(pub(super) Vec<Arc<CertifiedKey>>);

impl ByName {
    /// The first certificate that is valid for `name`, or the default one.
    fn find(&self, name: Option<&str>) -> Option<Arc<CertifiedKey>> {
        let default = self.0.first()?;
        if self.0.len() > 1
            && let Some(name) = name.and_then(|name| ServerName::try_from(name).ok())
        {
            let found = self.0.iter().find(|pair| is_valid_for(pair, &name));
            return found.or(Some(default)).cloned();
        }
        Some(Arc::clone(default))
    }
}

fn is_valid_for(pair: &CertifiedKey, name: &ServerName<'_>) -> bool {
    let parsed = pair.cert.first().map(ParsedCertificate::try_from);
    matches!(parsed, Some(Ok(certificate)) if verify_server_name(&certificate, name).is_ok())
}

impl ResolvesServerCert for ByName {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.find(hello.server_name())
    }
}
