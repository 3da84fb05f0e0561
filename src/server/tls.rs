//! Which listeners have TLS, and the driver that gives it to them.

use std::sync::Arc;

use crate::error::Error;
use crate::io::Driver;
use crate::transport::Transport;
use crate::transport::tls::{Certificates, Tls};

/// The listeners with TLS of a server that is not started.
#[derive(Clone, Debug)]
pub(super) struct TlsListeners {
    pub(super) settings: Option<Tls>,
    /// Their numbers.
    pub(super) listeners: Vec<usize>,
}

/// What the loops need for TLS.
#[derive(Clone, Debug)]
pub(super) struct LoopTls {
    pub(super) certificates: Arc<Certificates>,
    /// Whether each listener has TLS.
    is_tls: Vec<bool>,
}

impl TlsListeners {
    /// Checks the settings. `None` if no listener has TLS. There are `count` listeners in all.
    pub(super) fn prepare(&self, count: usize) -> Result<Option<LoopTls>, Error> {
        if self.listeners.is_empty() {
            return Ok(None);
        }
        let Some(settings) = &self.settings else {
            return Err(Error::Usage("a listener with TLS needs a certificate and its key"));
        };
        let certificates = Arc::new(Certificates::new(settings).map_err(Error::Tls)?);
        let is_tls = (0..count).map(|number| self.listeners.contains(&number)).collect();
        Ok(Some(LoopTls { certificates, is_tls }))
    }
}

impl LoopTls {
    /// Puts TLS around the driver of a loop.
    pub(super) fn wrap<D: Driver>(self, driver: D) -> Transport<D> {
        Transport::new(driver, self.is_tls, self.certificates)
    }
}
