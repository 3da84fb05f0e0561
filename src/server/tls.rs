//! What the loops need for listeners with TLS, and the driver that gives it to them.

use std::sync::Arc;

use crate::error::Error;
use crate::io::Driver;
use crate::transport::Transport;
use crate::transport::tls::{Certificates, Tls};

/// What the loops need for TLS.
#[derive(Clone, Debug)]
pub(super) struct LoopTls {
    pub(super) certificates: Arc<Certificates>,
    /// Whether each listener has TLS.
    pub(super) is_tls: Vec<bool>,
}

/// Checks the settings. `None` if no listener has TLS, of which `has_tls` says it for each.
pub(super) fn prepare(settings: Option<&Tls>, has_tls: &[bool]) -> Result<Option<LoopTls>, Error> {
    if !has_tls.contains(&true) {
        return Ok(None);
    }
    let Some(settings) = settings else {
        return Err(Error::Usage("a listener with TLS needs a certificate and its key"));
    };
    let certificates = Arc::new(Certificates::new(settings).map_err(Error::Tls)?);
    Ok(Some(LoopTls { certificates, is_tls: has_tls.to_vec() }))
}

impl LoopTls {
    /// Puts TLS around the driver of a loop.
    pub(super) fn wrap<D: Driver>(self, driver: D) -> Transport<D> {
        Transport::new(driver, self.is_tls, self.certificates)
    }
}
