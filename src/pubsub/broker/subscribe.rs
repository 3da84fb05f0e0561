//! Requests to subscribe, and their limits.

use std::fmt;

use super::state::Broker;
use crate::base::{ConnectionId, Work};
use crate::pubsub::encoding::Form;
use crate::pubsub::index::Index;
use crate::pubsub::name::Filter;
use crate::pubsub::subscribers::{Established, Filters, Options, filter_bytes};

/// Why a connection cannot subscribe: the limit, and what is wanted beyond it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SubscribeError {
    /// The most subscriptions that a connection may have, the number that it has, and the number
    /// that it wants in addition.
    Count { max: usize, has: usize, wants: usize },
    /// The most bytes that the filters of a connection may count for, and the bytes that they would
    /// count for.
    Connection { max: usize, wants: usize },
    /// The most bytes that the index of a core may take.
    Core { max: usize },
    /// The most memory that filters and retained values may take on a core.
    Memory { max: usize },
}

impl fmt::Display for SubscribeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Count { max, has, wants } => write!(
                f,
                "this connection may have {max} subscriptions; it has {has}, and these would be \
                 {wants} more"
            ),
            Self::Connection { max, wants } => write!(
                f,
                "the filters of this connection may count for {max} bytes (the limit \
                 max-connection-index); with these it would be {wants}"
            ),
            Self::Core { max } => write!(
                f,
                "the server's index of filters is full: it may take {max} bytes (the limit \
                 max-index); try again later"
            ),
            Self::Memory { max } => write!(
                f,
                "the server is short of memory: filters and retained values may take {max} bytes \
                 (half of the limit max-memory); try again later"
            ),
        }
    }
}

impl Broker {
    /// A connection may subscribe from now on.
    pub(crate) fn attach(&mut self, id: ConnectionId, options: Options) {
        self.subscribers.insert(id, options);
    }

    /// The bytes that the index and the filters of this core's connections take, approximately.
    /// [`PubSub::max_index`](crate::config::PubSub::max_index) limits them.
    #[must_use]
    pub fn index_bytes(&self) -> usize {
        self.index.bytes() + self.establishing.bytes() + self.filter_bytes
    }

    /// Subscribes an attached connection to all of the filters, or with an error to none. They come
    /// into force together, at the end of the turn at the earliest; [`take_established`]
    /// (Self::take_established) then returns them once, also if the connection had all of them.
    ///
    /// # Errors
    /// The limit that the connection or the core would exceed.
    pub(crate) fn subscribe(
        &mut self,
        id: ConnectionId,
        filters: Vec<Filter>,
    ) -> Result<(), SubscribeError> {
        let result = self.try_subscribe(id, &filters);
        self.stats.refused_subscriptions += u64::from(result.is_err());
        result
    }

    /// Checks the number of filters that a connection would have with these.
    ///
    /// # Errors
    /// If they are too many.
    pub(crate) fn check_count(
        &mut self,
        id: ConnectionId,
        filters: &[Filter],
    ) -> Result<(), SubscribeError> {
        let max = self.config.pubsub.max_subscriptions;
        self.work.charge(filters.len() as u64 * Work::FILTER);
        let Some(subscriber) = self.subscribers.get(id) else { return Ok(()) };
        let result = lacking(&subscriber.filters, filters, max).map(drop);
        self.stats.refused_subscriptions += u64::from(result.is_err());
        result
    }

    fn try_subscribe(
        &mut self,
        id: ConnectionId,
        filters: &[Filter],
    ) -> Result<(), SubscribeError> {
        // Each begins, and ends some time.
        self.work.charge(2 * filters.len() as u64 * Work::CHANGE);
        self.asked += filters.len();
        let (index_bytes, lasting) = (self.index_bytes(), self.lasting());
        let max_lasting = self.max_lasting();
        let Some(subscriber) = self.subscribers.get(id) else { return Ok(()) };
        let limits = &self.config.pubsub;
        let added = lacking(&subscriber.filters, filters, limits.max_subscriptions)?;
        let more: usize = added.iter().map(|filter| Index::cost(filter)).sum();
        let has = Index::cost_of(subscriber.filters.len(), subscriber.filters.text());
        let max = limits.max_connection_index;
        if has + more > max {
            return Err(SubscribeError::Connection { max, wants: has + more });
        }
        // What other cores want is indexed in any case. They refuse new filters like this one,
        // since their indexes hold the same filters.
        if more > 0 && index_bytes + more > limits.max_index {
            return Err(SubscribeError::Core { max: limits.max_index });
        }
        if more > 0 && lasting + more > max_lasting {
            return Err(SubscribeError::Memory { max: max_lasting });
        }
        let added: Vec<Filter> = added.into_iter().cloned().collect();
        let mut number = 0;
        self.filter_memory -= subscriber.filters.memory();
        for filter in &added {
            subscriber.filters.push(filter.clone());
            self.stats.subscriptions += 1;
            self.filter_bytes += filter_bytes(filter);
            number = number.max(self.peers.want(filter, subscriber.options.form));
        }
        self.filter_memory += subscriber.filters.memory();
        self.held.set_stale();
        self.establishing.add(number, Established { id, filters: added });
        Ok(())
    }

    /// The filters of a connection, in force or not yet.
    pub(crate) fn filters(&mut self, id: ConnectionId) -> impl Iterator<Item = &Filter> {
        self.subscribers.get(id).into_iter().flat_map(|subscriber| subscriber.filters.iter())
    }

    /// The encoding of what a subscriber is sent.
    pub(crate) fn form(&mut self, id: ConnectionId) -> Option<Form> {
        Some(self.subscribers.get(id)?.options.form)
    }
}

/// Those of `filters` that are not among `held`, each once.
///
/// # Errors
/// If these would be more than `max` together.
fn lacking<'f>(
    held: &Filters,
    filters: &'f [Filter],
    max: usize,
) -> Result<Vec<&'f Filter>, SubscribeError> {
    let added = held.lacking(filters);
    let (has, wants) = (held.len(), added.len());
    if has + wants > max { Err(SubscribeError::Count { max, has, wants }) } else { Ok(added) }
}
