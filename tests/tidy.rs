//! Goal: keep the structure of the code. Imports between parts go one way, no modules import one
//! another in a circle, `unsafe` is only in the listed files, and files and functions are small.
//! Method: read the sources as text, for rules that the compiler does not check.

#[path = "tidy/imports.rs"]
mod imports;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// The parts that each part of the library may import.
const IMPORTS: [(&str, &[&str]); 16] = [
    ("base", &[]),
    ("protocol", &[]),
    ("config", &["protocol"]),
    ("mesh", &[]),
    ("io", &["base", "config"]),
    ("session", &["base", "config", "protocol"]),
    ("pubsub", &["base", "config", "mesh", "protocol", "session"]),
    ("authority", &["base", "protocol", "pubsub"]),
    ("subrequest", &["authority", "protocol"]),
    ("app", &["authority", "base", "config", "mesh", "protocol", "pubsub", "session"]),
    ("gateway", &["app", "authority", "base", "config", "mesh", "protocol", "pubsub", "session"]),
    ("worker", &["base", "config", "io", "protocol", "session"]),
    ("proxied", &["base", "io", "protocol"]),
    ("transport", &["base", "io"]),
    ("error", &["config", "io", "transport"]),
    (
        "server",
        &[
            "app",
            "authority",
            "base",
            "config",
            "error",
            "gateway",
            "io",
            "mesh",
            "protocol",
            "proxied",
            "pubsub",
            "session",
            "transport",
            "worker",
        ],
    ),
];

/// The files that may contain `unsafe`: two for SIMD, five that call the kernel, one that is passed
/// descriptors, the allocator of the command, and the queue between two cores.
const UNSAFE: [&str; 10] = [
    "src/cli/allocator.rs",
    "src/io/tcp_info.rs",
    "src/io/uring/buf_ring.rs",
    "src/io/uring/mod.rs",
    "src/io/uring/submit.rs",
    "src/io/uring/tcp.rs",
    "src/mesh/spsc.rs",
    "src/protocol/websocket/mask/x86.rs",
    "src/protocol/websocket/utf8/avx512.rs",
    "src/server/passed.rs",
];

/// The parts of the library in which messages are received, handled and sent, and counted.
const HOT: [&str; 5] = ["src/base", "src/pubsub", "src/session", "src/transport", "src/worker"];

/// The files of these that may share memory with other threads, by atomics or locks, and why. What
/// each message is counted with belongs to its loop, so that counting costs no atomic operation.
const SHARED: [(&str, &str); 3] = [
    ("src/pubsub/retained/totals.rs", "the limits of retained values: only retaining asks them"),
    ("src/transport/tls/settings.rs", "certificates that are replaced: asked for a connection"),
    ("src/worker/mod.rs", "the orders to drain: looked at once in a turn"),
];

/// The roots of the crates that must not have a circle of imports.
const CRATES: [&str; 4] =
    ["src/lib.rs", "src/main.rs", "perf/src/lib.rs", "perf/experiments/main.rs"];

/// Folders that still have such a circle; no folder may be added.
const CIRCLES_TO_REMOVE: [&str; 0] = [];

const MAX_LINES: usize = 400;
const MAX_COLUMNS: usize = 100;
const MAX_FUNCTION_LINES: usize = 70;

struct Source {
    path: String,
    text: String,
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn collect(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() && !path.ends_with("node_modules") && !path.ends_with("target") {
            collect(&path, found);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            found.push(path);
        }
    }
}

fn sources(folders: &[&str]) -> Vec<Source> {
    let mut paths = Vec::new();
    for folder in folders.iter().map(|folder| root().join(folder)).filter(|folder| folder.exists())
    {
        collect(&folder, &mut paths);
    }
    paths.sort();
    assert!(!paths.is_empty());
    let read = |path: PathBuf| Source {
        text: fs::read_to_string(&path).unwrap(),
        path: path.strip_prefix(root()).unwrap().to_str().unwrap().to_owned(),
    };
    paths.into_iter().map(read).collect()
}

fn fail_with(faults: &[String]) {
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
}

/// The part of the library to which a file belongs.
fn part(path: &str) -> &str {
    let inside = path.strip_prefix("src/").unwrap();
    inside.split('/').next().unwrap().trim_end_matches(".rs")
}

fn is_test(path: &str) -> bool {
    path.ends_with("tests.rs") || path.contains("/tests/")
}

/// The code before the unit tests of a file.
fn without_tests(text: &str) -> &str {
    text.split("#[cfg(test)]\nmod tests {").next().unwrap()
}

/// The names behind `crate::` in `code`, in braces as well.
fn parts_named(code: &str) -> Vec<String> {
    let name = |text: &str| -> String {
        text.trim_start().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
    };
    let mut parts = Vec::new();
    for (at, _) in code.match_indices("crate::") {
        let rest = &code[at + "crate::".len()..];
        let Some(list) = rest.strip_prefix('{') else {
            parts.push(name(rest));
            continue;
        };
        let (mut depth, mut start) = (0, 0);
        for (at, c) in list.char_indices() {
            if depth == 0 && (c == ',' || c == '}') {
                parts.push(name(&list[start..at]));
                start = at + 1;
            }
            match c {
                '{' => depth += 1,
                '}' if depth == 0 => break,
                '}' => depth -= 1,
                _ => {}
            }
        }
    }
    parts.retain(|part| !part.is_empty());
    parts
}

#[test]
fn names_of_parts_are_found_in_every_form_of_an_import() {
    let code =
        "use crate::a::B; use crate::{\n    c::{D, e::F}, g, h::I as _,\n}; pub(in crate::j) x";
    assert_eq!(parts_named(code), ["a", "c", "g", "h", "j"]);
}

#[test]
fn imports_between_parts_go_one_way() {
    let arrows = BTreeMap::from(IMPORTS);
    let mut faults = Vec::new();
    for source in sources(&["src"]) {
        let from = part(&source.path);
        if matches!(from, "lib" | "main" | "cli") || is_test(&source.path) {
            continue;
        }
        let Some(allowed) = arrows.get(from) else {
            faults.push(format!("{}: name the part `{from}` in IMPORTS", source.path));
            continue;
        };
        let code = without_tests(&source.text);
        for to in parts_named(code) {
            if to != from && !allowed.contains(&to.as_str()) {
                faults.push(format!("{}: imports crate::{to}", source.path));
            }
        }
        if code.contains("super::super::") {
            faults.push(format!("{}: write crate:: instead of super::super::", source.path));
        }
    }
    fail_with(&faults);
}

#[test]
fn modules_do_not_import_one_another_in_a_circle() {
    let mut faults = Vec::new();
    let mut expected = CIRCLES_TO_REMOVE.to_vec();
    for file in CRATES {
        let read = |path: &Path| fs::read_to_string(root().join(path)).ok();
        let modules = imports::Crate::read(Path::new(file), &read);
        assert!(modules.len() > 3, "{file}: only {} modules were found", modules.len());
        let base = Path::new(file).parent().unwrap();
        for circle in modules.circles() {
            let folder = base.join(circle.parent.join("/")).display().to_string();
            let folder = folder.trim_end_matches('/');
            if CIRCLES_TO_REMOVE.contains(&folder) {
                expected.retain(|known| *known != folder);
            } else {
                faults.push(format!("{folder}: {}", circle.text));
            }
        }
    }
    let without = |folder: &&str| format!("{folder}: has no circle; take it off the list");
    faults.extend(expected.iter().map(without));
    fail_with(&faults);
}

#[test]
fn unsafe_is_only_in_the_listed_files() {
    let mut faults = Vec::new();
    let mut expected = UNSAFE.to_vec();
    for source in sources(&["src"]) {
        let code = source.text.lines().filter(|line| !line.trim_start().starts_with("//"));
        let has = code.clone().any(|line| {
            line.split(|c: char| !c.is_alphanumeric() && c != '_').any(|word| word == "unsafe")
        });
        if has && !UNSAFE.contains(&source.path.as_str()) {
            faults.push(format!("{}: unsafe is not expected here", source.path));
        }
        if has {
            expected.retain(|path| *path != source.path);
        }
    }
    faults.extend(expected.iter().map(|path| format!("{path}: holds no unsafe; shorten the list")));
    fail_with(&faults);
}

/// The names in `code` that are those of atomics or locks, which are not in comments.
fn shared_types(code: &str) -> Vec<&str> {
    let lines = code.lines().filter(|line| !line.trim_start().starts_with("//"));
    let words = lines.flat_map(|line| line.split(|c: char| !c.is_alphanumeric() && c != '_'));
    words
        .filter(|word| {
            word.starts_with("Atomic")
                || *word == "atomic"
                || ["Mutex", "RwLock", "Condvar", "OnceLock", "LazyLock"].contains(word)
        })
        .collect()
}

#[test]
fn types_that_threads_share_are_found() {
    let code = "use std::sync::atomic::{self, AtomicU64};\n// A Mutex.\nlet x: Arc<RwLock<u8>> =";
    assert_eq!(shared_types(code), ["atomic", "AtomicU64", "RwLock"]);
    assert!(shared_types("let atomics = is_atomic(Arc::new(mutex));").is_empty());
}

#[test]
fn counting_costs_no_atomics() {
    let mut faults = Vec::new();
    let mut expected: Vec<&str> = SHARED.iter().map(|(path, _)| *path).collect();
    for source in sources(&HOT).iter().filter(|source| !is_test(&source.path)) {
        let shared = shared_types(without_tests(&source.text));
        let is_listed = SHARED.iter().any(|(path, _)| *path == source.path);
        if !is_listed && let Some(name) = shared.first() {
            faults.push(format!("{}: `{name}` is not expected here", source.path));
        }
        if !shared.is_empty() {
            expected.retain(|path| *path != source.path);
        }
    }
    faults.extend(expected.iter().map(|path| format!("{path}: shares nothing; shorten the list")));
    fail_with(&faults);
}

#[test]
fn files_lines_and_functions_are_small() {
    let mut faults = Vec::new();
    for Source { path, text } in sources(&["src", "tests", "benches", "perf", "examples"]) {
        let count = text.lines().count();
        if count > MAX_LINES {
            faults.push(format!("{path}: {count} lines"));
        }
        for (number, line) in text.lines().enumerate() {
            if line.chars().count() > MAX_COLUMNS {
                faults.push(format!("{path}:{}: more than {MAX_COLUMNS} columns", number + 1));
            }
        }
        if path.starts_with("src/") && !is_test(&path) {
            long_functions(&path, without_tests(&text), &mut faults);
        }
    }
    fail_with(&faults);
}

/// Functions end at the brace of their own indentation, as rustfmt sets it.
fn long_functions(path: &str, code: &str, faults: &mut Vec<String>) {
    let lines: Vec<&str> = code.lines().collect();
    for (start, line) in lines.iter().enumerate() {
        let body = line.trim_start();
        let indent = line.len() - body.len();
        let words: Vec<&str> = body.split([' ', '(']).collect();
        let begins = words.iter().take(5).any(|word| *word == "fn") && !body.starts_with("//");
        if !begins || body.ends_with(';') {
            continue;
        }
        let end = lines[start..].iter().position(|line| {
            line.len() - line.trim_start().len() == indent && line.trim_start().starts_with('}')
        });
        if let Some(length) = end.filter(|length| *length > MAX_FUNCTION_LINES) {
            faults.push(format!("{path}:{}: a function of {length} lines", start + 1));
        }
    }
}

#[test]
fn no_unfinished_code_is_marked() {
    // Concatenated here, so that this file does not contain the words.
    let banned = ["TO", "FIX", "XX", "db", "unim", "to"];
    let ends = ["DO", "ME", "X", "g!(", "plemented!(", "do!("];
    let mut faults = Vec::new();
    for Source { path, text } in sources(&["src", "tests", "benches", "perf", "examples"]) {
        for (start, end) in banned.iter().zip(ends) {
            let word = format!("{start}{end}");
            if text.contains(&word) {
                faults.push(format!("{path}: holds `{word}`"));
            }
        }
    }
    fail_with(&faults);
}

#[test]
fn every_violation_names_its_rule() {
    let text = fs::read_to_string(root().join("src/protocol/websocket/violation.rs")).unwrap();
    let body = text.split("pub enum Violation {").nth(1).unwrap().split("\n}").next().unwrap();
    let mut doc = String::new();
    let mut count = 0;
    for line in body.lines().map(str::trim) {
        if line.starts_with("///") {
            doc.push_str(line);
        } else if line.ends_with(',') {
            assert!(doc.contains("(RFC "), "{line} names no RFC section");
            doc.clear();
            count += 1;
        }
    }
    assert!(count >= 16, "only {count} variants were found");
}
