//! All settings. A new one is an entry in one of these files, and a field of the options.

mod admin;
#[cfg(feature = "auth-url")]
mod auth;
mod clients;
mod compression;
mod life;
mod limits;
mod listening;
mod machine;
mod pubsub;
mod rates;
pub(crate) mod route;
mod timeouts;
#[cfg(feature = "tokens")]
mod tokens;

use super::setting::{Group, Setting};

/// The settings under their headings, in the order of `--help`.
pub(crate) const GROUPS: &[Group] = &[
    Group { title: "Listening", settings: listening::SETTINGS },
    Group { title: "Clients", settings: clients::SETTINGS },
    #[cfg(feature = "tokens")]
    Group { title: "Tokens and API keys", settings: tokens::SETTINGS },
    #[cfg(feature = "auth-url")]
    Group { title: "A backend that decides", settings: auth::SETTINGS },
    Group { title: "Limits", settings: limits::SETTINGS },
    Group { title: "Rates", settings: rates::SETTINGS },
    Group { title: "Timeouts", settings: timeouts::SETTINGS },
    Group { title: "Stopping and restarting", settings: life::SETTINGS },
    Group { title: "Compression", settings: compression::SETTINGS },
    Group { title: "Publish and subscribe", settings: pubsub::SETTINGS },
    Group { title: "Machine", settings: machine::SETTINGS },
    Group { title: "Administration and log", settings: admin::SETTINGS },
];

/// The settings that name what tokens are verified with.
pub(crate) const KEYS_OF_TOKENS: [&str; 4] =
    ["token-secret", "token-key", "token-jwks", "api-keys"];

/// The settings of all groups.
pub(crate) fn all() -> impl Iterator<Item = &'static Setting> {
    GROUPS.iter().flat_map(|group| group.settings)
}

/// The setting with this name.
pub(crate) fn find(name: &str) -> Option<&'static Setting> {
    all().find(|setting| setting.name == name)
}
