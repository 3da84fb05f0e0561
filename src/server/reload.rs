//! What of a running server can be replaced.

use super::handle::ServerHandle;
use super::token::Token;
use crate::error::Error;
#[cfg(feature = "tls")]
use crate::transport::tls::Tls;

impl ServerHandle {
    /// Replaces the certificates: new connections get those of `tls`, open ones stay as they are.
    ///
    /// # Errors
    /// [`Error::Usage`] if the server has no listener with TLS.
    #[cfg(feature = "tls")]
    pub fn reload_tls(&self, tls: &Tls) -> Result<(), Error> {
        match &self.parts().certificates {
            Some(certificates) => certificates.replace(tls).map_err(Error::Tls),
            None => Err(Error::Usage("this server has no listener with TLS")),
        }
    }

    /// Replaces the token that requests to listeners for administration have to give: from the
    /// next request on, also of connections that are open. See
    /// [`Server::admin_token`](super::Server::admin_token).
    ///
    /// # Errors
    /// [`Error::Usage`] if the token cannot be given in a request, or the server was started
    /// without one. Then all stays as it is.
    pub fn replace_admin_token(&self, token: &str) -> Result<(), Error> {
        let Some(current) = &self.parts().admin_token else {
            return Err(Error::Usage("this server has no admin token"));
        };
        if Token::new(token).is_wrong() {
            return Err(Error::Usage(Token::WRONG));
        }
        current.replace(token);
        Ok(())
    }
}
