//! Wrong flags: one line that names the mistake, valid values, and the command that prints help.

mod support;

use std::time::Duration;

use support::server::{command, run};

/// The one line of an error, which must be the whole output.
fn error_line(args: &[&str], code: i32) -> String {
    let end = run(command(args), Duration::from_secs(5));
    assert!(end.took < Duration::from_secs(1), "{args:?} took {:?}", end.took);
    assert_eq!(end.stdout, "", "{args:?}");
    end.error_line(code).to_owned()
}

#[test]
fn wrong_flags_exit_with_2_and_one_line_that_names_the_mistake() {
    for (args, names) in [
        (&[][..], "--help"),
        (&["frobnicate"], "frobnicate"),
        (&["serve", "--frobnicate"], "--frobnicate"),
        (&["serve", "more"], "a file of settings is given as `--config more`"),
        (&["top"], "no address is given"),
        (&["probe", "more"], "more"),
        (&["serve", "--listen"], "--listen"),
        (&["serve", "--listen", "nonsense"], "nonsense"),
        (&["serve", "--listen", "127.0.0.1"], "127.0.0.1"),
        (&["serve", "--listen", "127.0.0.1:65536"], "127.0.0.1:65536"),
        (&["serve", "--listen", "localhost:http"], "localhost:http"),
        (&["serve", "--max-message", "0"], "--max-message"),
        (&["serve", "--max-message", "much"], "much"),
        (&["serve", "--max-message", "-1"], "-1"),
        (&["serve", "--max-message", "5GiB"], "5GiB"),
        (&["serve", "--max-index", "0"], "--max-index"),
        (&["serve", "--max-connection-index", "much"], "much"),
        (&["serve", "--ping-after", "0"], "--ping-after"),
        (&["serve", "--ping-after", "soon"], "soon"),
        (&["serve", "--ping-after", "86401"], "86401"),
        (&["serve", "--idle-timeout", "0"], "--idle-timeout"),
        (&["serve", "--log-format", "xml"], "xml"),
        (&["serve", "--no-deflate=no"], "'--no-deflate' takes no value"),
        (&["serve", "--cores", "0", "--cores", "1"], "'--cores <LIST>' cannot be used multiple"),
    ] {
        let line = error_line(args, 2);
        assert!(line.contains(names), "{args:?}: {line}");
        let help = match args.first() {
            Some(name @ (&"serve" | &"probe" | &"top")) => format!("see `corecast {name} --help`"),
            _ => "see `corecast --help`".to_owned(),
        };
        assert!(line.ends_with(&help), "{args:?}: {line}");
    }
}

/// The parts of each line that name a valid value.
fn names_valid_values(cases: &[(&[&str], &[&str])]) {
    for (args, parts) in cases {
        let line = error_line(args, 2);
        for part in *parts {
            assert!(line.contains(part), "{args:?}: {part} is not in {line}");
        }
    }
}

#[test]
fn valid_values_and_similar_names_are_named() {
    let policies = "close, drop-newest, drop-oldest, conflate";
    names_valid_values(&[
        (&["serve", "--slow-consumer", "drop"], &[policies, "similar value exists: 'drop-"]),
        (&["serve", "--slow-consumer", "conflat"], &[policies, "exists: 'conflate'"]),
        (&["serve", "--slow-consumer", "1013"], &[policies]),
        (&["serve", "--slow-consumer"], &[policies]),
        (&["serve", "--log-format", "xml"], &["text, json"]),
        (&["serve", "--log-format", "jsn"], &["text, json", "exists: 'json'"]),
        (&["serve", "--ping-after", "30s"], &["seconds from 1 to 86400"]),
        (&["serve", "--idle-timeout", "1.5"], &["seconds from 1 to 86400"]),
        (&["serve", "--loops-per-core", "17"], &["from 1 to 16"]),
        (&["serve", "--max-message", "16mb"], &["`16MiB`"]),
        (&["serve", "--max-message", "x"], &["65536", "64KiB", "16MiB"]),
        (&["serve", "--cores", "3-1"], &["`1-3`"]),
    ]);
}

#[test]
fn a_similar_flag_or_command_is_named() {
    names_valid_values(&[
        (&["serve", "--lisen", "127.0.0.1:1"], &["--lisen", "exists: '--listen'"]),
        (&["serve", "--core", "0"], &["exists: '--cores'"]),
        (&["serve", "--idle-timout", "5"], &["exists: '--idle-timeout'"]),
        (&["serve", "--no-pub-sub"], &["exists: '--no-pubsub'"]),
        (&["--verson"], &["exists: '--version'"]),
        (
            &["serv"],
            &[
                "exists: 'serve'",
                "`serve`, `top`, `ping`, `drain`, `check-config`, `default-config`, `probe`",
            ],
        ),
        (
            &["run"],
            &[
                "'run'",
                "`serve`, `top`, `ping`, `drain`, `check-config`, `default-config`, `probe`",
            ],
        ),
        (
            &[],
            &[
                "no command is given",
                "`serve`, `top`, `ping`, `drain`, `check-config`, `default-config`, `probe`",
            ],
        ),
        (&["--listen", "127.0.0.1:1"], &["'--listen'", "a flag of `corecast serve`"]),
        (&["--no-deflate"], &["'--no-deflate'", "a flag of `corecast serve`"]),
    ]);
}

#[test]
fn the_message_shows_the_form_of_an_address() {
    names_valid_values(&[
        (&["serve", "--listen", "http://:80"], &["`80`", "`:80`"]),
        (&["serve", "--listen", "127.0.0.1"], &["write `127.0.0.1:9001`"]),
        (&["serve", "--listen", "::1"], &["write `[::1]:9001`"]),
        (&["serve", "--listen", "::1:9001"], &["write `[::1]:9001`"]),
        (&["serve", "--ping-after", "-1"], &["'-1'", "from 1 to 86400"]),
        (&["serve", "--max-memory", "-1"], &["'-1'"]),
        (&["serve", "--max-memory", "1KiB"], &["--max-memory", "a size from 1MiB to 4GiB"]),
        (&["serve", "--max-memory", "1GiB", "--max-message", "2GiB"], &["--max-message"]),
        (&["serve", "--listen", "*:80"], &["write `[::]:80`"]),
        (&["serve", "--listen", "ws://127.0.0.1:80/"], &["write `127.0.0.1:80`"]),
        (&["serve", "--listen", "myhost:80"], &["localhost", "`127.0.0.1:80`"]),
        (&["serve", "--listen", "127.0.0.1:65536"], &["`127.0.0.1:9001`", "65535"]),
        (&["serve", "--listen", "nonsense nonsense"], &["`127.0.0.1:9001`", "`[::1]:9001`"]),
        (&["serve", "--listen", "a\nb"], &["`127.0.0.1:9001`"]),
    ]);
}

#[test]
fn wrong_core_lists_exit_with_2_and_show_the_form() {
    for list in ["", "a", "3-1", "1-", "0,,1", "0 1", "0-99999", "1.5", "0x1"] {
        let line = error_line(&["serve", "--cores", list], 2);
        assert!(line.contains("--cores") && line.contains("--help"), "{list:?}: {line}");
    }
}

#[test]
fn missing_cores_exit_with_2_and_the_message_lists_the_available_ones() {
    let cores = std::thread::available_parallelism().unwrap().get();
    let line = error_line(&["serve", "--listen", "127.0.0.1:0", "--cores", "4095"], 2);
    assert!(line.contains("`cores`: core 4095 is not available"), "{line}");
    assert!(line.contains("see `corecast serve --help`"), "{line}");
    assert!(line.contains("may use 0") || cores == 1, "{line}");
    let line = error_line(&["serve", "--listen", "127.0.0.1:0", "--cores", "0,4000"], 2);
    assert!(line.contains("core 4000"), "{line}");
}

#[test]
fn an_address_that_the_machine_lacks_exits_with_1() {
    let line = error_line(&["serve", "--listen", "203.0.113.1:9"], 1);
    assert!(line.contains("203.0.113.1:9: this machine has no such address"), "{line}");
}

#[test]
fn origins_that_can_never_match_exit_with_2_and_show_the_form() {
    for (origin, shown) in [
        ("good.example", "`https://good.example`"),
        ("https://good.example/chat", "`https://good.example`"),
        ("wss://good.example", "`https://good.example`"),
        ("https:good.example", "`//` behind the scheme; write `https://good.example`"),
        ("HTTP:/good.example:8080/", "write `http://good.example:8080`"),
        // A host and a port.
        ("http:8080", "it has no scheme; write `https://http:8080`"),
        ("https://*.good.example", "wildcard"),
        ("", "`https://example.org`"),
        // Browsers write it in another way.
        ("https://good.example:443", "no default port; write `https://good.example`"),
        ("HTTPS://Good.example", "in lower case; write `https://good.example`"),
        ("https://good.example/", "nothing behind the host; write `https://good.example`"),
        ("http://[0::1]", "in its shortest form; write `http://[::1]`"),
    ] {
        for before in [&[][..], &["--allow-origin", "*"]] {
            let args = [&["serve"], before, &["--allow-origin", origin]].concat();
            let line = error_line(&args, 2);
            assert!(line.contains("--allow-origin") && line.contains(shown), "{origin}: {line}");
        }
    }
}

#[test]
fn flags_that_contradict_one_another_exit_with_2_and_name_both() {
    let star = ["--allow-origin", "*", "--allow-origin", "https://good.example"];
    for (flags, shown) in [
        (&["--deflate", "--no-deflate"][..], "'--deflate' cannot be used with '--no-deflate'"),
        (&["--listen", "1", "--listen", "127.0.0.1:1"], "127.0.0.1:1 is given twice"),
        (
            &["--max-memory", "1MiB"],
            "`--max-message` (16MiB, the default) is more than `--max-memory` (1MiB)",
        ),
        (&["--buffers", "64", "--max-buffers", "32"], "`--buffers` (64) is more than"),
        (&["--tls-key", "k.pem"], "there are 0 of `--tls-cert` and 1 of `--tls-key`"),
        (&["--listen-tls", "9443"], "`--listen-tls` needs `--tls-cert` and `--tls-key`"),
        (&star, "`*` allows every page"),
    ] {
        let line = error_line(&[&["serve"], flags].concat(), 2);
        assert!(line.contains(shown), "{flags:?}: {line}");
        assert!(line.ends_with("see `corecast serve --help`"), "{flags:?}: {line}");
    }
}
