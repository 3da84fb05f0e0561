//! Cores, kernel, buffers, log.

use corecast::config::Backend;
use corecast::error::CoreList;

use crate::cli::settings::amount::{Amount, Unit};
use crate::cli::settings::field::{Choice, Form, Texts};
use crate::cli::settings::options::LogFormat;
use crate::cli::settings::setting::Setting;
use crate::cli::values::parse_cores;

pub(crate) const SETTINGS: &[Setting] = &[
    Setting {
        name: "cores",
        help: "The cores to run on, one loop on each, such as 0,2-3; without it, all that the \
               process may use.",
        example: &["0"],
        field: &Texts {
            form: Form::Text,
            value_name: "LIST",
            parse: parse_cores,
            set: |options, lists| {
                options.cores = lists.into_iter().next();
                Ok(())
            },
            get: |options| options.cores.iter().map(|cores| CoreList(cores).to_string()).collect(),
        },
    },
    Setting {
        name: "loops-per-core",
        help: "The number of loops on each core. More than one is useful only to hold more \
               connections than RLIMIT_NOFILE allows for one ring, if that limit cannot be \
               raised.",
        example: &["2"],
        field: &Amount {
            at: |options| &mut options.loops_per_core,
            unit: Unit::Number,
            range: 1..=16,
        },
    },
    Setting {
        name: "backend",
        help: "The interface of the kernel. Where io_uring cannot be used, auto logs a warning \
               that names the cause, and uses epoll. On epoll all loops share the limit of open \
               files.",
        example: &["epoll"],
        field: &Choice {
            at: |options| &mut options.config.backend,
            value_name: "BACKEND",
            names: &[
                ("auto", Backend::Auto, "io_uring if it can be used, else epoll"),
                ("uring", Backend::Uring, "io_uring; the start fails without it"),
                ("epoll", Backend::Epoll, "epoll"),
            ],
        },
    },
    Setting {
        name: "buffers",
        help: "The receive buffers that each loop begins with.",
        example: &["64"],
        field: &Amount {
            at: |options| &mut options.config.buffers.count,
            unit: Unit::PowerOfTwo,
            range: 2..=32_768,
        },
    },
    Setting {
        name: "max-buffers",
        help: "The receive buffers that a loop may come to have, which it doubles whenever a \
               receive finds none.",
        example: &["2048"],
        field: &Amount {
            at: |options| &mut options.config.buffers.max,
            unit: Unit::PowerOfTwo,
            range: 2..=32_768,
        },
    },
    Setting {
        name: "buffer-size",
        help: "The size of a receive buffer.",
        example: &["8KiB"],
        field: &Amount {
            at: |options| &mut options.config.buffers.size,
            unit: Unit::Bytes,
            range: 64..=1 << 20,
        },
    },
    Setting {
        name: "log-format",
        help: "The format of the log on standard error.",
        example: &["json"],
        field: &Choice {
            at: |options| &mut options.log_format,
            value_name: "FORMAT",
            names: &[
                ("text", LogFormat::Text, "Plain text"),
                ("json", LogFormat::Json, "One JSON object per line"),
            ],
        },
    },
];
