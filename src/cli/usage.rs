//! The message for wrong flags: one line with the mistake, the valid values, a similar name, and
//! the command that prints help.

use clap::error::{ContextKind, ContextValue, ErrorKind};

use super::command::command;

/// The message for `error`. `args` are the arguments without the name of the program.
pub(super) fn explain(error: &clap::Error, args: impl Iterator<Item = String>) -> String {
    let program = command();
    let commands: Vec<&str> = program.get_subcommands().map(|command| command.get_name()).collect();
    let list = format!("the commands are `{}`", commands.join("`, `"));
    let mut words = args.filter(|arg| !arg.starts_with('-'));
    let given = words.next().filter(|word| commands.contains(&word.as_str()));
    let mistake = match error.kind() {
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand | ErrorKind::MissingSubcommand => {
            format!("no command is given; {list}")
        }
        ErrorKind::InvalidSubcommand => format!("{}; {list}", one_line(&error.to_string())),
        ErrorKind::TooManyValues => format!("'{}' takes no value", text(error, "the flag")),
        ErrorKind::MissingRequiredArgument => match given.as_deref() {
            Some("top" | "drain") => {
                "no address is given; write 127.0.0.1:9100 or unix:/path".to_owned()
            }
            _ => "no file is given".to_owned(),
        },
        ErrorKind::UnknownArgument if given.as_deref() == Some("serve") && is_value(error) => {
            let file = text(error, "FILE");
            format!("`{file}` is no flag; a file of settings is given as `--config {file}`")
        }
        ErrorKind::UnknownArgument if given.is_none() => {
            let owner = owner(&program, text(error, ""));
            let owner = owner.map(|name| format!("; it is a flag of `corecast {name}`"));
            format!("{}{}", one_line(&error.to_string()), owner.unwrap_or_default())
        }
        _ => one_line(&error.to_string()),
    };
    let given = given.map(|name| format!(" {name}")).unwrap_or_default();
    format!("{mistake}; see `corecast{given} --help`")
}

/// The invalid argument, or `otherwise` if the error has none.
fn text<'a>(error: &'a clap::Error, otherwise: &'a str) -> &'a str {
    match error.get(ContextKind::InvalidArg) {
        Some(ContextValue::String(text)) => text,
        _ => otherwise,
    }
}

/// Whether the invalid argument looks like a value, and not like a flag.
fn is_value(error: &clap::Error) -> bool {
    !text(error, "-").starts_with('-')
}

/// The command that has the flag `--flag`.
fn owner<'a>(program: &'a clap::Command, flag: &str) -> Option<&'a str> {
    let name = flag.strip_prefix("--")?;
    let has = |command: &&clap::Command| {
        command.get_arguments().any(|argument| argument.get_long() == Some(name))
    };
    program.get_subcommands().find(has).map(clap::Command::get_name)
}

/// Joins the lines of clap's message: the mistake, the valid values in brackets, tips. The usage
/// and the hint at `--help` that follow are left out: the usage is long, and the hint does not name
/// the command.
fn one_line(text: &str) -> String {
    let mut line = String::new();
    for part in text.trim_start_matches("error: ").lines().map(str::trim) {
        if part.starts_with("Usage:") || part.starts_with("For more information") {
            break;
        }
        // clap suggests `--` before a value, but no value begins with a dash.
        if part.is_empty() || part.starts_with("tip: to pass") {
            continue;
        }
        let between = match part.strip_prefix('[') {
            _ if line.is_empty() => "",
            Some(_) => " ",
            None => "; ",
        };
        line.push_str(between);
        line.push_str(part.trim_start_matches("tip: ").trim_end_matches([':', '.']));
    }
    line
}
