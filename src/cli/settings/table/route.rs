//! The keys of `[[route]]` in a file. There are no flags for them.

use corecast::config::{Access, Compression, RouteTo};

use crate::cli::settings::field::{Choice, Form, Texts};
use crate::cli::settings::setting::Setting;
use crate::cli::settings::table;

/// Settings that a route may have of its own, beside those of the server.
const SHARED: [&str; 4] = ["max-message", "allow-origin", "slow-consumer", "subscriber-queue"];

const OWN: &[Setting] = &[
    Setting {
        name: "path",
        help: "The paths: text as it is, `{name}` for one segment, and at the end `{name...}` or \
               `*` for all that follows. Paths are compared after percent-decoding.",
        example: &["/topics/{topic...}"],
        field: &Texts {
            form: Form::Text,
            value_name: "PATTERN",
            parse: |text| text.parse().map_err(|error| format!("{error}")),
            set: |options, paths| {
                options.draft.path = paths.into_iter().next();
                Ok(())
            },
            get: |options| options.draft.path.iter().map(ToString::to_string).collect(),
        },
    },
    Setting {
        name: "to",
        help: "What is served there.",
        example: &["topics"],
        field: &Choice {
            at: |options| &mut options.draft.to,
            value_name: "WHAT",
            names: &[
                ("echo", Some(RouteTo::Application), "Every message comes back"),
                (
                    "topics",
                    Some(RouteTo::Topics),
                    "Messages of a topic: `{topic}` or `{topic...}` in the path",
                ),
                ("pubsub", Some(RouteTo::PubSub), "Many topics on one connection, in JSON"),
                ("health", Some(RouteTo::Health), "200 and `ok` to plain requests"),
                ("off", Some(RouteTo::Off), "404, as for paths without a route"),
            ],
        },
    },
    Setting {
        name: "compression",
        help: "Compression (permessage-deflate), in place of `deflate`, \
               `server-context-takeover` and `client-context-takeover`. Routes to topics know no \
               `context-takeover`.",
        example: &["off"],
        field: &Choice {
            at: |options| &mut options.draft.compression,
            value_name: "COMPRESSION",
            names: &[
                ("off", Some(Compression::Off), "Do not negotiate it"),
                (
                    "no-context-takeover",
                    Some(Compression::NoContextTakeover),
                    "Negotiate it; no side keeps its window",
                ),
                (
                    "context-takeover",
                    Some(Compression::ContextTakeover),
                    "Negotiate it; both sides may keep their windows",
                ),
            ],
        },
    },
    Setting {
        name: "authority",
        help: "Who may connect. Without it, clients of topics need a token or an API key if there \
               are keys for tokens, and clients of the echo do not.",
        example: &["token"],
        field: &Choice {
            at: |options| &mut options.draft.access,
            value_name: "AUTHORITY",
            names: &[
                (
                    "none",
                    Some(Access::Anyone),
                    "Everybody, who may publish and subscribe to all topics there",
                ),
                ("token", Some(Access::Token), "Who shows a valid token or API key, until it ends"),
            ],
        },
    },
];

/// All keys, in the order in which they are shown.
pub(crate) fn all() -> impl Iterator<Item = &'static Setting> + Clone {
    let shared = SHARED.into_iter().filter_map(table::find);
    let (first, last) = OWN.split_at(2);
    first.iter().chain(shared).chain(last)
}

/// The key with this name.
pub(crate) fn find(name: &str) -> Option<&'static Setting> {
    all().find(|setting| setting.name == name)
}
