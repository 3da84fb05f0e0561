//! The tables in README and docs/settings.md are made from the table of settings. With
//! `WRITE_DOCUMENTS=1` this test writes them.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use super::defaults_tests::changed_by;
use super::field::Form;
use super::options::DIFFERENCES;
use super::reload::is_fixed;
use super::rules;
use super::setting::Setting;
use super::table::{self, route};

/// Whether the flag that is shown is `--no-name`.
fn is_negated(setting: &Setting) -> bool {
    setting.is_switch() && setting.default() == ["true"]
}

/// `--max-message SIZE`.
fn flags(setting: &Setting) -> String {
    let name = setting.name;
    match (setting.is_switch(), is_negated(setting)) {
        (true, true) => format!("`--no-{name}`, `--{name}`"),
        (true, false) => format!("`--{name}`, `--no-{name}`"),
        _ => format!("`--{name} {}`", setting.field.value_name()),
    }
}

fn default(setting: &Setting) -> String {
    match setting.default().as_slice() {
        [] => "none".to_owned(),
        values => format!("`{}`", values.join(" ")),
    }
}

fn readme_table() -> String {
    let mut text = "| flag of `corecast serve` | meaning | default |\n|---|---|---|\n".to_owned();
    text.push_str("| `--config FILE` | Read the settings from this file | none |\n");
    text.push_str("| `--print-config` | Print all settings that hold, and do not serve | |\n");
    for group in table::GROUPS {
        let _ = writeln!(text, "| **{}** | | |", group.title);
        for setting in group.settings {
            let (flags, default) = (flags(setting), default(setting));
            let choice = match setting.field.form() {
                Form::Choice(_) => format!(": {}", setting.field.allowed()),
                _ => String::new(),
            };
            let _ = writeln!(text, "| {flags} | {}{choice} | {default} |", setting.summary());
        }
    }
    text
}

/// `limits.max_message`: the fields of `Config` that a setting is stored in.
fn library(setting: &Setting) -> String {
    let names = changed_by(setting).into_iter().filter_map(|path| {
        let name = path.strip_prefix("config.")?.to_owned();
        Some(format!("`{name}`"))
    });
    names.collect::<Vec<_>>().join(", ")
}

fn settings_table() -> String {
    let mut text = String::new();
    for group in table::GROUPS {
        let _ = writeln!(text, "\n### {}\n", group.title);
        text.push_str("| key | meaning | values | default | example | `Config` |\n");
        text.push_str("|---|---|---|---|---|---|\n");
        for setting in group.settings {
            let _ = writeln!(
                text,
                "| `{}` | {} | {} | {} | `{} = {}` | {} |",
                setting.name,
                setting.help,
                setting.field.allowed(),
                default(setting),
                setting.name,
                setting.example_toml(),
                library(setting),
            );
        }
    }
    text.push_str("\n## Combinations that are refused\n\nThese have to hold:\n\n");
    for sentence in rules::sentences() {
        let _ = writeln!(text, "- {sentence}");
    }
    text.push_str("\n## Where the command differs from the library\n\n");
    text.push_str("All other defaults are the same.\n\n");
    text.push_str("| default of | library | command | reason |\n|---|---|---|---|\n");
    for it in &DIFFERENCES {
        let (library, command) = (it.library, it.command);
        let _ = writeln!(text, "| {} | {library} | {command} | {} |", it.name, it.reason);
    }
    text
}

/// The keys of a route. `Route` has the fields of these names.
fn routes_table() -> String {
    let mut text = "| key | meaning | values | `Route` |\n|---|---|---|---|\n".to_owned();
    for setting in route::all() {
        let (field, help) = match setting.name {
            "max-message" => ("max_message", "As for the server."),
            "allow-origin" => ("origins", "As for the server."),
            "slow-consumer" => ("slow", "As for the server; on routes to topics only."),
            "subscriber-queue" => ("queue", "As for the server; on routes to topics only."),
            "message-rate" => ("rates.messages", "As for the server."),
            "message-burst" => ("rates.message_burst", "As for the server."),
            "byte-rate" => ("rates.bytes", "As for the server."),
            "byte-burst" => ("rates.byte_burst", "As for the server."),
            "rate-policy" => ("rates.policy", "As for the server."),
            "control-rate" => ("rates.control_frames", "As for the server."),
            "authority" => ("access", setting.help),
            name => (name, setting.help),
        };
        let values = match setting.field.form() {
            Form::Choice(names) => {
                let names = names.iter().map(|(name, help)| format!("`{name}`: {help}"));
                names.collect::<Vec<_>>().join("; ")
            }
            _ => setting.field.allowed(),
        };
        let _ = writeln!(text, "| `{}` | {help} | {values} | `{field}` |", setting.name);
    }
    text
}

/// The keys that SIGHUP does not change.
fn fixed_list() -> String {
    let all = table::all().filter(|setting| is_fixed(setting.name));
    let names: Vec<String> = all.map(|setting| format!("`{}`", setting.name)).collect();
    names.join(", ") + "\n"
}

/// Compares what is between the marks of a document with `table`.
fn compare(document: &str, name: &str, table: &str) {
    let [begin, end] = ["begin", "end"].map(|it| format!("<!-- {name}: {it} -->\n"));
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(document);
    let text = fs::read_to_string(&path).unwrap();
    let (before, rest) = text.split_once(&begin).expect(document);
    let (between, after) = rest.split_once(&end).expect(document);
    if std::env::var_os("WRITE_DOCUMENTS").is_some() {
        fs::write(&path, format!("{before}{begin}{table}{end}{after}")).unwrap();
        return;
    }
    for (number, (written, made)) in between.lines().zip(table.lines()).enumerate() {
        assert_eq!(written, made, "{document}, line {number} of the {name}");
    }
    assert_eq!(between, table, "{document}; WRITE_DOCUMENTS=1 writes it");
}

#[cfg(feature = "tls")]
#[test]
fn the_documents_are_made_from_the_settings() {
    compare("README.md", "settings", &readme_table());
    compare("docs/settings.md", "settings", &settings_table());
    compare("docs/settings.md", "routes", &routes_table());
    compare("docs/settings.md", "fixed", &fixed_list());
}
