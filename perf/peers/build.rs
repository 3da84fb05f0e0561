//! Sets an environment variable such as `TOKIO_WEBSOCKETS_VERSION` for each peer, with the version
//! of its library in the lock file.

use std::error::Error;
use std::fs;

const LIBRARIES: [&str; 6] = [
    "fastwebsockets",
    "io-uring",
    "sockudo-ws",
    "tokio-tungstenite",
    "tokio-uring",
    "tokio-websockets",
];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=Cargo.lock");
    let lock = fs::read_to_string("Cargo.lock")?;
    for library in LIBRARIES {
        let version = version(&lock, library)
            .ok_or_else(|| format!("Cargo.lock has no {library}; run `cargo generate-lockfile`"))?;
        let variable = library.replace('-', "_").to_uppercase();
        println!("cargo::rustc-env={variable}_VERSION={version}");
    }
    Ok(())
}

/// The version of `library` on which this package itself depends. If the lock file has several, the
/// list of dependencies selects one.
fn version<'a>(lock: &'a str, library: &str) -> Option<&'a str> {
    let own = package(lock, "corecast-peers")?;
    let quoted = own.lines().find_map(|line| {
        let entry = line.trim().trim_end_matches(',').trim_matches('"');
        let (name, version) = entry.split_once(' ').unwrap_or((entry, ""));
        (name == library).then_some(version)
    })?;
    if !quoted.is_empty() {
        return Some(quoted);
    }
    let line = package(lock, library)?.lines().find_map(|l| l.strip_prefix("version = \""))?;
    line.strip_suffix('"')
}

fn package<'a>(lock: &'a str, name: &str) -> Option<&'a str> {
    let first = format!("name = \"{name}\"");
    lock.split("[[package]]").find(|package| package.trim_start().lines().next() == Some(&*first))
}
