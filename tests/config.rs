//! The configuration of the command: flag over variable over file over default for every setting,
//! what is wrong with a file, and the commands about files.
//!
//! docs/settings.md has the table of settings, which another test compares with the code.

mod support;
#[path = "config/told.rs"]
mod told;

use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use support::client::Client;
use support::server::{Finished, Server, command, run};
use support::wire::{self, BINARY, FIN};

/// A row of the table.
#[derive(Default)]
struct Setting {
    key: String,
    /// The least and the greatest amount.
    range: Option<(String, String)>,
    default: String,
    /// As TOML.
    example: String,
}

impl Setting {
    fn variable(&self) -> (String, String) {
        let name = self.key.to_uppercase().replace('-', "_");
        (format!("CORECAST_{name}"), self.texts(&self.example).join(" "))
    }

    fn flags(&self) -> Vec<String> {
        match self.example.as_str() {
            "true" => vec![format!("--{}", self.key)],
            "false" => vec![format!("--no-{}", self.key)],
            _ => {
                let texts = self.texts(&self.example);
                texts.into_iter().flat_map(|text| [format!("--{}", self.key), text]).collect()
            }
        }
    }

    fn file(&self) -> String {
        format!("{} = {}\n", self.key, self.example)
    }

    /// The values of TOML as they are written behind a flag.
    fn texts(&self, toml: &str) -> Vec<String> {
        let inside = toml.trim_start_matches('[').trim_end_matches(']');
        let parts = inside.split(", ").filter(|part| !part.is_empty());
        parts.map(|part| part.trim_matches('"').to_owned()).collect()
    }
}

/// The settings in the document, with the defaults that the command prints.
fn settings() -> Vec<Setting> {
    let defaults = printed(&[], "", &[]);
    let rows = include_str!("../docs/settings.md").lines().filter_map(|line| {
        let mut cells = line.strip_prefix("| `")?.split(" | ");
        let key = cells.next()?.strip_suffix('`')?.to_owned();
        let values = cells.nth(1)?;
        let range = values.split_once(" from ").and_then(|(_, range)| range.split_once(" to "));
        let range = range.map(|(least, most)| (least.replace(" byte", ""), most.to_owned()));
        let example = cells.nth(1)?.trim_matches('`').strip_prefix(&format!("{key} = "))?;
        let default = value(&defaults, &key).0;
        Some(Setting { example: example.to_owned(), range, default, key })
    });
    let all: Vec<Setting> = rows.collect();
    assert!(all.len() > 40, "only {} settings were found", all.len());
    all
}

/// A file of this test alone, which is removed at its end.
struct File(PathBuf);

impl File {
    fn new(text: &str) -> Self {
        static COUNT: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(0);
        let number = COUNT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let name = format!("corecast-config-{}-{number}.toml", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::write(&path, text).unwrap();
        Self(path)
    }

    fn path(&self) -> &str {
        self.0.to_str().unwrap()
    }
}

impl Drop for File {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

fn finished(command: Command) -> Finished {
    run(command, Duration::from_secs(10))
}

/// `corecast serve --print-config`.
fn print_config(flags: &[String], file: &str, variables: &[(String, String)]) -> Finished {
    let file = File::new(file);
    let mut command = Command::new(support::server::binary());
    command.env_clear().args(["serve", "--print-config", "--config", file.path()]).args(flags);
    command.envs(variables.iter().map(|(name, value)| (name, value)));
    finished(command)
}

/// What it prints.
fn printed(flags: &[String], file: &str, variables: &[(String, String)]) -> String {
    let end = print_config(flags, file, variables);
    assert!(
        end.status.success() && end.stderr.is_empty(),
        "{flags:?} {file} {variables:?}: {end:?}"
    );
    end.stdout
}

/// The value of a key, and where it comes from.
fn value(printed: &str, key: &str) -> (String, String) {
    let line =
        printed.lines().find(|line| line.trim_start_matches("# ").split(' ').next() == Some(key));
    let line = line.unwrap_or_else(|| panic!("{key} is not in {printed}"));
    let (line, place) = line.rsplit_once(" # ").unwrap();
    let value = line.split_once(" = ").map_or("", |(_, value)| value);
    (value.trim_end().to_owned(), place.to_owned())
}

/// The flag without which a setting has no effect.
fn needed(key: &str) -> &'static [&'static str] {
    match key {
        "message-burst" => &["--message-rate", "100"],
        "byte-burst" => &["--byte-rate", "64KiB"],
        "handshake-burst" => &["--handshake-rate", "100"],
        "rate-policy" => &["--message-rate", "100"],
        "admin-token-file" => &["--admin", "127.0.0.1:9100"],
        "auth-url" => &["--allow-origin", "http://a.example"],
        "auth-timeout" | "auth-cache" | "auth-connections" => {
            &["--auth-url", "http://127.0.0.1/", "--allow-origin", "http://a.example"]
        }
        "auth-ca" => &["--auth-url", "https://127.0.0.1/", "--allow-origin", "http://a.example"],
        _ => &[],
    }
}

/// Some settings need others: those that `key` lacks, as flags.
fn beside(key: &str) -> Vec<String> {
    let tls = [("listen-tls", "127.0.0.1:9443"), ("tls-cert", "c.pem"), ("tls-key", "k.pem")];
    let tokens = [("token-secret", "secret"), ("allow-origin", "https://example.org")];
    let needs_keys = ["token-audience", "token-leeway", "token-cookie"].contains(&key);
    if needs_keys {
        let flags = tokens.iter().flat_map(|(name, value)| [format!("--{name}"), (*value).into()]);
        return flags.collect();
    }
    if !tls.iter().any(|(name, _)| *name == key) {
        return needed(key).iter().map(|text| (*text).to_owned()).collect();
    }
    let others = tls.iter().filter(|(name, _)| *name != key);
    others.flat_map(|(name, value)| [format!("--{name}"), (*value).to_owned()]).collect()
}

#[test]
fn every_setting_has_a_flag_a_variable_and_a_key() {
    for setting in settings() {
        let key = &setting.key;
        let expected = |place: &str| (setting.example.clone(), place.to_owned());
        let beside = beside(key);
        let flags = [setting.flags(), beside.clone()].concat();
        let flag = &setting.flags()[0];
        assert_eq!(value(&printed(&flags, "", &[]), key), expected(flag));
        let variable = setting.variable();
        let by_variable = printed(&beside, "", std::slice::from_ref(&variable));
        assert_eq!(value(&by_variable, key), expected(&variable.0));
        let (text, place) = value(&printed(&beside, &setting.file(), &[]), key);
        assert_eq!(text, setting.example);
        assert!(place.ends_with(".toml:1:1"), "{key}: {place}");
        assert_eq!(value(&printed(&[], "", &[]), key).1, "the default");
    }
}

#[test]
fn a_flag_wins_over_a_variable_and_that_over_the_file() {
    for setting in settings() {
        let (key, beside) = (&setting.key, beside(&setting.key));
        // What loses says the default; where there is none, the place alone tells who won.
        let loser = if setting.default.is_empty() { &setting.example } else { &setting.default };
        let losing = Setting { example: loser.clone(), key: key.clone(), ..Setting::default() };
        // An empty variable counts as not set.
        let (name, text) = losing.variable();
        let losing_variable: Vec<_> =
            (!text.is_empty()).then_some((name, text)).into_iter().collect();
        let flags = [setting.flags(), beside.clone()].concat();
        let by_flag = (setting.example.clone(), setting.flags()[0].clone());
        let both = printed(&flags, &losing.file(), &losing_variable);
        assert_eq!(value(&both, key), by_flag);
        assert_eq!(value(&printed(&flags, &losing.file(), &[]), key), by_flag);
        assert_eq!(value(&printed(&flags, "", &losing_variable), key), by_flag);
        let variable = setting.variable();
        let both = printed(&beside, &losing.file(), std::slice::from_ref(&variable));
        assert_eq!(value(&both, key), (setting.example.clone(), variable.0));
    }
}

#[test]
fn a_switch_can_be_turned_back() {
    let flags = |flag: &str| vec![flag.to_owned()];
    let off = printed(&flags("--deflate"), "deflate = false\n", &[]);
    assert_eq!(value(&off, "deflate"), ("true".to_owned(), "--deflate".to_owned()));
    let variable = [("CORECAST_DEFLATE".to_owned(), "true".to_owned())];
    let off = printed(&flags("--no-deflate"), "deflate = true\n", &variable);
    assert_eq!(value(&off, "deflate"), ("false".to_owned(), "--no-deflate".to_owned()));
}

#[test]
fn the_default_file_is_good_and_says_the_defaults() {
    let default = finished(command(&["default-config"]));
    assert!(default.status.success() && default.stderr.is_empty());
    let longest = default.stdout.lines().map(str::len).max();
    assert!(longest <= Some(90), "{longest:?}");
    let values = |text: &str| -> Vec<String> {
        let lines = text.lines().filter(|line| !line.is_empty());
        let cut = |line: &str| line.rsplit_once(" # ").map_or(line, |(it, _)| it).trim().to_owned();
        lines.map(cut).filter(|line| !line.starts_with('#')).collect()
    };
    let lines = values(&default.stdout);
    assert!(lines.len() > 40, "{lines:?}");
    assert_eq!(lines, values(&printed(&[], "", &[])));
    assert_eq!(lines, values(&printed(&[], &default.stdout, &[])));
    let checked = check_input(&default.stdout);
    assert_eq!((checked.0, checked.1.as_str()), (Some(0), GOOD));
    // Every setting is there, also those that are not set.
    for setting in settings() {
        let is_it =
            |line: &str| line.trim_start_matches("# ").starts_with(&format!("{} = ", setting.key));
        assert!(default.stdout.lines().any(is_it), "{}", setting.key);
    }
}

const GOOD: &str = "stdin is good; 0 settings differ from the default\n";

/// `corecast check-config -`: the exit code, standard output, standard error.
fn check_input(text: &str) -> (Option<i32>, String, String) {
    let mut child = command(&["check-config", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

/// A file with a fault of each kind, and the line of each with a part of its text.
const FAULTS: [(&str, usize, &str); 11] = [
    (
        "max-mesage = \"1MiB\"",
        1,
        "unknown key `max-mesage`; the nearest that is known is `max-message`",
    ),
    ("max-head = 16KiB", 12, "`16KiB` needs quotes: write `\"16KiB\"`"),
    ("no-pubsub = true", 1, "unknown key `no-pubsub`; write `pubsub = false`"),
    ("ping-after = \"30\"", 14, "`ping-after` takes a whole number"),
    ("listen = [\"9001\", \"127.0.0.1\"]", 19, "write `127.0.0.1:9001`"),
    ("slow-consumer = \"conflat\"", 17, "the nearest is `conflate`"),
    ("allow-origin = [\"example.org\"]", 17, "it has no scheme; write `https://example.org`"),
    ("max-body = 0", 12, "it is not a size from 1 byte to 4GiB"),
    ("max-index = \"64KiB\"", 1, "`max-connection-index` (1MiB) is more than `max-index` (64KiB)"),
    ("drain-timeout =", 16, "a value is missing"),
    ("cores = \"3-1\"", 9, "write `1-3`"),
];

#[test]
fn all_faults_of_a_file_are_told_at_once_and_by_serve_in_the_same_words() {
    let text: String = FAULTS.iter().map(|(line, ..)| format!("{line}\n")).collect();
    let file = File::new(&format!("max-connection-index = \"1MiB\"\n{text}"));
    let checked = finished(command(&["check-config", file.path()]));
    assert_eq!((checked.status.code(), checked.stdout.as_str()), (Some(2), ""));
    let lines: Vec<&str> = checked.stderr.lines().collect();
    assert_eq!(lines.len(), FAULTS.len(), "{}", checked.stderr);
    for (number, (line, (written, column, part))) in lines.iter().zip(FAULTS).enumerate() {
        let start = format!("{}:{}:{column}: ", file.path(), number + 2);
        assert!(line.starts_with(&start) && line.contains(part), "{written}: {line}");
    }
    let mut serve = command(&["serve", "--config", file.path()]);
    serve.env("CORECAST_MAX_HEAD", "much");
    let refused = finished(serve);
    assert_eq!((refused.status.code(), refused.stdout.as_str()), (Some(2), ""));
    let said: Vec<&str> = refused.stderr.lines().collect();
    let same: Vec<String> = lines.iter().map(|line| format!("corecast: {line}")).collect();
    assert_eq!(said[..same.len()], same);
    let last = "corecast: CORECAST_MAX_HEAD: invalid value `much`: it is not a size, such as";
    assert!(said.len() == same.len() + 1 && said[same.len()].starts_with(last), "{said:?}");
}

#[test]
fn faults_of_flags_beside_a_file_are_told_too() {
    let file = File::new("max-memory = \"32MiB\"\n");
    let flags = ["serve", "--config", file.path(), "--max-message", "64MiB"];
    let end = finished(command(&flags));
    let line = end.error_line(2);
    assert!(
        line.contains("corecast: `--max-message` (64MiB) is more than `--max-memory` (32MiB, "),
        "{line}"
    );
    assert!(line.ends_with("see `corecast serve --help`"), "{line}");
}

#[test]
fn files_that_cannot_be_read_are_named() {
    for args in [&["check-config", "/nowhere"][..], &["serve", "--config", "/nowhere"]] {
        let end = finished(command(args));
        assert_eq!(end.status.code(), Some(2), "{end:?}");
        assert!(end.stderr.contains("/nowhere: it cannot be read: No such file"), "{end:?}");
    }
    let end = finished(command(&["check-config"]));
    assert_eq!(end.error_line(2), "corecast: no file is given; see `corecast check-config --help`");
    let file = File::new("");
    std::fs::write(&file.0, b"max-head = 4096\ncores = \"\xff\"\n").unwrap();
    let end = finished(command(&["check-config", file.path()]));
    assert!(end.stderr.starts_with(&format!("{}:2:1: this is not text", file.path())), "{end:?}");
}

#[test]
fn the_variable_names_the_file_unless_a_flag_does() {
    let (one, other) = (File::new("max-head = \"2KiB\"\n"), File::new("max-head = \"4KiB\"\n"));
    let head = |flags: &[&str]| {
        let mut serve = command(&[&["serve", "--print-config"], flags].concat());
        serve.env("CORECAST_CONFIG", one.path());
        value(&finished(serve).stdout, "max-head").0
    };
    assert_eq!(head(&[]), "\"2KiB\"");
    assert_eq!(head(&["--config", other.path()]), "\"4KiB\"");
}

#[test]
fn a_server_does_as_its_file_says_and_warns_of_unknown_variables() {
    let file = File::new("listen = \"127.0.0.1:0\"\nmax-message = 1234\ndeflate = false\n");
    let mut serve = command(&["serve", "--config", file.path()]);
    serve.envs([("CORECAST_PUBSUB", "false"), ("CORECAST_VERSION", "1"), ("CORECAST_PORT", "x")]);
    let server = Server::spawn(serve);
    let log = server.log().join("\n");
    for part in ["max_message=1234", "deflate=false", "pubsub=false", "variable CORECAST_VERSION"] {
        assert!(log.contains(part), "{part} is not in {log}");
    }
    assert!(!log.contains("CORECAST_PORT"), "{log}");
}

/// No amount that is accepted is one that the server cannot work with.
#[test]
fn a_server_serves_at_both_ends_of_every_range() {
    // What another setting bounds needs more of that.
    let beside = |key: &str, most: bool| -> &[&str] {
        match key {
            "max-memory" => &["--max-message", "1MiB"],
            "max-request-line" => &["--max-head", "256KiB"],
            "buffers" => &["--max-buffers", "32768", "--buffer-size", "64"],
            "max-buffers" if most => &["--buffer-size", "64"],
            "max-buffers" => &["--buffers", "2"],
            "buffer-size" => &["--max-buffers", "128"],
            "drain-delay" | "drain-window" if most => &["--drain-timeout", "86400"],
            "max-handshakes" if most => &["--max-connections", "16000000"],
            "message-burst" | "byte-burst" | "handshake-burst" => needed(key),
            "auth-timeout" | "auth-cache" | "auth-connections" => needed(key),
            "max-connection-index" if most => &["--max-index", "2GiB", "--max-memory", "4GiB"],
            _ => &["--max-memory", "4GiB"],
        }
    };
    let secret = File::new(&"s".repeat(32));
    let mut served = 0;
    for setting in settings() {
        let Some((least, most)) = &setting.range else { continue };
        for (value, is_most) in [(least.as_str(), false), (most, true)] {
            let half = setting.key.ends_with("-index") && is_most;
            let value = if half { "2GiB" } else { value };
            let flag = format!("--{}", setting.key);
            let mut flags = [&[flag.as_str(), value], beside(&setting.key, is_most)].concat();
            if setting.key == "auth-timeout" {
                flags.extend(["--handshake-timeout", "86400"]);
            }
            if setting.key.starts_with("token-") {
                flags.extend(["--token-secret", secret.path()]);
            }
            let server = Server::start(&flags);
            let mut client = Client::open(server.addr());
            client.send(&wire::frame(FIN | BINARY, b"x"));
            client.expect(&wire::unmasked(FIN | BINARY, b"x"));
            served += 1;
        }
        let below = format!("--{}=-1", setting.key);
        assert_eq!(finished(command(&["serve", &below])).status.code(), Some(2), "{below}");
    }
    assert!(served > 60, "{served}");
}
