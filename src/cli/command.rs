//! The command line, as clap takes it.

use std::path::PathBuf;

use clap::{Arg, ArgAction, ArgMatches, Command};

use super::settings::arguments;

/// The commands with their flags.
pub(super) fn command() -> Command {
    let file = Arg::new("file").value_name("FILE").required(true);
    Command::new("corecast")
        .version(env!("CARGO_PKG_VERSION"))
        .about("A strict, thread-per-core WebSocket server on io_uring or epoll")
        .max_term_width(100)
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommand(serve())
        .subcommand(top())
        .subcommand(
            Command::new("ping")
                .about("Ask whether a server answers: exit code 0 if so, also if it is full")
                .arg(
                    Arg::new("address")
                        .value_name("ADDR:PORT")
                        .default_value("127.0.0.1:9001")
                        .help("A listener of it without TLS, or unix: and a path"),
                )
                .arg(admin().hide(true)),
        )
        .subcommand(
            Command::new("drain")
                .about(
                    "Have a server drain, by its admin listener: it is not ready any more, takes \
                     no new clients and closes those that it has, as its settings say",
                )
                .arg(address())
                .arg(admin().hide(true))
                .arg(token_file())
                .arg(
                    Arg::new("exit")
                        .long("exit")
                        .action(ArgAction::SetTrue)
                        .help("It ends once it has drained, as after SIGTERM"),
                ),
        )
        .subcommand(
            Command::new("check-config")
                .about("Say all that is wrong with a configuration file, with the lines")
                .arg(file.help("The file; - is standard input")),
        )
        .subcommand(
            Command::new("default-config")
                .about("Print a complete configuration file with all defaults and their meaning"),
        )
        .subcommand(
            Command::new("probe").about(
                "Print for each backend, io_uring and epoll, whether it would be used and why",
            ),
        )
}

fn serve() -> Command {
    Command::new("serve")
        .about(
            "Serve until SIGTERM or SIGINT: publish and subscribe on /topics/<topic> and, in \
             JSON, on /pubsub; echo on every other path",
        )
        .arg(
            Arg::new("config")
                .long("config")
                .value_name("FILE")
                .help(
                    "Read the settings from this file, or from the one that CORECAST_CONFIG \
                     names; `corecast default-config` prints a file to begin with",
                )
                .help_heading("Configuration"),
        )
        .arg(
            Arg::new("print-config")
                .long("print-config")
                .action(ArgAction::SetTrue)
                .help("Print all settings that hold and where each comes from, and do not serve")
                .help_heading("Configuration"),
        )
        .args(arguments())
        .after_help(
            "Each flag but those of the configuration is also a variable of the environment and a \
             key of the file: --max-message 1MiB is CORECAST_MAX_MESSAGE=1MiB, and in the file \
             max-message = \"1MiB\". A flag wins over a variable, a variable over the file, and \
             the file over the default. --no-deflate is CORECAST_DEFLATE=false, and --deflate \
             wins over that.",
        )
}

fn top() -> Command {
    let interval = clap::value_parser!(u64).range(1..=86_400);
    Command::new("top")
        .about(
            "Show a live view of a server in the terminal, from its admin listener: rates, loops, \
             the topics with most subscribers, and the slowest clients",
        )
        .arg(address().hide(true))
        .arg(admin())
        .arg(token_file())
        .arg(
            Arg::new("interval")
                .long("interval")
                .value_name("SECONDS")
                .value_parser(interval)
                .allow_negative_numbers(true)
                .default_value("1")
                .help("Seconds between two views"),
        )
        .arg(
            Arg::new("once").long("once").action(ArgAction::SetTrue).help("Print one view and end"),
        )
}

const ADMIN: &str = "The admin listener of the server, as its --admin has it";

/// An admin listener. Each command takes it in both forms, and shows one.
fn address() -> Arg {
    Arg::new("address").value_name("ADDR:PORT").required_unless_present("admin").help(ADMIN)
}

fn admin() -> Arg {
    Arg::new("admin").long("admin").value_name("ADDR:PORT").conflicts_with("address").help(ADMIN)
}

/// The listener that a command is told.
pub(super) fn place(matches: &ArgMatches) -> String {
    let given = matches.get_one::<String>("admin").or_else(|| matches.get_one("address"));
    given.cloned().unwrap_or_default()
}

/// The token of an admin listener.
fn token_file() -> Arg {
    Arg::new("admin-token-file")
        .long("admin-token-file")
        .value_name("FILE")
        .value_parser(clap::value_parser!(PathBuf))
        .help("The file with its token, if it asks for one")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_flags_are_consistent() {
        command().debug_assert();
    }
}
