//! Who may connect, and who is believed.

use corecast::protocol::http::TrustedProxies;
use corecast::protocol::websocket::handshake::{Origin, Origins};

use crate::cli::settings::field::{Form, Texts};
use crate::cli::settings::options::Options;
use crate::cli::settings::setting::Setting;
use crate::cli::values::{parse_origin, parse_proxies};

pub(crate) const SETTINGS: &[Setting] = &[
    Setting {
        name: "allow-origin",
        help: "Let only web pages of this origin connect, such as https://example.org, written as \
               browsers send it; may be given several times. `*` alone allows every page. Clients \
               that send no origin are not affected.",
        example: &["https://example.org", "http://localhost:8080"],
        field: &Texts {
            form: Form::List,
            value_name: "ORIGIN",
            parse: parse_origin,
            set: set_origins,
            get: |options| match &options.config.origins {
                Origins::List(origins) => origins.iter().map(ToString::to_string).collect(),
                _ => vec!["*".to_owned()],
            },
        },
    },
    Setting {
        name: "trust-proxy",
        help: "Believe the proxies of this network, such as 10.0.0.0/8, when they say in Forwarded \
               or X-Forwarded-For which client a request comes from; may be given several times. \
               `unix` are the peers on Unix-domain sockets. The addresses of refused clients are \
               logged then.",
        example: &["10.0.0.0/8", "unix"],
        field: &Texts {
            form: Form::List,
            value_name: "NETWORK",
            parse: parse_proxies,
            set: |options, all| {
                let proxies = &mut options.config.trusted_proxies;
                *proxies = TrustedProxies::default();
                for one in all {
                    proxies.networks.extend(one.networks);
                    proxies.unix |= one.unix;
                }
                Ok(())
            },
            get: |options| {
                let proxies = &options.config.trusted_proxies;
                let networks = proxies.networks.iter().map(ToString::to_string);
                networks.chain(proxies.unix.then(|| "unix".to_owned())).collect()
            },
        },
    },
];

/// `None` is `*`.
fn set_origins(options: &mut Options, origins: Vec<Option<Origin>>) -> Result<(), String> {
    let list: Vec<Origin> = origins.iter().flatten().cloned().collect();
    options.config.origins = match (origins.len(), list.len()) {
        (0, _) => {
            return Err("it is empty, so no page could connect; write `*` for all pages".to_owned());
        }
        (_, 0) => Origins::Any,
        (all, listed) if all == listed => Origins::List(list),
        _ => {
            return Err(
                "`*` allows every page, so other origins have no effect; leave out `*`, or \
                        the others"
                    .to_owned(),
            );
        }
    };
    Ok(())
}
