//! The defaults of the command and of the library, field by field, and the fields that settings
//! change.

use std::collections::{BTreeMap, BTreeSet};

use corecast::config::Config;
use corecast::server::Server;

use super::options::{DIFFERENCES, Options};
use super::setting::Setting;
use super::table;

/// The fields of a server with their values, by paths such as `config.limits.memory`, as `Debug`
/// shows them. So no field can be forgotten here.
fn fields(server: &Server) -> BTreeMap<String, String> {
    let (mut all, mut path) = (BTreeMap::<String, String>::new(), Vec::new());
    for line in format!("{server:#?}").lines().map(str::trim).skip(1) {
        if line.starts_with(['}', ')', ']']) {
            path.pop();
            continue;
        }
        // What has no name, as in a list, belongs to the field above it.
        let (name, value) = line.split_once(": ").unwrap_or(("", line));
        path.push(name);
        let place: Vec<&str> = path.iter().copied().filter(|name| !name.is_empty()).collect();
        if !line.ends_with(['{', '(', '[']) {
            path.pop();
        }
        // A structure is the fields in it.
        if !place.is_empty() && (name.is_empty() || !value.ends_with('{')) {
            all.entry(place.join(".")).or_default().push_str(value.trim_end_matches(','));
        }
    }
    all
}

/// The paths of the fields that are not the same; those beneath a changed one are left out.
fn differing(one: &Server, other: &Server) -> BTreeSet<String> {
    let (one, other) = (fields(one), fields(other));
    let paths: BTreeSet<&String> = one.keys().chain(other.keys()).collect();
    let changed: Vec<&String> =
        paths.into_iter().filter(|path| one.get(*path) != other.get(*path)).collect();
    let is_beneath = |path: &String| {
        changed.iter().any(|above| path.strip_prefix(*above).is_some_and(|it| it.starts_with('.')))
    };
    changed.iter().filter(|path| !is_beneath(path)).map(|path| (*path).clone()).collect()
}

/// The fields that the example of a setting changes.
pub(crate) fn changed_by(setting: &Setting) -> BTreeSet<String> {
    let mut options = Options::default();
    let before = options.server();
    let texts: Vec<String> = setting.example.iter().map(|text| (*text).to_owned()).collect();
    setting.field.set(&mut options, &texts).unwrap();
    differing(&before, &options.server())
}

#[test]
fn the_defaults_are_those_of_the_library_but_for_the_named_differences() {
    let named: BTreeSet<String> = DIFFERENCES.iter().map(|it| it.field.to_owned()).collect();
    let library = Server::new(Config::default());
    assert_eq!(differing(&library, &Options::default().server()), named);
}

#[test]
fn every_field_has_a_setting() {
    let mut covered: BTreeSet<String> = table::all().flat_map(changed_by).collect();
    // The command has no callbacks that could block.
    covered.insert("watchdog".to_owned());
    // Routes are tables of the file.
    covered.insert("config.routes".to_owned());
    let missing: Vec<String> = fields(&Options::default().server())
        .into_keys()
        .filter(|path| {
            let is_it =
                |covered: &String| path == covered || path.starts_with(&format!("{covered}."));
            !covered.iter().any(is_it)
        })
        .collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn every_setting_changes_something_of_its_own() {
    let mut seen = BTreeSet::new();
    for setting in table::all() {
        let mut changed = changed_by(setting);
        if setting.name == "auth-url" {
            // The backend is told addresses, as the log is.
            changed.retain(|path| path != "config.peer_addresses");
        }
        // These are no fields of the server: files are read, and a log is not its matter.
        let is_outside = ["listen-tls", "tls-cert", "tls-key", "api-keys", "admin"];
        let is_outside = is_outside.contains(&setting.name)
            || ["auth-", "token-", "admin-", "log-"]
                .iter()
                .any(|part| setting.name.starts_with(part));
        assert_eq!(changed.is_empty(), is_outside, "{}", setting.name);
        for path in changed {
            assert!(seen.insert(path.clone()), "{path} is changed by {} as well", setting.name);
        }
    }
}

#[test]
fn examples_are_not_the_default() {
    for setting in table::all() {
        assert_ne!(setting.default(), setting.example, "{}", setting.name);
        let mut options = Options::default();
        let texts: Vec<String> = setting.example.iter().map(|text| (*text).to_owned()).collect();
        setting.field.set(&mut options, &texts).unwrap();
        assert_eq!(setting.field.get(&options), setting.example, "{}", setting.name);
        if !setting.default().is_empty() {
            setting.field.set(&mut options, &setting.default()).unwrap();
            assert_eq!(setting.field.get(&options), setting.default(), "{}", setting.name);
        }
    }
}

#[test]
fn names_are_words_and_help_is_made_of_sentences() {
    let mut names = BTreeSet::new();
    for setting in table::all() {
        assert!(names.insert(setting.name), "{} is there twice", setting.name);
        let is_plain = |c: char| c.is_ascii_lowercase() || c == '-';
        assert!(setting.name.chars().all(is_plain), "{}", setting.name);
        // These would be read as the switch of another one.
        assert!(!setting.name.starts_with("no-"), "{}", setting.name);
        assert!(setting.help.ends_with('.') && !setting.help.contains("  "), "{}", setting.name);
        assert_eq!(setting.field.off().is_empty(), !setting.is_switch(), "{}", setting.name);
    }
}
