//! Stopping and restarting.

use std::path::PathBuf;

use corecast::config::DrainCode;

use crate::cli::settings::amount::{Amount, Unit};
use crate::cli::settings::field::{Choice, Form, Texts};
use crate::cli::settings::setting::Setting;

/// Times that may be zero.
const UP_TO_A_DAY: std::ops::RangeInclusive<u64> = 0..=86_399;

pub(crate) const SETTINGS: &[Setting] = &[
    Setting {
        name: "drain-delay",
        help: "Seconds from SIGTERM for which clients are still accepted, while /healthz, and \
               /readyz of the admin listener, say 503, so that a load balancer notices before \
               anything is refused.",
        example: &["5"],
        field: &Amount {
            at: |options| &mut options.config.draining.delay,
            unit: Unit::Seconds,
            range: UP_TO_A_DAY,
        },
    },
    Setting {
        name: "drain-window",
        help: "Seconds over which WebSockets are closed after that, each at a random moment, so \
               that clients do not all come back at once. Both fit into --drain-timeout.",
        example: &["5"],
        field: &Amount {
            at: |options| &mut options.config.draining.window,
            unit: Unit::Seconds,
            range: UP_TO_A_DAY,
        },
    },
    Setting {
        name: "drain-code",
        help: "The close code of a server that stops.",
        example: &["1012"],
        field: &Choice {
            at: |options| &mut options.config.draining.code,
            value_name: "CODE",
            names: &[
                ("1001", DrainCode::GoingAway, "Going away"),
                ("1012", DrainCode::Restart, "Service restart: clients may connect again"),
            ],
        },
    },
    Setting {
        name: "handover",
        help: "A path for a Unix-domain socket, by which a server that is started with the same \
               one takes the listening sockets of this one, so that a restart refuses nobody. \
               Then this one closes its connections as after SIGTERM, and ends.",
        example: &["/run/corecast/handover"],
        field: &Texts {
            form: Form::Text,
            value_name: "PATH",
            parse: |text| match text {
                "" => Err("it is not the name of a file".to_owned()),
                _ => Ok(PathBuf::from(text)),
            },
            set: |options, paths| {
                options.hand_over = paths.into_iter().next();
                Ok(())
            },
            get: |options| {
                options.hand_over.iter().map(|path| path.display().to_string()).collect()
            },
        },
    },
];
