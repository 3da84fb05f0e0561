//! Settings that have an effect only if others allow it: by `pubsub`, by routes, by compression.

#[cfg(feature = "tokens")]
use corecast::config::Access;
use corecast::config::{Compression, RouteTo};

use super::check::Check;
use super::options::Draft;

/// Settings that have no effect under a condition.
pub(super) struct Effect {
    pub(super) settings: &'static [&'static str],
    /// The settings that decide it, beside routes.
    pub(super) by: &'static [&'static str],
    /// For the documents.
    #[cfg_attr(not(test), expect(dead_code))]
    pub(super) says: &'static str,
    /// Why one of them that was chosen has no effect, if that is so.
    pub(super) missing: fn(&Check<'_>, &str) -> Option<String>,
}

pub(super) const EFFECTS: &[Effect] = &[
    #[cfg(feature = "tokens")]
    Effect {
        settings: &["token-secret", "token-key", "token-jwks", "api-keys", "auth-url"],
        by: &["pubsub"],
        says: "`token-secret`, `token-key`, `token-jwks`, `api-keys` and `auth-url` are there only \
               if something is protected: topics without `authority = \"none\"`, or a route with \
               `authority = \"token\"`",
        missing: protects_nothing,
    },
    Effect {
        settings: &[
            "slow-consumer",
            "subscriber-queue",
            "max-topic",
            "max-subscriptions",
            "max-connection-index",
            "max-index",
            "max-retained",
            "max-retained-bytes",
            "publish-backlog",
        ],
        by: &["pubsub"],
        says: "`slow-consumer`, `subscriber-queue` and all other settings of publish and \
               subscribe, if they are not the defaults, are there only with topics: with \
               `pubsub`, and a route to topics if there are routes, without its own \
               `slow-consumer` or `subscriber-queue`",
        missing: without_topics,
    },
    Effect {
        settings: &["deflate-level", "server-window-bits", "client-window-bits"],
        by: &["deflate"],
        says: "`deflate-level`, `server-window-bits` and `client-window-bits`, if they are not the \
               defaults, are there only with `deflate`, or a route with `compression`",
        missing: without_compression,
    },
    Effect {
        settings: &["access-log"],
        by: &["log-level"],
        says: "`access-log` is there only if `log-level` has its lines, which are of level info; a \
               level that names `corecast::access` may leave them out",
        missing: without_lines,
    },
    Effect {
        settings: &["peer-addresses"],
        by: &["admin", "access-log", "auth-url", "trust-proxy"],
        says: "`peer-addresses` is `false` only without `admin`, `access-log`, `auth-url` and \
               `trust-proxy`, which need the addresses",
        missing: needed_by_others,
    },
    Effect {
        settings: &["max-connections-per-address"],
        by: &["max-connections", "cores", "loops-per-core"],
        says: "`max-connections-per-address` is not more than `max-connections` of all loops \
               together, if `cores` says how many there are",
        missing: above_all_connections,
    },
];

/// Whether this is so of a route, or may be, since it could not be read.
fn any_route(check: &Check<'_>, has: impl Fn(&Draft) -> bool) -> bool {
    check.tables.iter().any(|table| table.draft().is_none_or(|draft| has(&draft)))
}

/// Whether a route leads to topics. What leads nowhere is told as another fault.
fn is_topics(route: &Draft) -> bool {
    route.to.is_none_or(|to| matches!(to, RouteTo::Topics | RouteTo::PubSub))
}

#[cfg(feature = "tokens")]
fn protects_nothing(check: &Check<'_>, name: &str) -> Option<String> {
    let shown = check.name(name);
    if check.tables.is_empty() {
        let text = format!(
            "{shown} protects nothing: {} leaves only the echo, which needs no authority; leave \
             out one of them, or write a `[[route]]` with `authority = \"token\"`",
            check.show("pubsub")
        );
        return (!check.options.config.pubsub.endpoints).then_some(text);
    }
    let is_protected = any_route(check, |route| match route.access {
        Some(Access::Token) => true,
        Some(Access::Anyone) => false,
        None => is_topics(route),
    });
    let text = format!(
        "{shown} protects nothing: no `[[route]]` has `authority = \"token\"`, or leads to topics \
         without `authority = \"none\"`; write `authority = \"token\"` in one, or leave it out"
    );
    (!is_protected).then_some(text)
}

fn without_topics(check: &Check<'_>, name: &str) -> Option<String> {
    let shown = check.name(name);
    if check.tables.is_empty() {
        let text = format!("{shown} has no effect: {} turns off topics", check.show("pubsub"));
        let text = format!("{text}; leave out one of them");
        return (!check.options.config.pubsub.endpoints).then_some(text);
    }
    if !any_route(check, is_topics) {
        return Some(format!(
            "{shown} has no effect: no `[[route]]` leads to topics; leave it out"
        ));
    }
    let has_own = |table: &super::routes::Table| {
        table.has(name) || table.draft().is_some_and(|route| !is_topics(&route))
    };
    let text =
        format!("{shown} has no effect: each `[[route]]` to topics has its own; leave it out");
    check.tables.iter().all(has_own).then_some(text)
}

fn without_compression(check: &Check<'_>, name: &str) -> Option<String> {
    let by_default = check.options.config.deflate.enabled;
    let shown = check.name(name);
    if check.tables.is_empty() {
        let text = format!("{shown} has no effect without {}", check.name("deflate"));
        return (!by_default).then_some(text);
    }
    let compresses = any_route(check, |route| match (route.to, route.compression) {
        (Some(RouteTo::Health | RouteTo::Off), _) | (_, Some(Compression::Off)) => false,
        (_, Some(_)) => true,
        (_, None) => by_default,
    });
    let text = format!("{shown} has no effect: no `[[route]]` has compression; leave it out");
    (!compresses).then_some(text)
}

fn without_lines(check: &Check<'_>, name: &str) -> Option<String> {
    const PART: &str = "corecast::access";
    let level = check.options.log.level.as_ref()?;
    let is_on = check.options.config.access_log;
    let text = format!(
        "{} has no effect: {} leaves out its lines, which are of level info; leave out one of \
         them, or write a list of levels such as `warn,{PART}=info`",
        check.name(name),
        check.show("log-level")
    );
    (is_on && level.hides(PART, tracing::Level::INFO)).then_some(text)
}

fn needed_by_others(check: &Check<'_>, name: &str) -> Option<String> {
    let options = check.options;
    let config = &options.config;
    let by = [
        ("admin", !options.admin.listen.is_empty()),
        ("access-log", config.access_log),
        ("auth-url", options.auth.url.is_some()),
        ("trust-proxy", !config.trusted_proxies.is_empty()),
    ];
    let (by, _) = by.into_iter().find(|(_, needs)| *needs)?;
    let text = || {
        let [shown, by] = [name, by].map(|name| check.name(name));
        format!("{shown} has no effect: {by} needs the addresses; leave it out")
    };
    (!config.peer_addresses).then(text)
}

/// Without `cores` the number of loops is that of the machine, which a file need not know.
fn above_all_connections(check: &Check<'_>, name: &str) -> Option<String> {
    let options = check.options;
    let loops = options.cores.as_ref()?.len() as u64 * options.loops_per_core as u64;
    let limits = &options.config.limits;
    let all = loops * u64::from(limits.max_connections);
    let of_loops = match loops {
        1 => "of the one loop".to_owned(),
        loops => format!("of each of {loops} loops"),
    };
    let text = format!(
        "{} is more than {} {of_loops} allows, so it can never be reached; lower it or raise the \
         other",
        check.show(name),
        check.show("max-connections")
    );
    limits.max_connections_per_address.is_some_and(|most| u64::from(most) > all).then_some(text)
}
