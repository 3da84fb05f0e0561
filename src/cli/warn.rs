//! What is likely not meant so: warnings of the start.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use corecast::config::{Access, Limits, Route};
use corecast::server::{Listening, ServerHandle};

use super::settings::Options;

/// Others than the owner and the group may write.
const WRITABLE_BY_ALL: u32 = 0o002;

/// Warns of what the settings say once the server runs with them.
pub(super) fn of_start(options: &Options, running: &ServerHandle) {
    open(options, running);
    few(options, running);
    trusting(options);
    options.files().for_each(writable);
}

/// Warns if everybody is a trusted proxy, and so may say who they are.
fn trusting(options: &Options) {
    let networks = options.config.trusted_proxies.networks.iter().map(ToString::to_string);
    for network in networks.filter(|network| network.ends_with("/0")) {
        tracing::warn!(
            "--trust-proxy {network} believes everybody: who connects may say any address is his"
        );
    }
}

/// Warns if anybody on this machine may put a key or a certificate of his own into the file.
fn writable(path: &Path) {
    let mode = fs::metadata(path).map_or(0, |metadata| metadata.permissions().mode());
    if mode & WRITABLE_BY_ALL != 0 {
        tracing::warn!(
            "everybody may write to {}: take that away with `chmod o-w`",
            path.display()
        );
    }
}

/// Warns if fewer clients may connect than somebody has asked for. The default is as many as there
/// may be.
fn few(options: &Options, running: &ServerHandle) {
    let (asked, most) = (options.config.limits.max_connections, running.max_connections());
    if most < asked && asked != Limits::default().max_connections {
        tracing::warn!(
            "--max-connections is {asked}, but the limit of open files allows {most} connections \
             of each loop; raise it with `ulimit -n` or LimitNOFILE="
        );
    }
}

/// Warns if others than this machine can connect, and nothing protects what they send, or says who
/// they are.
fn open(options: &Options, running: &ServerHandle) {
    let is_remote = |place: &Listening| match place {
        Listening::Tcp(address) => !address.ip().to_canonical().is_loopback(),
        _ => false,
    };
    let places = running.listening().iter().enumerate().filter(|(_, place)| is_remote(place));
    let (admin, clients): (Vec<_>, Vec<_>) =
        places.map(|(number, _)| number).partition(|number| running.is_for_admin(*number));
    if !admin.is_empty() {
        tracing::warn!(
            "the admin listener has no TLS: whoever is on the way can read its token and use it"
        );
    }
    let has_tls: Vec<bool> = clients.iter().map(|number| running.has_tls(*number)).collect();
    let is_plain = has_tls.contains(&false);
    let is_open = has_open_topics(options) && !has_tls.is_empty();
    let missing = match (is_plain, is_open) {
        (false, false) => return,
        (true, false) => "without TLS: whoever is on the way can read and change all",
        (false, true) => "without tokens: whoever connects may publish and subscribe to all",
        (true, true) => "without TLS and tokens: whoever connects may publish and read all",
    };
    tracing::warn!("listening beyond this machine {missing}");
}

/// Whether some may publish and subscribe without a token.
fn has_open_topics(options: &Options) -> bool {
    let mut routes = options.config.routes.iter();
    let is_open = |route: &Route| route.serves_topics() && route.access == Some(Access::Anyone);
    options.config.serves_topics() && (!options.has_authority() || routes.any(is_open))
}
