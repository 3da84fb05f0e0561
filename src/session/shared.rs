//! What all connections of one core have in common.

use std::sync::Arc;

use crate::base::BufferPool;
use crate::config::Config;
use crate::protocol::websocket::assembler::MessageLimits;
use crate::protocol::websocket::deflate::Pool as DeflatePool;

/// The configuration, the handler and the pools of one core. Handed to every call that may need
/// them, so that an idle connection owns none of it.
#[derive(Debug)]
pub struct Shared<H> {
    /// What the server was configured with.
    pub config: Arc<Config>,
    /// What answers messages.
    pub handler: H,
    /// Memory for messages and replies.
    pub buffers: BufferPool,
    /// Compressors that no connection owns.
    pub deflate: DeflatePool,
}

impl<H> Shared<H> {
    /// Empty pools, `config` and `handler`.
    pub fn new(config: Arc<Config>, handler: H) -> Self {
        let deflate = DeflatePool::new(u32::from(config.deflate_level.value()));
        Self { config, handler, buffers: BufferPool::default(), deflate }
    }

    pub(crate) fn message_limits(&self) -> MessageLimits {
        let limits = &self.config.limits;
        MessageLimits { bytes: limits.max_message, fragments: limits.max_fragments }
    }
}
