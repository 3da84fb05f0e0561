//! Tokens for the attackers: a server that asks for them on one path, beside those of the honest.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use crate::script::Group;

/// The path, to `/pubsub` for those who have a token.
pub(crate) const PATH: &str = "/guarded";

/// Whether a group goes there.
pub(crate) fn is_for(group: &Group) -> bool {
    group.target.as_deref().is_some_and(|target| target.starts_with(PATH))
}

fn vector(name: &str) -> String {
    format!("{}/tests/vectors/tokens/{name}", env!("CARGO_MANIFEST_DIR"))
}

/// A valid token of `ann`, by the algorithm in lower case.
pub(crate) fn token(algorithm: &str) -> String {
    fs::read_to_string(vector(&format!("{algorithm}.jwt"))).unwrap().trim().to_owned()
}

/// The same with another signature, of the form that one has.
pub(crate) fn wrong(algorithm: &str) -> String {
    let token = token(algorithm);
    let (message, signature) = token.rsplit_once('.').unwrap();
    let turned: String = signature.chars().rev().collect();
    // The last character of a signature has bits that have to be 0; the first has none.
    format!("{message}.{}A", &turned[..turned.len() - 1])
}

/// The settings of such a server, in a file which is removed when dropped. As many keys of ES256 as
/// there may be are tried for a token without a `kid`: the most work that a token can cause.
pub(crate) struct Settings(PathBuf);

impl Settings {
    pub(crate) fn new() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("hostile-{}-{number}.toml", std::process::id());
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        let keys = ["rs256.pem", "es256.pem", "es256.pem", "es256.pem", "es256.pem"];
        let keys: Vec<String> = keys.iter().map(|key| format!("{:?}", vector(key))).collect();
        let route = |path: &str, to: &str, authority: &str| {
            format!("[[route]]\npath = {path:?}\nto = {to:?}\nauthority = {authority:?}\n")
        };
        let routes = [
            route("/", "echo", "none"),
            route("/topics/{topic...}", "topics", "none"),
            route("/pubsub", "pubsub", "none"),
            route(PATH, "pubsub", "token"),
        ];
        let text = format!("token-key = [{}]\n{}", keys.join(", "), routes.concat());
        fs::write(&path, text).unwrap();
        Self(path)
    }

    pub(crate) fn flag(&self) -> String {
        format!("--config={}", self.0.display())
    }
}

impl Drop for Settings {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}
