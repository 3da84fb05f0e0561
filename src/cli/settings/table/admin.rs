//! Administration and the log.

use std::path::PathBuf;

use crate::cli::listen::parse_listen;
use crate::cli::settings::field::{Choice, Form, Switch, Texts};
use crate::cli::settings::level::Level;
use crate::cli::settings::options::LogFormat;
use crate::cli::settings::setting::Setting;

pub(crate) const SETTINGS: &[Setting] = &[
    Setting {
        name: "admin",
        help: "An address for those who administrate the server, in the forms of --listen: \
               metrics for Prometheus, health, lists of connections and topics, and orders to \
               close, publish and drain; may be given several times. Without --admin-token-file \
               it has to be on this machine alone.",
        example: &["127.0.0.1:9100"],
        field: &Texts {
            form: Form::List,
            value_name: "ADDR:PORT",
            parse: parse_listen,
            set: |options, listens| {
                options.admin.listen = listens;
                Ok(())
            },
            get: |options| {
                options.admin.listen.iter().map(|listens| listens.text.clone()).collect()
            },
        },
    },
    Setting {
        name: "admin-token-file",
        help: "A file with the token that requests to --admin have to give, as `Authorization: \
               Bearer`: 16 characters or more, without white space. SIGHUP has it read again.",
        example: &["/etc/corecast/admin-token"],
        field: &Texts {
            form: Form::Text,
            value_name: "FILE",
            parse: |text| match text {
                "" => Err("it is not the name of a file".to_owned()),
                _ => Ok(PathBuf::from(text)),
            },
            set: |options, paths| {
                options.admin.token_file = paths.into_iter().next();
                Ok(())
            },
            get: |options| {
                options.admin.token_file.iter().map(|path| path.display().to_string()).collect()
            },
        },
    },
    Setting {
        name: "log-format",
        help: "The format of the log on standard error.",
        example: &["json"],
        field: &Choice {
            at: |options| &mut options.log.format,
            value_name: "FORMAT",
            names: &[
                ("text", LogFormat::Text, "Plain text"),
                ("json", LogFormat::Json, "One JSON object per line"),
            ],
        },
    },
    Setting {
        name: "log-level",
        help: "What is logged: error, warn, info, debug, trace or off, or a list of levels for \
               parts, such as info,corecast::access=off. Without it the variable RUST_LOG says \
               so, and without that it is info.",
        example: &["warn"],
        field: &Texts {
            form: Form::Text,
            value_name: "LEVEL",
            parse: Level::parse,
            set: |options, levels| {
                options.log.level = levels.into_iter().next();
                Ok(())
            },
            get: |options| options.log.level.iter().map(|level| level.text.clone()).collect(),
        },
    },
    Setting {
        name: "peer-addresses",
        help: "Know the addresses of peers, for the lines of the log about refusals and closes. \
               It takes 32 bytes for each connection. With an admin listener, an access log, \
               --auth-url or --trust-proxy they are known in any case.",
        example: &["false"],
        field: &Switch {
            at: |options| &mut options.config.peer_addresses,
            off: "Do not ask for the addresses of peers.",
        },
    },
    Setting {
        name: "access-log",
        help: "Log each answered request, and the end of each WebSocket, with the address of the \
               client. The lines have level info, as corecast::access. They have no payloads, \
               tokens or queries.",
        example: &["true"],
        field: &Switch {
            at: |options| &mut options.config.access_log,
            off: "Do not log requests that are answered.",
        },
    },
];
