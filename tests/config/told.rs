//! Where faults are told, and what is warned of.

#[cfg(feature = "tokens")]
use crate::support::host::wait_until;
use crate::support::server::{Server, command};
use crate::{File, check_input, finished};

/// Of several settings that lack the same one, each fault is where that setting is.
#[cfg(all(feature = "tokens", feature = "auth-url"))]
#[test]
fn faults_are_told_at_the_setting_that_has_them() {
    let lines = [
        "token-audience = [\"a\"]",
        "token-cookie = \"b\"",
        "token-leeway = 5",
        "auth-timeout = 2",
        "auth-ca = [\"/nowhere\"]",
        "deflate = false",
        "server-context-takeover = true",
        "client-context-takeover = true",
        "pubsub = false",
        "slow-consumer = \"conflate\"",
        "api-keys = [\"/nowhere\"]",
        "log-level = \"warn,corecast::acess=info\"",
    ];
    let (_, _, said) = check_input(&lines.join("\n"));
    let told: Vec<&str> = said.lines().collect();
    let of = |number: usize| {
        told.iter().filter(move |line| line.starts_with(&format!("stdin:{number}:")))
    };
    for (number, part) in [
        (1, "`token-audience` needs `token-secret`"),
        (2, "`token-cookie` needs `token-secret`"),
        (3, "`token-leeway` needs `token-secret`"),
        (4, "`auth-timeout` needs `auth-url`"),
        (5, "`auth-ca` needs `auth-url`"),
        (7, "`server-context-takeover` has no effect without `deflate`"),
        (8, "`client-context-takeover` has no effect without `deflate`"),
        (10, "`slow-consumer` has no effect: `pubsub` (false) turns off topics"),
        (11, "`api-keys` protects nothing: `pubsub` (false) leaves only the echo"),
        (12, "the nearest is `corecast::access`"),
    ] {
        let all: Vec<_> = of(number).collect();
        assert!(all.len() == 1 && all[0].contains(part), "{number}: {part}: {said}");
    }
    assert_eq!(told.len(), 10, "{said}");
    // A route that needs tokens needs their keys.
    let route = "[[route]]\npath = \"/a\"\nto = \"echo\"\nauthority = \"token\"\n";
    let text = format!("pubsub = false\napi-keys = [\"/nowhere\"]\n{route}");
    let (code, said, _) = check_input(&text);
    assert_eq!(code, Some(0));
    assert!(said.ends_with("; 1 route; the files that it names were not opened\n"), "{said}");
}

#[test]
fn values_of_lists_in_variables_are_separated_by_spaces() {
    let mut serve = command(&["serve", "--print-config"]);
    serve.env("CORECAST_ALLOW_ORIGIN", "https://a.example,https://b.example");
    let end = finished(serve);
    assert!(end.error_line(2).contains("separate the values of a list by spaces"), "{end:?}");
}

/// What is likely not meant so is told at the start.
#[cfg(feature = "tokens")]
#[test]
fn a_server_warns_of_what_lets_everybody_in() {
    use std::os::unix::fs::PermissionsExt;
    use std::time::Duration;

    use rustix::process::Signal;

    let secret = File::new(&"s".repeat(32));
    let start = |mode, trusted| {
        std::fs::set_permissions(&secret.0, std::fs::Permissions::from_mode(mode)).unwrap();
        Server::start(&["--token-secret", secret.path(), "--trust-proxy", trusted])
    };
    let server = start(0o666, "0.0.0.0/0");
    let has = |part: &str| server.log().iter().any(|line| line.contains(part));
    let written = format!("everybody may write to {}", secret.path());
    for part in ["--trust-proxy 0.0.0.0/0 believes everybody", &written] {
        assert!(
            wait_until(Duration::from_secs(10), || has(part)),
            "{part} is not in {:?}",
            server.log()
        );
    }
    drop(server);
    let mut server = start(0o640, "10.0.0.0/8");
    // All is written before it ends.
    server.signal(Signal::TERM);
    assert!(server.wait(Duration::from_secs(10)).is_some());
    let has = |part: &str| server.log().iter().any(|line| line.contains(part));
    assert!(wait_until(Duration::from_secs(10), || has("stopped accepted=")), "{:?}", server.log());
    assert!(!has("WARN"), "{:?}", server.log());
}
