//! Listeners for administration: who may ask, and what is answered where.

mod answers;
mod by_route;
mod connections;
mod lists;
mod metric;
mod metrics;
mod pages;
mod refusals;
mod series;
#[cfg(test)]
mod testing;
mod text;
mod topics;
mod waiting;

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use super::handle::ServerHandle;
use super::listen::Listening;
use super::token::Token;
use crate::authority::Verify;
use crate::error::Error;
use lists::Lists;
use metrics::Metrics;
pub(super) use pages::Pages;

/// What all loops share.
#[derive(Debug)]
pub(super) struct Admin {
    token: Option<Token>,
    metrics: Arc<Metrics>,
    lists: Arc<Lists>,
}

impl Admin {
    /// Checks who may reach the listeners. `None` if none of them is for administration. What is
    /// asked about clients is in the metrics, and the count of lines that the log has lost.
    pub(super) fn new(
        listening: &[Listening],
        is_admin: &[bool],
        token: &Option<Token>,
        (authority, lost): (&Option<Arc<dyn Verify>>, &Option<Arc<AtomicU64>>),
    ) -> Result<Option<Self>, Error> {
        if token.as_ref().is_some_and(Token::is_wrong) {
            return Err(Error::Usage(Token::WRONG));
        }
        let mut places = listening.iter().zip(is_admin).filter(|(_, is_admin)| **is_admin);
        if token.is_none() {
            for (place, _) in places.clone() {
                match place {
                    Listening::Tcp(address) if !address.ip().to_canonical().is_loopback() => {
                        return Err(Error::AdminWithoutToken { address: *address });
                    }
                    Listening::Tcp(_) | Listening::Unix(_) => {}
                }
            }
        }
        let metrics = Arc::new(Metrics::new(authority.clone(), lost.clone()));
        let lists = Arc::default();
        Ok(places.next().map(|_| Self { token: token.clone(), metrics, lists }))
    }

    /// What one loop answers with.
    pub(super) fn pages(&self, server: &ServerHandle) -> Pages {
        let (metrics, lists) = (Arc::clone(&self.metrics), Arc::clone(&self.lists));
        Pages::new(server.clone(), self.token.clone(), metrics, lists)
    }
}
