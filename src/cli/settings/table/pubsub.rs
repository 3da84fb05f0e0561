//! Publish and subscribe.

use corecast::config::SlowConsumer;

use crate::cli::settings::amount::{ANY_SIZE, Amount, Unit};
use crate::cli::settings::field::{Choice, Switch};
use crate::cli::settings::setting::Setting;

pub(crate) const SETTINGS: &[Setting] = &[
    Setting {
        name: "pubsub",
        help: "Serve topics, on /topics/<topic> and /pubsub.",
        example: &["false"],
        field: &Switch {
            at: |options| &mut options.config.pubsub.endpoints,
            off: "Do not serve topics: echo on /topics/<topic> and /pubsub as on every other path.",
        },
    },
    Setting {
        name: "slow-consumer",
        help: "The policy for subscribers that read too slowly.",
        example: &["conflate"],
        field: &Choice {
            at: |options| &mut options.config.pubsub.slow,
            value_name: "POLICY",
            names: &[
                ("close", SlowConsumer::Close, "Close them with 1013"),
                (
                    "drop-newest",
                    SlowConsumer::DropNewest,
                    "Drop new messages until there is room again",
                ),
                ("drop-oldest", SlowConsumer::DropOldest, "Drop the oldest messages in the queue"),
                ("conflate", SlowConsumer::Conflate, "Keep only the latest message of each topic"),
            ],
        },
    },
    Setting {
        name: "subscriber-queue",
        help: "The queue of one subscriber before that policy applies, in bytes or with KiB, MiB, \
               GiB.",
        example: &["1MiB"],
        field: &Amount {
            at: |options| &mut options.config.pubsub.queue,
            unit: Unit::Bytes,
            range: ANY_SIZE,
        },
    },
    Setting {
        name: "max-topic",
        help: "The bytes of a topic or filter; a longer one is refused.",
        example: &["100"],
        field: &Amount {
            at: |options| &mut options.config.pubsub.max_topic,
            unit: Unit::Number,
            range: 1..=65_535,
        },
    },
    Setting {
        name: "max-subscriptions",
        help: "The subscriptions of one connection; a further one is refused.",
        example: &["1000"],
        field: &Amount {
            at: |options| &mut options.config.pubsub.max_subscriptions,
            unit: Unit::Number,
            range: 1..=1_000_000,
        },
    },
    Setting {
        name: "max-connection-index",
        help: "The memory that the filters of one connection may take in the index, some 500 B \
               each and their length; a further filter is refused.",
        example: &["1MiB"],
        field: &Amount {
            at: |options| &mut options.config.pubsub.max_connection_index,
            unit: Unit::Bytes,
            range: 1 << 10..=4 << 30,
        },
    },
    Setting {
        name: "max-index",
        help: "The memory that the index of each loop may take, for the filters of all \
               connections; a further filter is refused.",
        example: &["64MiB"],
        field: &Amount {
            at: |options| &mut options.config.pubsub.max_index,
            unit: Unit::Bytes,
            range: 64 << 10..=4 << 30,
        },
    },
    Setting {
        name: "max-retained",
        help: "The topics with a retained value, for all loops together; a further value is not \
               retained.",
        example: &["1000"],
        field: &Amount {
            at: |options| &mut options.config.pubsub.max_retained,
            unit: Unit::Number,
            range: 0..=100_000_000,
        },
    },
    Setting {
        name: "max-retained-bytes",
        help: "The bytes of all retained values with their topics, for all loops together; a \
               further value is not retained.",
        example: &["16MiB"],
        field: &Amount {
            at: |options| &mut options.config.pubsub.max_retained_bytes,
            unit: Unit::Bytes,
            range: ANY_SIZE,
        },
    },
    Setting {
        name: "publish-backlog",
        help: "The bytes that may be queued between two loops, and for the deliveries of one \
               loop; beyond it, clients that publish are not read from.",
        example: &["16MiB"],
        field: &Amount {
            at: |options| &mut options.config.pubsub.backlog,
            unit: Unit::Bytes,
            range: 64 << 10..=4 << 30,
        },
    },
];
