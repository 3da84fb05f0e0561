//! Settings that can have no effect are refused, and those that have one under a route are not.

use super::file::Document;
use super::flags::given;
use super::resolve::{Inputs, Resolved};
use crate::cli::command::command;

fn resolved(file: &str, inputs: Inputs) -> Resolved {
    Resolved::of(&Inputs { document: Some(Document::new("f", file)), ..inputs })
}

fn faults(file: &str) -> Vec<String> {
    let faults = resolved(file, Inputs::default()).faults;
    faults.iter().map(ToString::to_string).collect()
}

fn route(path: &str, to: &str, more: &str) -> String {
    format!("[[route]]\npath = \"{path}\"\nto = \"{to}\"\n{more}\n")
}

/// Each file has one fault, which begins like this and names this.
fn has_one_fault(cases: &[(String, &str, &str)]) {
    for (file, start, part) in cases {
        let faults = faults(file);
        let [fault] = faults.as_slice() else { panic!("{file}: {faults:?}") };
        assert!(fault.starts_with(start) && fault.contains(part), "{file}: {fault}");
    }
}

fn are_good(files: &[String]) {
    for file in files {
        assert_eq!(faults(file), [""; 0], "{file}");
    }
}

#[cfg(feature = "tokens")]
#[test]
fn keys_protect_something() {
    let echo = route("/e", "echo", "");
    let open = route("/{topic}", "topics", "authority = \"none\"");
    for (key, value, more) in [
        ("token-secret", "s", ""),
        ("token-key", "k", ""),
        ("token-jwks", "j", ""),
        ("api-keys", "a", ""),
        #[cfg(feature = "auth-url")]
        ("auth-url", "http://a/", "allow-origin = \"https://a\"\n"),
    ] {
        let keys = format!("{key} = \"{value}\"\n{more}");
        for (file, line, part) in [
            (format!("pubsub = false\n{keys}"), 2, "`pubsub` (false) leaves only the echo"),
            (format!("{keys}{echo}"), 1, "no `[[route]]` has `authority = \"token\"`"),
            (format!("{keys}{echo}{open}"), 1, "or leave it out"),
        ] {
            has_one_fault(&[(file, &format!("f:{line}:1: `{key}` protects nothing: "), part)]);
        }
    }
    let keys = "token-secret = \"s\"\n";
    are_good(&[
        keys.to_owned(),
        format!("{keys}{}", route("/e", "echo", "authority = \"token\"")),
        format!("{keys}pubsub = false\n{}", route("/e", "echo", "authority = \"token\"")),
        format!("{keys}{echo}{open}{}", route("/p", "pubsub", "")),
    ]);
    // A route that cannot be read may be the one that needs them.
    let broken = faults(&format!("{keys}{}", route("/e", "echo", "authority = \"tokn\"")));
    assert!(broken.len() == 1 && broken[0].starts_with("f:5:"), "{broken:?}");
}

#[test]
fn settings_of_topics_are_for_those_who_have_topics() {
    let echo = route("/e", "echo", "");
    let own = route("/{topic}", "topics", "slow-consumer = \"close\"\nsubscriber-queue = \"1KiB\"");
    let slow = "slow-consumer = \"conflate\"\n";
    has_one_fault(&[
        (
            format!("pubsub = false\n{slow}"),
            "f:2:1: `slow-consumer` has no eff",
            "`pubsub` (false)",
        ),
        (
            format!("{slow}pubsub = false\n"),
            "f:2:1: `slow-consumer` has no eff",
            "`pubsub` (false)",
        ),
        ("subscriber-queue = \"2KiB\"\npubsub = false".to_owned(), "f:2:1: `subscriber-q", "leave"),
        ("max-topic = 9\npubsub = false".to_owned(), "f:2:1: `max-topic` has no effect", "leave"),
        (
            format!("{slow}{echo}"),
            "f:1:1: `slow-consumer` has no effect",
            "no `[[route]]` leads to",
        ),
        (
            format!("max-retained = 9\n{echo}"),
            "f:1:1: `max-retained` has no effect",
            "leave it out",
        ),
        (format!("{slow}{echo}{own}"), "f:1:1: `slow-consumer` has no effect", "has its own"),
        (format!("subscriber-queue = 9\n{own}"), "f:1:1: `subscriber-queue` has", "has its own"),
    ]);
    are_good(&[
        format!("pubsub = false\n{echo}"),
        "pubsub = false\nslow-consumer = \"close\"".to_owned(),
        format!("{slow}{own}{}", route("/p", "pubsub", "")),
        format!("max-topic = 9\n{own}"),
    ]);
    let both = faults(&format!("{slow}max-topic = 9\npubsub = false"));
    assert_eq!(both.len(), 2, "{both:?}");
    let broken = faults(&format!("{slow}pubsub = no"));
    assert!(broken.len() == 1 && broken[0].starts_with("f:2:10:"), "{broken:?}");
}

#[test]
fn a_level_is_of_messages_that_are_compressed() {
    let off = route("/a", "echo", "compression = \"off\"");
    let on = route("/b", "echo", "compression = \"no-context-takeover\"");
    let level = "deflate-level = 9\n";
    has_one_fault(&[
        (format!("deflate = false\n{level}"), "f:2:1: `deflate-level` has no effect without", "`"),
        ("server-window-bits = 9\ndeflate = false".to_owned(), "f:2:1: `server-window-bits`", ""),
        ("client-window-bits = 9\ndeflate = false".to_owned(), "f:2:1: `client-window-bits`", ""),
        (format!("{level}{off}"), "f:1:1: `deflate-level` has no effect", "no `[[route]]` has"),
        (format!("{level}{}", route("/h", "health", "")), "f:1:1: `deflate-level`", "leave it out"),
    ]);
    are_good(&[
        format!("{level}deflate = false\n{off}{on}"),
        format!("{level}{off}{}", route("/c", "echo", "")),
    ]);
}

#[test]
fn an_access_log_is_seen() {
    has_one_fault(&[(
        "access-log = true\nlog-level = \"warn\"".to_owned(),
        "f:2:1: `access-log` has no effect: `log-level` (warn) leaves out its lines",
        "`warn,corecast::access=info`",
    )]);
    are_good(&[
        "access-log = true\nlog-level = \"debug\"".to_owned(),
        "access-log = true\nlog-level = \"warn,corecast::access=info\"".to_owned(),
        "access-log = true\nlog-level = \"info,corecast::access=off\"".to_owned(),
        "access-log = false\nlog-level = \"warn\"".to_owned(),
    ]);
}

#[test]
fn addresses_that_are_needed_are_asked_for() {
    for (needs, name) in [
        ("admin = \"127.0.0.1:9002\"", "`admin`"),
        ("access-log = true", "`access-log`"),
        ("trust-proxy = \"10.0.0.1\"", "`trust-proxy`"),
    ] {
        let file = format!("peer-addresses = false\n{needs}");
        has_one_fault(&[(file, "f:2:1: `peer-addresses` has no effect", name)]);
        are_good(&[format!("peer-addresses = true\n{needs}")]);
    }
    are_good(&["peer-addresses = false".to_owned()]);
}

#[test]
fn an_address_has_fewer_connections_than_all_together() {
    let text = |address: u32, more: &str| {
        format!("max-connections = 10\nmax-connections-per-address = {address}\n{more}")
    };
    has_one_fault(&[
        (
            text(11, "cores = \"0\""),
            "f:3:1: `max-connections-per-address` (11) is more than `max-connections` (10) of the",
            "one loop",
        ),
        (
            text(41, "cores = \"0-1\"\nloops-per-core = 2"),
            "f:4:1: `max-connections-per-address` (41) is more than `max-connections` (10) of each",
            "of 4 loops",
        ),
    ]);
    are_good(&[text(10, "cores = \"0\""), text(20, "cores = \"0-1\""), text(20, "")]);
}

#[test]
fn flags_are_named_as_flags() {
    let flags = ["corecast", "serve", "--no-pubsub", "--slow-consumer", "conflate"];
    let matches = command().try_get_matches_from(flags).unwrap();
    let flags = given(matches.subcommand_matches("serve").unwrap());
    let faults = resolved("", Inputs { flags, ..Inputs::default() }).faults;
    let text = "`--slow-consumer` has no effect: `--pubsub` (false) turns off topics";
    assert!(faults.len() == 1 && faults[0].to_string().starts_with(text), "{faults:?}");
}

/// What a running server keeps, though the file does not have it any more, stands in nobody's way.
#[test]
fn what_only_stays_is_not_refused() {
    let started = resolved("max-topic = 9\ndeflate-level = 9\n", Inputs::default()).options;
    let next =
        |file| resolved(file, Inputs { started: Some(started.clone()), ..Inputs::default() });
    let now = next("pubsub = false\ndeflate = false");
    assert!(now.faults.is_empty() && now.kept.len() == 2, "{:?} {:?}", now.faults, now.kept);
    let now = next("pubsub = false\nmax-topic = 9");
    assert_eq!(now.faults.len(), 1, "{:?}", now.faults);
}
