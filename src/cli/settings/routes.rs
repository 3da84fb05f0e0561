//! The routes that a file has.

use std::collections::BTreeMap;

use corecast::config::{Access, Pattern, Rates, Route, RouteRates, Routes};
use corecast::protocol::websocket::handshake::Origins;

use super::fault::{Fault, Place};
use super::given::Given;
use super::options::{Draft, Options};
use super::setting::Setting;
use super::table::{self, route};

/// One `[[route]]`, as it is written.
pub(crate) struct Table {
    pub(crate) place: Place,
    pub(crate) given: Vec<Given>,
    /// Whether something in it could not be read.
    pub(crate) is_broken: bool,
}

/// The routes that hold, and where each was given, by its path.
#[derive(Default)]
pub(crate) struct Read {
    pub(crate) routes: Routes,
    pub(crate) places: BTreeMap<String, Place>,
}

impl Table {
    /// Where a key of it was given.
    fn place_of(&self, key: &str) -> &Place {
        let given = self.given.iter().find(|given| given.setting.name == key);
        given.map_or(&self.place, |given| &given.place)
    }

    /// Whether it has this key.
    pub(crate) fn has(&self, key: &str) -> bool {
        self.given.iter().any(|given| given.setting.name == key)
    }

    /// What it says. What is wrong is added to `faults`.
    fn options(&self, faults: &mut Vec<Fault>) -> Option<Options> {
        let (mut options, before) = (Options::default(), faults.len());
        for given in &self.given {
            given.apply(&mut options, faults);
        }
        (!self.is_broken && faults.len() == before).then_some(options)
    }

    /// The keys of it that only routes have, if all of it can be read.
    pub(crate) fn draft(&self) -> Option<Draft> {
        self.options(&mut Vec::new()).map(|options| options.draft)
    }

    /// The route that it says. What is wrong is added to `faults`.
    fn route(&self, faults: &mut Vec<Fault>) -> Option<Route> {
        let options = self.options(faults)?;
        let Draft { path, to, compression, access } = options.draft;
        let lacks = (path.is_none(), to.is_none());
        let (Some(path), Some(to)) = (path, to) else {
            for (key, is_missing) in [("path", lacks.0), ("to", lacks.1)] {
                if is_missing {
                    let setting = route::find(key);
                    let example = setting.map(Setting::example_toml).unwrap_or_default();
                    let text = format!("this route has no `{key}`, such as `{key} = {example}`");
                    faults.push(Fault::new(self.place.clone(), text));
                }
            }
            return None;
        };
        let has = |key: &str| self.has(key);
        let config = options.config;
        let mut route = Route::new(path.as_str(), to).ok()?;
        route.max_message = has("max-message").then_some(config.limits.max_message);
        route.origins = has("allow-origin").then_some(config.origins);
        route.slow = has("slow-consumer").then_some(config.pubsub.slow);
        route.queue = has("subscriber-queue").then_some(config.pubsub.queue);
        (route.compression, route.access) = (compression, access);
        route.rates = rates_of(config.rates, has("rate-policy"));
        Some(route)
    }

    /// What cannot hold of a route: by itself, and with the other settings, but for those of which
    /// the value is `unknown`.
    fn broken(&self, route: &Route, options: &Options, unknown: &[&str]) -> Vec<Fault> {
        let fault = |key, text| Fault::new(self.place_of(key).clone(), text);
        let by_itself = route.faults();
        let mut faults: Vec<Fault> =
            by_itself.iter().map(|it| fault(it.setting(), it.reason().to_owned())).collect();
        let memory = options.config.limits.memory;
        for (key, amount) in [("max-message", route.max_message), ("subscriber-queue", route.queue)]
        {
            if amount.is_some_and(|amount| amount > memory) && !unknown.contains(&"max-memory") {
                let most = show("max-memory", options);
                let text =
                    format!("`{key}` is more than {most}, so it can never be reached; lower it");
                faults.push(fault(key, text));
            }
        }
        let (own, server) = (route.rates, options.config.rates);
        for (key, burst, rate, own, server) in [
            ("message-burst", own.message_burst, "message-rate", own.messages, server.messages),
            ("byte-burst", own.byte_burst, "byte-rate", own.bytes, server.bytes),
        ] {
            if burst.is_some() && own.or(server).is_none() && !unknown.contains(&rate) {
                faults.push(fault(key, format!("`{key}` has no effect without `{rate}`")));
            }
        }
        let rates = [own.messages, own.bytes, server.messages, server.bytes];
        let are_rates_known =
            !unknown.iter().any(|name| matches!(*name, "message-rate" | "byte-rate"));
        if own.policy.is_some() && rates.iter().all(Option::is_none) && are_rates_known {
            let text = "`rate-policy` has no effect without `message-rate` or `byte-rate`";
            faults.push(fault("rate-policy", text.to_owned()));
        }
        let is_topics = route.serves_topics();
        if is_topics && !options.config.pubsub.endpoints && !unknown.contains(&"pubsub") {
            let text = "it leads to topics, but `pubsub` is false; leave out one of them";
            faults.push(fault("to", text.to_owned()));
        }
        let tokens = &options.tokens;
        let needs_keys = route.access == Some(Access::Token);
        let are_keys_known = !unknown.iter().any(|name| table::KEYS_OF_TOKENS.contains(name));
        if needs_keys && !options.has_authority() && are_keys_known {
            let text = "it needs tokens, but there is no `token-secret`, `token-key`, \
                        `token-jwks`, `api-keys` or `auth-url` to verify them with";
            faults.push(fault("authority", text.to_owned()));
        }
        let takes_tokens =
            needs_keys || is_topics && route.access.is_none() && options.has_authority();
        let uses_cookies = tokens.cookie.is_some() || options.auth.url.is_some();
        if takes_tokens && uses_cookies && route.origins == Some(Origins::Any) {
            let text = "with `token-cookie` or `auth-url`, `*` would let any page use the cookies \
                        of its visitors; write the origins of your pages";
            faults.push(fault("allow-origin", text.to_owned()));
        }
        faults
    }
}

/// What a route says of rates.
fn rates_of(given: Rates, has_policy: bool) -> RouteRates {
    let mut rates = RouteRates::default();
    (rates.messages, rates.message_burst) = (given.messages, given.message_burst);
    (rates.bytes, rates.byte_burst) = (given.bytes, given.byte_burst);
    rates.control_frames = given.control_frames;
    rates.policy = has_policy.then_some(given.policy);
    rates
}

fn show(name: &str, options: &Options) -> String {
    let value = table::find(name).map(|setting| setting.field.get(options)).unwrap_or_default();
    format!("`{name}` ({})", value.concat())
}

/// The routes of a file. What is wrong is added to `faults`; then there are none.
pub(crate) fn read(
    tables: &[Table],
    options: &Options,
    unknown: &[&str],
    faults: &mut Vec<Fault>,
) -> Read {
    let before = faults.len();
    let mut all: Vec<(Route, &Table)> = Vec::new();
    for table in tables {
        let Some(route) = table.route(faults) else { continue };
        faults.extend(table.broken(&route, options, unknown));
        match all.iter().find(|(other, _)| other.path.is_same(&route.path)) {
            Some((other, first)) => {
                let text = same(&other.path, first.place_of("path"));
                faults.push(Fault::new(table.place_of("path").clone(), text));
            }
            None if all.len() == Routes::MAX => {
                let text = format!("there are more than {} routes", Routes::MAX);
                faults.push(Fault::new(table.place.clone(), text));
                break;
            }
            None => all.push((route, table)),
        }
    }
    if faults.len() > before {
        return Read::default();
    }
    let place = |(route, table): &(Route, &Table)| (route.path.to_string(), table.place.clone());
    let places = all.iter().map(place).collect();
    match Routes::new(all.into_iter().map(|(route, _)| route)) {
        Ok(routes) => Read { routes, places },
        Err(error) => {
            faults.push(Fault::new(Place::Default, error.to_string()));
            Read::default()
        }
    }
}

fn same(path: &Pattern, place: &Place) -> String {
    let place = match place {
        Place::File { line, .. } => format!(" in line {line}"),
        _ => String::new(),
    };
    format!("its paths are those of the route `{path}`{place}; leave out one of them")
}

/// The keys of a route with their values.
pub(crate) fn keys(route: &Route) -> Vec<(&'static Setting, Vec<String>)> {
    let mut options = Options::default();
    let config = &mut options.config;
    config.limits.max_message = route.max_message.unwrap_or_default();
    config.origins = route.origins.clone().unwrap_or_default();
    config.pubsub.slow = route.slow.unwrap_or_default();
    config.pubsub.queue = route.queue.unwrap_or_default();
    let (rates, own) = (&mut config.rates, route.rates);
    (rates.messages, rates.message_burst) = (own.messages, own.message_burst);
    (rates.bytes, rates.byte_burst) = (own.bytes, own.byte_burst);
    (rates.control_frames, rates.policy) = (own.control_frames, own.policy.unwrap_or_default());
    options.draft = Draft {
        path: Some(route.path.clone()),
        to: Some(route.to),
        compression: route.compression,
        access: route.access,
    };
    let is_given = |setting: &&Setting| match setting.name {
        "max-message" => route.max_message.is_some(),
        "allow-origin" => route.origins.is_some(),
        "slow-consumer" => route.slow.is_some(),
        "subscriber-queue" => route.queue.is_some(),
        "rate-policy" => route.rates.policy.is_some(),
        _ => !setting.field.get(&options).is_empty(),
    };
    route::all().filter(is_given).map(|setting| (setting, setting.field.get(&options))).collect()
}
