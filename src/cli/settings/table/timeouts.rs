//! Timeouts.

use crate::cli::settings::amount::{ANY_TIME, Amount, Unit};
use crate::cli::settings::setting::Setting;

pub(crate) const SETTINGS: &[Setting] = &[
    Setting {
        name: "handshake-timeout",
        help: "Seconds from accept to the end of the head of the first request, TLS included, and \
               for a later request from its first byte; then 408.",
        example: &["10"],
        field: &Amount {
            at: |options| &mut options.config.timeouts.handshake,
            unit: Unit::Seconds,
            range: ANY_TIME,
        },
    },
    Setting {
        name: "body-timeout",
        help: "Seconds from the end of the head of a plain request to the end of its body; then \
               408.",
        example: &["10"],
        field: &Amount {
            at: |options| &mut options.config.timeouts.body,
            unit: Unit::Seconds,
            range: ANY_TIME,
        },
    },
    Setting {
        name: "keep-alive-timeout",
        help: "Seconds from the answer to a plain request to the next request; then the \
               connection is closed.",
        example: &["15"],
        field: &Amount {
            at: |options| &mut options.config.timeouts.keep_alive,
            unit: Unit::Seconds,
            range: ANY_TIME,
        },
    },
    Setting {
        name: "message-timeout",
        help: "Seconds within which a message that comes in pieces must be complete, and one \
               second more for each 4 KiB of it; beyond that, its connection is closed with 1008.",
        example: &["20"],
        field: &Amount {
            at: |options| &mut options.config.timeouts.message,
            unit: Unit::Seconds,
            range: ANY_TIME,
        },
    },
    Setting {
        name: "ping-after",
        help: "Seconds without input from a client before it is sent a ping.",
        example: &["20"],
        field: &Amount {
            at: |options| &mut options.config.timeouts.ping_after,
            unit: Unit::Seconds,
            range: ANY_TIME,
        },
    },
    Setting {
        name: "pong-timeout",
        help: "Seconds from a ping to the next input from the client; then its connection is \
               closed with 1001. A client that is seen to read slowly has more time.",
        example: &["10"],
        field: &Amount {
            at: |options| &mut options.config.timeouts.pong,
            unit: Unit::Seconds,
            range: ANY_TIME,
        },
    },
    Setting {
        name: "idle-timeout",
        help: "Seconds without a message before a connection is closed with 1001; without it, no \
               limit.",
        example: &["300"],
        field: &Amount {
            at: |options| &mut options.config.timeouts.idle,
            unit: Unit::Seconds,
            range: ANY_TIME,
        },
    },
    Setting {
        name: "stall-timeout",
        help: "Seconds for which queued data makes no progress because the client does not read; \
               then its connection is closed with 1013.",
        example: &["30"],
        field: &Amount {
            at: |options| &mut options.config.timeouts.stall,
            unit: Unit::Seconds,
            range: ANY_TIME,
        },
    },
    Setting {
        name: "close-timeout",
        help: "Seconds from the close frame of the server to that of the client; then the \
               connection is closed.",
        example: &["2"],
        field: &Amount {
            at: |options| &mut options.config.timeouts.close,
            unit: Unit::Seconds,
            range: ANY_TIME,
        },
    },
    Setting {
        name: "linger-timeout",
        help: "Seconds for which input is still read and discarded after a protocol error or a \
               refusal, so that the client receives the reason and not a reset.",
        example: &["1"],
        field: &Amount {
            at: |options| &mut options.config.timeouts.linger,
            unit: Unit::Seconds,
            range: ANY_TIME,
        },
    },
    Setting {
        name: "drain-timeout",
        help: "Seconds from SIGTERM until the connections that are left are cut.",
        example: &["30"],
        field: &Amount {
            at: |options| &mut options.config.timeouts.drain,
            unit: Unit::Seconds,
            range: ANY_TIME,
        },
    },
];
