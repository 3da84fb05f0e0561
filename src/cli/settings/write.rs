//! Settings as a file.

use std::fmt::Write as _;

use super::fault::Place;
use super::field::Form;
use super::options::Options;
use super::resolve::Resolved;
use super::routes;
use super::setting::Setting;
use super::table::{self, route};

const COLUMNS: usize = 80;

const HEAD: &str = "\
# The settings of `corecast serve`, each with its default.
#
# A flag wins over a variable of the environment, a variable over this file, and
# this file over the defaults. The flag of `max-message` is `--max-message`, its
# variable CORECAST_MAX_MESSAGE. What is true or false has two flags, such as
# `--pubsub` and `--no-pubsub`. A list is given with a flag for each value, and in
# a variable with spaces between the values; it replaces the whole list of what it
# wins over.
#
# `corecast check-config FILE` says what is wrong with a file. `corecast serve
# --config FILE` reads it, and with `--print-config` says what holds, and where it
# comes from, without serving.
";

const ROUTES: &str = "


### Routes ###

# Without routes, every path echoes but for those of `pubsub` and `/healthz`. With
# routes nothing is served but them: any other path is answered with 404. If a path
# belongs to several, the most specific one counts. What a route does not say is as
# above. Routes stand at the end of the file, and have these keys:
";

const SHARED: &str = "As above, for this route.";

const EXAMPLE: &str = r#"
# For example:
# [[route]]
# path = "/echo"
# to = "echo"
# max-message = "64KiB"
# compression = "off"
#
# [[route]]
# path = "/live/{topic...}"
# to = "topics"
# slow-consumer = "conflate"
# subscriber-queue = "64KiB"
#
# [[route]]
# path = "/live/internal/*"
# to = "off"
#
# [[route]]
# path = "/pubsub"
# to = "pubsub"
# allow-origin = ["https://example.org"]
#
# [[route]]
# path = "/healthz"
# to = "health"
"#;

/// A complete file with all defaults and their help.
pub(crate) fn default_file() -> String {
    let mut text = HEAD.to_owned();
    let options = Options::default();
    for group in table::GROUPS {
        let _ = writeln!(text, "\n\n### {} ###", group.title);
        for setting in group.settings {
            text.push('\n');
            for line in wrapped(setting.help) {
                let _ = writeln!(text, "# {line}");
            }
            values(setting, &mut text);
            let values = setting.field.get(&options);
            if values.is_empty() && !setting.is_list() {
                text.push_str("# Not set by default. For example:\n");
                let _ = writeln!(text, "# {} = {}", setting.name, setting.example_toml());
            } else {
                let _ = writeln!(text, "{} = {}", setting.name, setting.toml(&values));
            }
        }
    }
    text.push_str(ROUTES);
    for setting in route::all() {
        let _ = writeln!(text, "#\n# {}", setting.name);
        // What is a setting of the server is explained there.
        let help = if table::find(setting.name).is_some() { SHARED } else { setting.help };
        for line in wrapped(help) {
            let _ = writeln!(text, "#   {line}");
        }
        if table::find(setting.name).is_none() {
            values(setting, &mut text);
        }
    }
    text + EXAMPLE
}

/// Which values are allowed, and what names stand for.
fn values(setting: &Setting, text: &mut String) {
    if let Form::Choice(names) = setting.field.form() {
        for (name, help) in names {
            let _ = writeln!(text, "#   \"{name}\": {help}");
        }
        return;
    }
    let allowed = setting.field.allowed();
    if !allowed.is_empty() {
        let _ = writeln!(text, "# It is {allowed}.");
    }
}

/// A file with the settings that hold, and where each comes from.
pub(crate) fn effective_file(resolved: &Resolved) -> String {
    let mut text = String::new();
    for setting in table::all() {
        let place = resolved.places.get(setting.name).unwrap_or(&Place::Default);
        let values = setting.field.get(&resolved.options);
        let line = if values.is_empty() && !setting.is_list() {
            format!("# {} is not set", setting.name)
        } else {
            format!("{} = {}", setting.name, setting.toml(&values))
        };
        let _ = writeln!(text, "{line:<36} # {place}");
    }
    for route in resolved.options.config.routes.iter() {
        let place = resolved.routes.get(route.path.as_str()).unwrap_or(&Place::Default);
        let _ = writeln!(text, "\n{:<36} # {place}", "[[route]]");
        for (setting, values) in routes::keys(route) {
            let _ = writeln!(text, "{} = {}", setting.name, setting.toml(&values));
        }
    }
    text
}

/// The text in lines of a comment.
fn wrapped(text: &str) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.len() + 1 + word.len() <= COLUMNS => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}
