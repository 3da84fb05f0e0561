//! Limits of connections, requests and messages.

use corecast::protocol::http::HARD_MAX_HEADERS;

use crate::cli::settings::amount::{ANY_SIZE, Amount, Unit};
use crate::cli::settings::setting::Setting;

pub(crate) const SETTINGS: &[Setting] = &[
    Setting {
        name: "max-connections",
        help: "The connections of each loop; a further one is answered with 503. Never more than \
               RLIMIT_NOFILE allows.",
        example: &["10000"],
        field: &Amount {
            at: |options| &mut options.config.limits.max_connections,
            unit: Unit::Number,
            range: 1..=16_000_000,
        },
    },
    Setting {
        name: "max-connections-per-address",
        help: "The connections of one address, for all loops together: of an IPv4 address, or of \
               the first 64 bits of an IPv6 address; a further one is answered with 429. Behind \
               proxies it is the address that they name (--trust-proxy, or ,proxy behind an \
               address to listen on). Without it, no limit.",
        example: &["100"],
        field: &Amount {
            at: |options| &mut options.config.limits.max_connections_per_address,
            unit: Unit::Number,
            range: 1..=16_000_000,
        },
    },
    Setting {
        name: "max-handshakes",
        help: "The connections of each loop whose first request is not answered yet; a further one \
               is answered with 503. Without it, no limit.",
        example: &["1000"],
        field: &Amount {
            at: |options| &mut options.config.limits.max_handshakes,
            unit: Unit::Number,
            range: 1..=16_000_000,
        },
    },
    Setting {
        name: "handshake-rate",
        help: "The connections that one address may begin in a second, for all loops together; a \
               further one is answered with 429. Of a proxy that is trusted (--trust-proxy) the \
               handshakes of WebSockets count, for the address that it names. Without it, no \
               limit.",
        example: &["10"],
        field: &Amount {
            at: |options| &mut options.config.limits.handshake_rate,
            unit: Unit::Number,
            range: 1..=1_000_000,
        },
    },
    Setting {
        name: "handshake-burst",
        help: "The connections that one address may begin at once, after a time in which it has \
               begun fewer than --handshake-rate; without it, those of a second.",
        example: &["50"],
        field: &Amount {
            at: |options| &mut options.config.limits.handshake_burst,
            unit: Unit::Number,
            range: 1..=1_000_000,
        },
    },
    Setting {
        name: "max-memory",
        help: "The memory that the clients of one loop may make it hold, for incomplete messages, \
               input and output that waits, filters and retained values, in bytes or with KiB, \
               MiB, GiB. Filters and retained values may take half of it. Near it, new \
               connections are answered with 503 and publishers wait; beyond it, those that hold \
               the most are closed.",
        example: &["1GiB"],
        field: &Amount {
            at: |options| &mut options.config.limits.memory,
            unit: Unit::Bytes,
            range: 1 << 20..=4 << 30,
        },
    },
    Setting {
        name: "max-head",
        help: "The largest head of a request; a larger one is answered with 431.",
        example: &["32KiB"],
        field: &Amount {
            at: |options| &mut options.config.limits.head.max_bytes,
            unit: Unit::Bytes,
            range: 1 << 10..=256 << 10,
        },
    },
    Setting {
        name: "max-request-line",
        help: "The longest first line of a request; a longer one is answered with 414.",
        example: &["4KiB"],
        field: &Amount {
            at: |options| &mut options.config.limits.head.max_line,
            unit: Unit::Bytes,
            range: 256..=256 << 10,
        },
    },
    Setting {
        name: "max-headers",
        help: "The header lines of a request; a request with more is answered with 431.",
        example: &["100"],
        field: &Amount {
            at: |options| &mut options.config.limits.head.max_headers,
            unit: Unit::Number,
            range: 8..=HARD_MAX_HEADERS as u64,
        },
    },
    Setting {
        name: "max-body",
        help: "The largest body of a plain request; a larger one is answered with 413.",
        example: &["64KiB"],
        field: &Amount {
            at: |options| &mut options.config.limits.max_body,
            unit: Unit::Bytes,
            range: ANY_SIZE,
        },
    },
    Setting {
        name: "max-message",
        help: "The largest message after decompression, in bytes or with KiB, MiB, GiB; a larger \
               one closes its connection with 1009.",
        example: &["1MiB"],
        field: &Amount {
            at: |options| &mut options.config.limits.max_message,
            unit: Unit::Bytes,
            range: ANY_SIZE,
        },
    },
    Setting {
        name: "max-fragments",
        help: "The fragments of one message; more close its connection with 1008.",
        example: &["1000"],
        field: &Amount {
            at: |options| &mut options.config.limits.max_fragments,
            unit: Unit::Number,
            range: 1..=u32::MAX as u64,
        },
    },
    Setting {
        name: "send-queue",
        help: "The replies that may be queued for a client that reads slowly, before the server \
               stops reading from it.",
        example: &["1MiB"],
        field: &Amount {
            at: |options| &mut options.config.limits.send_queue,
            unit: Unit::Bytes,
            range: 1 << 10..=4 << 30,
        },
    },
];
