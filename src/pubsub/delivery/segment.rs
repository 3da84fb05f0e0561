//! A batch in the queue of deliveries.

use std::collections::HashSet;
use std::sync::Arc;

use super::batch::Batch;
use crate::base::ConnectionId;

/// A batch, and the publishers that must not be sent their own messages of it.
#[derive(Debug)]
pub(super) struct Segment {
    pub(super) batch: Arc<Batch>,
    /// By message; empty if all publishers may be sent their own.
    pub(super) origins: Vec<Option<ConnectionId>>,
    /// All publishers in `origins`.
    pub(super) publishers: HashSet<ConnectionId>,
}

impl Segment {
    pub(super) fn new(batch: Arc<Batch>, origins: Vec<Option<ConnectionId>>) -> Self {
        let publishers = origins.iter().copied().flatten().collect();
        Self { batch, origins, publishers }
    }

    /// The bytes that it counts for.
    pub(super) fn len(&self) -> usize {
        let origins = self.origins.len() * size_of::<Option<ConnectionId>>();
        let publishers = self.publishers.capacity() * (size_of::<ConnectionId>() + 1);
        self.batch.len() + size_of::<Self>() + origins + publishers
    }
}
