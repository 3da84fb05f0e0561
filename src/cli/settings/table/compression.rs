//! permessage-deflate (RFC 7692).

use crate::cli::settings::amount::{Amount, Unit};
use crate::cli::settings::field::Switch;
use crate::cli::settings::setting::Setting;

pub(crate) const SETTINGS: &[Setting] = &[
    Setting {
        name: "deflate",
        help: "Negotiate compression (permessage-deflate).",
        example: &["false"],
        field: &Switch {
            at: |options| &mut options.config.deflate.enabled,
            off: "Do not negotiate compression (permessage-deflate).",
        },
    },
    Setting {
        name: "deflate-level",
        help: "The level of compression, 1 (fast) to 9 (small).",
        example: &["6"],
        field: &Amount {
            at: |options| &mut options.config.deflate_level,
            unit: Unit::Number,
            range: 1..=9,
        },
    },
    Setting {
        name: "server-context-takeover",
        help: "Let the server keep its window from message to message, if the client agrees. \
               Messages become smaller, and each such connection keeps a compressor of 250 to 400 \
               KiB.",
        example: &["true"],
        field: &Switch {
            at: |options| &mut options.config.deflate.server_context_takeover,
            off: "Do not let the server keep its window from message to message.",
        },
    },
    Setting {
        name: "client-context-takeover",
        help: "Let clients keep their window from message to message. Their messages become \
               smaller, and each such connection keeps a decompressor with its window.",
        example: &["true"],
        field: &Switch {
            at: |options| &mut options.config.deflate.client_context_takeover,
            off: "Do not let clients keep their window from message to message.",
        },
    },
    Setting {
        name: "server-window-bits",
        help: "The largest window of the compressor of the server, as a power of two.",
        example: &["12"],
        field: &Amount {
            at: |options| &mut options.config.deflate.server_max_window_bits,
            unit: Unit::Number,
            range: 8..=15,
        },
    },
    Setting {
        name: "client-window-bits",
        help: "The largest window of the compressors of clients that let the server choose, as a \
               power of two.",
        example: &["12"],
        field: &Amount {
            at: |options| &mut options.config.deflate.client_max_window_bits,
            unit: Unit::Number,
            range: 8..=15,
        },
    },
];
