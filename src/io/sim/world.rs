//! What a simulated ring and the test share.

use std::cell::RefCell;
use std::fmt;
use std::rc::Rc;
use std::time::Duration;

use super::kernel::Kernel;
use super::network::Network;

/// What the ring and the test share.
#[derive(Debug)]
pub(super) struct World {
    pub(super) network: Network,
    pub(super) kernel: Kernel,
    pub(super) clients: Clients,
}

/// What acts for the clients, and when it wants to be called at the latest.
#[derive(Default)]
pub(super) struct Clients {
    pub(super) act: Option<Box<Act>>,
    pub(super) due: Option<Duration>,
}

type Act = dyn FnMut(&SimNetwork) -> Option<Duration>;

impl fmt::Debug for Clients {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Clients").field("due", &self.due).finish_non_exhaustive()
    }
}

/// The clients of a simulated ring, its clock and its last check. All clones are the same network.
#[derive(Clone, Debug)]
pub struct SimNetwork {
    pub(super) world: Rc<RefCell<World>>,
}

impl SimNetwork {
    pub(super) const fn new(world: Rc<RefCell<World>>) -> Self {
        Self { world }
    }
}
