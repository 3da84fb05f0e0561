//! Each setting of which docs/settings.md says that SIGHUP does not change it: one line says so,
//! and the server serves on.

use std::fs;
use std::path::PathBuf;

use super::reload::{Configured, READ};
use crate::certificates::Pair;
use crate::support::backend;
use crate::support::server::{Server, binary, without_settings};

const DOCS: &str = include_str!("../../../docs/settings.md");

/// What begins each file, beside the files that it names.
const COMMON: [(&str, &str); 4] = [
    ("listen", "[\"127.0.0.1:0\"]"),
    ("admin", "[\"127.0.0.1:0\"]"),
    ("allow-origin", "[\"https://a.example\"]"),
    // A burst needs it.
    ("handshake-rate", "100000"),
];

/// The settings that docs/settings.md lists.
fn fixed() -> Vec<&'static str> {
    let list = DOCS.split("<!-- fixed: begin -->").nth(1).expect("a list");
    let list = list.split("<!-- fixed: end -->").next().unwrap();
    list.split('`').skip(1).step_by(2).collect()
}

/// The value in the example of docs/settings.md.
fn example(name: &str) -> String {
    let row = DOCS.lines().find(|line| line.starts_with(&format!("| `{name}` | ")));
    let row = row.unwrap_or_else(|| panic!("{name} is not in the table"));
    let cell = row.rsplit('|').nth(2).unwrap().trim().trim_matches('`');
    cell.strip_prefix(&format!("{name} = ")).unwrap_or_else(|| panic!("{row}")).to_owned()
}

/// A value that differs from that of the start.
fn other(name: &str) -> String {
    match name {
        // Its certificate is for https.
        "auth-url" => "\"https://127.0.0.1:2/\"".to_owned(),
        // The server may have been started with the value of the example.
        "backend" => "\"auto\"".to_owned(),
        _ => example(name),
    }
}

/// Files of a test, removed with it.
struct Files(PathBuf);

impl Files {
    fn new() -> Self {
        let name = format!("corecast-fixed-{}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        fs::create_dir_all(&folder).unwrap();
        Self(folder)
    }

    /// Writes a file; returns its path as a value of a setting.
    fn write(&self, name: &str, text: &str) -> String {
        let path = self.0.join(name);
        fs::write(&path, text).unwrap();
        format!("[\"{}\"]", path.display())
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// The text of a file with these settings, of which `changed` has another value.
fn text(settings: &[(&str, String)], changed: Option<&str>) -> String {
    let stays = settings.iter().filter(|(name, _)| changed != Some(name));
    let lines = stays.map(|(name, value)| format!("{name} = {value}\n"));
    let new = changed.map(|name| format!("{name} = {}\n", other(name)));
    lines.chain(new).collect()
}

/// The server gets no flags, since these would win over the file.
fn start(settings: &[(&str, String)]) -> Configured {
    let name = format!("corecast-fixed-{}-{}.toml", settings.len(), std::process::id());
    let file = std::env::temp_dir().join(name);
    fs::write(&file, text(settings, None)).unwrap();
    let mut command = std::process::Command::new(binary());
    command.args(["serve", "--config", file.to_str().unwrap()]);
    without_settings(&mut command);
    Configured { server: Server::spawn(command), file, seen: 1 }
}

/// Each of these is changed in the file, alone, and stays.
fn each_stays(all: &mut Configured, settings: &[(&str, String)], names: &[&str]) {
    for name in names {
        let lines = all.reload(&text(settings, Some(name)), READ);
        let told: Vec<&String> =
            lines.iter().filter(|line| line.contains("cannot change")).collect();
        assert_eq!(told.len(), 1, "{name}: {lines:?}");
        assert!(told[0].contains(&format!("`{name}` cannot change")), "{name}: {lines:?}");
        assert!(!lines.iter().any(|line| line.contains("ERROR")), "{name}: {lines:?}");
        let (mut client, status) = all.open("/", "");
        assert_eq!(status, 101, "{name}");
        client.expect_alive();
    }
    let lines = all.reload(&text(settings, None), READ);
    assert!(!lines.iter().any(|line| line.contains("cannot change")), "{lines:?}");
}

#[test]
fn each_setting_that_cannot_change_says_so() {
    let files = Files::new();
    let pair = Pair::new(&["localhost"]);
    let mut settings: Vec<(&str, String)> =
        COMMON.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
    settings.push(("backend", format!("\"{}\"", backend::flag().unwrap_or("epoll".to_owned()))));
    let mut with_backend = settings.clone();
    settings.extend([
        ("listen-tls", "[\"127.0.0.1:0\"]".to_owned()),
        ("tls-cert", files.write("cert.pem", &pair.cert)),
        ("tls-key", files.write("key.pem", &pair.key)),
        ("token-secret", files.write("secret", &"s".repeat(32))),
    ]);
    with_backend.extend([
        ("auth-url", "\"https://127.0.0.1:1/\"".to_owned()),
        ("auth-ca", files.write("ca.pem", &pair.cert)),
    ]);
    let (of_backend, others): (Vec<&str>, Vec<&str>) =
        fixed().into_iter().partition(|name| name.starts_with("auth-"));
    // An admin listener needs the addresses.
    let (alone, others): (Vec<&str>, Vec<&str>) =
        others.into_iter().partition(|name| *name == "peer-addresses");
    let without_admin: Vec<_> =
        settings.iter().filter(|(name, _)| *name != "admin").cloned().collect();
    assert!(of_backend.len() >= 5 && others.len() >= 20, "{of_backend:?} {others:?}");
    each_stays(&mut start(&settings), &settings, &others);
    each_stays(&mut start(&with_backend), &with_backend, &of_backend);
    each_stays(&mut start(&without_admin), &without_admin, &alone);
}
