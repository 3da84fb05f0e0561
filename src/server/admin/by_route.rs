//! WebSockets by the routes by which they came.

use std::collections::BTreeMap;

use crate::config::{RouteId, Routes};
use crate::gateway::{endpoint_of, endpoints};
use crate::session::{Passed, RouteCounts};

/// Those to one endpoint by the routes with one pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ByRoute {
    /// The pattern; empty for those that came by none.
    pub(super) route: String,
    pub(super) endpoint: &'static str,
    pub(super) passed: Passed,
}

/// All of them, in the order of the patterns. `routes` has those of earlier settings too: what was
/// counted for a pattern stays, whatever its other settings were.
pub(super) fn sum<'l>(
    routes: &Routes,
    loops: impl Iterator<Item = &'l RouteCounts> + Clone,
) -> Vec<ByRoute> {
    let mut all: BTreeMap<(&str, usize), Passed> = BTreeMap::new();
    for id in std::iter::once(RouteId::NONE).chain(routes.ids()) {
        let route = routes.get(id);
        let pattern = route.map_or("", |route| route.path.as_str());
        let own = route.map(|route| endpoint_of(route.to));
        for (at, (endpoint, _)) in endpoints().enumerate() {
            let mut passed = Passed::default();
            loops.clone().for_each(|counts| passed.add(counts.get(id, endpoint)));
            // What nobody could have come to is left out.
            if passed.opened > 0 || own.is_none_or(|own| own == Some(endpoint)) {
                all.entry((pattern, at)).or_default().add(passed);
            }
        }
    }
    let names: Vec<&'static str> = endpoints().map(|(_, name)| name).collect();
    let one = |((route, at), passed): ((&str, usize), Passed)| ByRoute {
        route: route.to_owned(),
        endpoint: names.get(at).copied().unwrap_or_default(),
        passed,
    };
    all.into_iter().map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Route, RouteTo};

    #[test]
    fn each_pattern_is_there_once_with_what_it_leads_to() {
        let route = |path: &str, to| Route::new(path, to).unwrap();
        let first = Routes::new([
            route("/a", RouteTo::Application),
            route("/t/{topic}", RouteTo::Topics),
            route("/up", RouteTo::Health),
        ]);
        let changed = route("/a", RouteTo::Application).max_message(7);
        let second = Routes::new([changed, route("/b", RouteTo::PubSub)]).unwrap();
        let routes = first.unwrap().followed_by(&second).unwrap();
        let counts = RouteCounts::default();
        let found: Vec<(String, &str)> = sum(&routes, [&counts, &counts].into_iter())
            .into_iter()
            .map(|one| (one.route, one.endpoint))
            .collect();
        let mut expected = vec![("".to_owned(), "app")];
        expected.extend(endpoints().skip(1).map(|(_, name)| (String::new(), name)));
        for (route, endpoint) in [("/a", "app"), ("/b", "pubsub"), ("/t/{topic}", "topics")] {
            expected.push((route.to_owned(), endpoint));
        }
        assert_eq!(found, expected);
    }
}
