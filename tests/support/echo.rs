//! The service of a core that only echoes, for tests that drive a session or a worker themselves.

use std::sync::Arc;

use corecast::app::echo::Echo;
use corecast::app::inbox;
use corecast::config::Config;
use corecast::gateway::Gateway;
use corecast::mesh::{Limits, mesh};
use corecast::pubsub::Totals;

/// The echo on a single core, without the endpoints of the server. Sets `endpoints` in `config`, so
/// that every path belongs to the application.
pub(crate) fn echo(config: &mut Config) -> Gateway<Echo> {
    config.pubsub.endpoints = false;
    let port = mesh(1, Limits::default()).remove(0);
    let (_, inbox) = inbox(config, port.sleep_flag(), Arc::new(|| {}));
    Gateway::new(Echo, Arc::new(config.clone()), port, inbox, Totals::new(&config.pubsub))
}
