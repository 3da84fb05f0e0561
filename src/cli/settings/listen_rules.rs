//! Contradictions of the settings that say where to listen.

use corecast::server::{Listen, Taken};

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
    let mut taken = Taken::default();
    let conflict = |listen: &Listen| {
        let conflict = taken.conflict(listen);
        taken.add(listen);
        conflict.map(|error| error.to_string())
    };
    places(check, name).into_iter().filter_map(conflict).collect()
}

/// Addresses of one setting that are in another one as well.
pub(super) fn twice_in(check: &Check<'_>, name: &str, other: &str) -> Vec<String> {
    let mut taken = Taken::default();
    places(check, name).into_iter().for_each(|listen| taken.add(listen));
    let conflicts = places(check, other).into_iter().filter_map(|listen| taken.conflict(listen));
    conflicts.map(|error| error.to_string()).collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rustix::time::{ClockId, clock_gettime};

    use crate::cli::settings::{Document, Inputs, Resolved};

    /// The time that it takes to check so many addresses, without that of others on this machine.
    fn cost(count: usize) -> Duration {
        let address = |n: usize| format!("\"10.{}.{}.{}:9001\",\n", n >> 16, n >> 8 & 255, n & 255);
        let text = format!("listen = [\n{}]\n", (0..count).map(address).collect::<String>());
        let document = Some(Document::new("f", &text));
        let inputs = Inputs { document, ..Inputs::default() };
        let now = || Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).unwrap();
        let once = || {
            let before = now();
            assert!(Resolved::of(&inputs).faults.is_empty());
            now() - before
        };
        (0..5).map(|_| once()).min().unwrap()
    }

    #[test]
    fn eight_times_as_many_addresses_take_not_much_more_than_eight_times_as_long() {
        let (few, many) = (cost(2_000), cost(16_000));
        assert!(many < 24 * few, "{many:?} instead of {few:?}");
    }
}
