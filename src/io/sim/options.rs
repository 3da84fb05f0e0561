//! The dimensions of a simulation.

use super::faults::Faults;

/// The dimensions of a simulated ring.
#[derive(Clone, Copy, Debug)]
pub struct SimOptions {
    /// The size of the table of connections.
    pub slots: u32,
    /// The number of receive buffers.
    pub buffers: u16,
    /// The size of a receive buffer in bytes.
    pub buffer_size: usize,
    /// The number of listeners.
    pub listeners: usize,
    /// The number of events that fit into the completion queue. When one `enter` brings more, the
    /// multishot receives concerned end, and the overflow is counted.
    pub completions: usize,
    /// Whether the kernel tells how far a peer is, as Linux does since 6.8.
    pub tells_progress: bool,
    /// Whether a send that waits is notified of room only once a third of the socket's buffer is
    /// free, as in Linux.
    pub notifies_late: bool,
    /// What goes wrong, and how often.
    pub faults: Faults,
}

impl Default for SimOptions {
    fn default() -> Self {
        Self {
            slots: 64,
            buffers: 64,
            buffer_size: 4096,
            listeners: 1,
            completions: 256,
            tells_progress: true,
            notifies_late: false,
            faults: Faults::default(),
        }
    }
}
