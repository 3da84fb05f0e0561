//! Contradictions of the settings that say where to listen.

use corecast::server::Listen;

use super::check::Check;
use super::options::Options;

pub(super) fn listens_nowhere(check: &Check<'_>) -> Vec<String> {
    let Options { listen, listen_tls, .. } = check.options;
    let text = "there is nothing to listen on; write an address, such as `127.0.0.1:9001`";
    let nowhere = listen.is_empty() && listen_tls.is_empty();
    nowhere.then(|| text.to_owned()).into_iter().collect()
}

fn places<'c>(check: &'c Check<'_>, name: &str) -> Vec<&'c Listen> {
    let Options { listen, listen_tls, admin, .. } = check.options;
    let listens = match name {
        "listen" => listen,
        "listen-tls" => listen_tls,
        _ => &admin.listen,
    };
    listens.iter().flat_map(|listens| &listens.places).collect()
}

/// Addresses of one setting that are there twice.
pub(super) fn twice_within(check: &Check<'_>, name: &str) -> Vec<String> {
    let all = places(check, name);
    let conflict = |(number, later): (usize, &&Listen)| {
        all.iter().take(number).find_map(|earlier| later.conflict(earlier))
    };
    all.iter().enumerate().filter_map(conflict).map(|error| error.to_string()).collect()
}

/// Addresses of one setting that are in another one as well.
pub(super) fn twice_in(check: &Check<'_>, name: &str, other: &str) -> Vec<String> {
    let earlier = places(check, name);
    let conflict = |later: &Listen| earlier.iter().find_map(|earlier| later.conflict(earlier));
    let conflicts = places(check, other).into_iter().filter_map(conflict);
    conflicts.map(|error| error.to_string()).collect()
}
