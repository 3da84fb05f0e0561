//! How fast a client may send.

use corecast::config::RatePolicy;

use crate::cli::settings::amount::{Amount, Unit};
use crate::cli::settings::field::Choice;
use crate::cli::settings::setting::Setting;

pub(crate) const SETTINGS: &[Setting] = &[
    Setting {
        name: "message-rate",
        help: "The messages that a client may send in a second; see --rate-policy. Without it, no \
               limit.",
        example: &["100"],
        field: &Amount {
            at: |options| &mut options.config.rates.messages,
            unit: Unit::Number,
            range: 1..=1_000_000_000,
        },
    },
    Setting {
        name: "message-burst",
        help: "The messages that a client may send at once, after a time in which it has sent less \
               than --message-rate; without it, those of a second.",
        example: &["500"],
        field: &Amount {
            at: |options| &mut options.config.rates.message_burst,
            unit: Unit::Number,
            range: 1..=1_000_000_000,
        },
    },
    Setting {
        name: "byte-rate",
        help: "The bytes that a client may send in a second, in bytes or with KiB, MiB, GiB, as \
               they are received: with the headers of frames, and compressed; see --rate-policy. \
               Without it, no limit.",
        example: &["64KiB"],
        field: &Amount {
            at: |options| &mut options.config.rates.bytes,
            unit: Unit::Bytes,
            range: 1..=2 << 30,
        },
    },
    Setting {
        name: "byte-burst",
        help: "The bytes that a client may send at once, after a time in which it has sent less \
               than --byte-rate; without it, those of a second.",
        example: &["256KiB"],
        field: &Amount {
            at: |options| &mut options.config.rates.byte_burst,
            unit: Unit::Bytes,
            range: 1..=2 << 30,
        },
    },
    Setting {
        name: "rate-policy",
        help: "What becomes of a client that sends faster than --message-rate or --byte-rate.",
        example: &["close"],
        field: &Choice {
            at: |options| &mut options.config.rates.policy,
            value_name: "POLICY",
            names: &[
                ("delay", RatePolicy::Delay, "Do not read from it until it may go on"),
                ("close", RatePolicy::Close, "Close it with 1008"),
            ],
        },
    },
    Setting {
        name: "control-rate",
        help: "The pings and pongs that a client may send in a second, and at once; a further one \
               closes its connection with 1008. Without it, no limit.",
        example: &["10"],
        field: &Amount {
            at: |options| &mut options.config.rates.control_frames,
            unit: Unit::Number,
            range: 1..=1_000_000_000,
        },
    },
];
