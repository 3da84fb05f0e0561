//! What files and variables say, what is wrong with them, and which settings contradict each other.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;

use super::file::Document;
use super::resolve::{Inputs, Resolved};
use super::variables::{Variables, config_file};

fn resolved(file: &str, variables: &[(&str, &str)]) -> Resolved {
    let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).into()));
    Resolved::of(&Inputs {
        document: Some(Document::new("f", file)),
        variables: Variables::new(variables),
        ..Inputs::default()
    })
}

fn faults(file: &str, variables: &[(&str, &str)]) -> Vec<String> {
    resolved(file, variables).faults.iter().map(ToString::to_string).collect()
}

/// Each file has one fault, which begins and ends like this.
fn has_one_fault(cases: &[(&str, &str, &str)]) {
    for (file, start, end) in cases {
        let faults = faults(file, &[]);
        let [fault] = faults.as_slice() else { panic!("{file}: {faults:?}") };
        assert!(fault.starts_with(start) && fault.contains(end), "{file}: {fault}");
    }
}

#[test]
fn keys_that_are_not_known() {
    has_one_fault(&[
        ("max-mesage = 1", "f:1:1: unknown key `max-mesage`;", "is `max-message`"),
        ("\n  max_message = 1", "f:2:3: unknown key", "is `max-message`"),
        ("Listen = 1", "f:1:1: unknown key", "is `listen`"),
        ("xyz = 1", "f:1:1: unknown key `xyz`;", "`corecast default-config`"),
        ("no-deflate = true", "f:1:1: unknown key `no-deflate`;", "write `deflate = false`"),
        ("no_pubsub = true", "f:1:1: unknown key", "write `pubsub = false`"),
        ("\"a\\nb\" = 1", "f:1:1: unknown key `a\\nb`", ""),
        ("[limits]\nx = 1", "f:1:2: unknown table `limits`", ""),
        ("[limits]\nmax-head = 1", "f:1:2: unknown table", "`max-head` is a key of the top level"),
        ("[[place]]\nx = 1", "f:1:3: unknown table `place`", ""),
    ]);
}

/// What could never be in a token or a request.
#[cfg(feature = "tokens")]
#[test]
fn names_that_nothing_has() {
    has_one_fault(&[
        ("token-cookie = \"a b\"", "f:1:16: invalid value `a b`", "has a ` ` in its name"),
        ("token-cookie = \"a=b\"", "f:1:16: invalid value", "has a `=` in its name"),
        ("token-cookie = \"a\\u00e9\"", "f:1:16: invalid value", "in its name"),
        ("token-cookie = \"a\\n\"", "f:1:16: invalid value", "has a `\\n` in its name"),
        ("token-audience = [\"\"]", "f:1:19: invalid value ``", "it is empty"),
    ]);
}

#[test]
fn values_of_another_type() {
    has_one_fault(&[
        ("deflate = \"no\"", "f:1:11: this is a string; `deflate` takes `true` or `false`", ""),
        ("ping-after = \"30\"", "f:1:14: this is a string;", "such as `ping-after = 20`"),
        ("ping-after = 1.5", "f:1:14: this is a number with a fraction", "a whole number"),
        ("max-head = true", "f:1:12: this is a boolean;", "such as `max-head = \"32KiB\"`"),
        ("listen = 9001", "f:1:10: this is a number;", "a list of strings, such as `listen = ["),
        ("listen = [9001]", "f:1:11: this is a number;", "a list of strings"),
        ("cores = [0]", "f:1:9: this is a list;", "such as `cores = \"0\"`"),
        ("backend = 2024-01-01", "f:1:11: this is a date or time", "a string"),
        ("[listen]\n", "f:1:1: this is a table;", "a list of strings"),
    ]);
}

#[test]
fn values_that_are_wrong() {
    has_one_fault(&[
        ("max-head = 1", "f:1:12: invalid value `1` for `max-head`:", "from 1KiB to 256KiB"),
        ("max-message = \"16mb\"", "f:1:15: invalid value `16mb`", "write `16MiB`"),
        ("ping-after = -1", "f:1:14: invalid value `-1`", "from 1 to 86400"),
        ("buffers = 3", "f:1:11: invalid value `3`", "a power of two from 2 to 32768"),
        ("listen = [\n\"9001\",\n \"x\"]", "f:3:2: invalid value `x`", "no name but localhost"),
        ("slow-consumer = \"conflat\"", "f:1:17: invalid value", "the nearest is `conflate`"),
        (
            "slow-consumer = \"x\"",
            "f:1:17: invalid",
            "`close`, `drop-newest`, `drop-oldest`, `conf",
        ),
        ("allow-origin = []", "f:1:1: `allow-origin`: it is empty", "write `*`"),
        ("allow-origin = [\"*\", \"http://a\"]", "f:1:1: `allow-origin`: `*` allows", "leave out"),
        ("allow-origin = \"http://a/b\"", "f:1:16: invalid value", "write `http://a`"),
        ("tls-cert = \"\"", "f:1:12: invalid value ``", "not the name of a file"),
    ]);
}

#[test]
fn text_that_is_no_toml() {
    has_one_fault(&[
        ("max-head = 16KiB", "f:1:12: `16KiB` needs quotes: write `\"16KiB\"`", ""),
        ("max-head =", "f:1:11: a value is missing", ""),
        ("deflate = yes", "f:1:11: `yes` is no value; write `true`", ""),
        ("deflate = no", "f:1:11: `no` is no value; write `false`", ""),
        ("deflate = True", "f:1:11: `True` is no value; write `true`", ""),
        ("max-head\n", "f:1:9: key with no value", ""),
        ("cores = \"0", "f:1:11: invalid basic string", ""),
        ("cores = \"0\"\ncores = \"1\"", "f:2:1: `cores` is given twice", ""),
        ("= 1", "f:1:1: ", "key"),
    ]);
}

#[test]
fn all_faults_are_told_in_their_order() {
    let file = "max-mesage = 1\nmax-head = 16KiB\ncores = \"x\"\nlisten = [1, \"x\", \"9001\"]\n\
                max-connection-index = \"1MiB\"\nmax-index = \"64KiB\"\n";
    let variables = [("CORECAST_BACKEND", "x"), ("CORECAST_MAX_HAED", "1")];
    let faults = faults(file, &variables);
    let starts = ["f:1:1: ", "f:2:12: ", "f:3:9: ", "f:4:11: ", "f:4:14: ", "f:6:1: "];
    let starts = starts.into_iter().chain(["CORECAST_BACKEND: ", "CORECAST_MAX_HAED: "]);
    let found = faults.len();
    assert_eq!(found, 8, "{faults:?}");
    for (fault, start) in faults.iter().zip(starts) {
        assert!(fault.starts_with(start), "{start} is not where {fault} is");
    }
}

/// 16 times as many lines, or values in one line, take some 16 times as long, and not 256 times.
#[test]
fn the_time_grows_with_the_file_and_not_faster() {
    let lines = |count| "max-head = \"16KiB\"\n".repeat(count);
    let values = |count| format!("allow-origin = [{}]", "1, ".repeat(count));
    let now = || {
        // That of this thread: others may have the processor meanwhile.
        let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
        std::time::Duration::try_from(time).unwrap()
    };
    let time = |file: &str| {
        let once = |_| {
            let start = now();
            assert!(!faults(file, &[]).is_empty());
            now() - start
        };
        (0..3).map(once).min().unwrap().as_secs_f64()
    };
    for file in [&lines as &dyn Fn(usize) -> String, &values] {
        let (few, many) = (time(&file(2_000)), time(&file(32_000)));
        assert!(many < 100.0 * few, "{few} s and {many} s");
    }
}

#[test]
fn a_value_that_could_not_be_read_contradicts_nothing() {
    for broken in ["max-memory = 64MiB", "max-memory = \"64 mb\"", "max-memory = true"] {
        let faults = faults(&format!("max-message = \"1GiB\"\n{broken}\n"), &[]);
        assert_eq!(faults.len(), 1, "{faults:?}");
    }
}

#[test]
fn combinations_that_cannot_work() {
    has_one_fault(&[
        (
            "max-message = \"1GiB\"",
            "f:1:1: `max-message` (1GiB) is more than `max-memory` (512MiB, the default)",
            "lower it",
        ),
        ("message-burst = 5", "f:1:1: `message-burst` has no effect without `message-rate`", ""),
        ("byte-burst = 5\nmessage-rate = 1", "f:1:1: `byte-burst` has no effect without", ""),
        ("handshake-burst = 5", "f:1:1: `handshake-burst` has no effect without", ""),
        (
            "rate-policy = \"close\"",
            "f:1:1: `rate-policy` has no effect without `message-rate` or",
            "",
        ),
        ("rate-policy = \"close\"\ncontrol-rate = 1", "f:1:1: `rate-policy` has no effect", ""),
        (
            "rate-policy = \"close\"\n[[route]]\npath = \"/a\"\nto = \"echo\"\nbyte-rate = 1\n\
             rate-policy = \"delay\"",
            "f:1:1: `rate-policy` has no effect",
            "",
        ),
        (
            "server-context-takeover = true\ndeflate = false",
            "f:2:1: `server-context-takeover` has no effect without `deflate`",
            "",
        ),
        (
            "deflate = false\nclient-context-takeover = true",
            "f:2:1: `client-context-takeover` has no effect without `deflate`",
            "",
        ),
        (
            "max-handshakes = 11\nmax-connections = 10",
            "f:2:1: `max-handshakes` (11) is more than `max-connections` (10)",
            "lower it",
        ),
        ("max-memory = \"15MiB\"", "f:1:1: `max-message` (16MiB, the default) is more", ""),
        ("max-body = \"1GiB\"", "f:1:1: `max-body` (1GiB) is more than", ""),
        ("max-request-line = \"17KiB\"", "f:1:1: `max-request-line`", "`max-head` (16KiB"),
        ("send-queue = \"1GiB\"", "f:1:1: `send-queue`", "`max-memory`"),
        ("subscriber-queue = \"513MiB\"", "f:1:1: `subscriber-queue`", "`max-memory`"),
        ("publish-backlog = \"1GiB\"", "f:1:1: `publish-backlog`", "`max-memory`"),
        ("max-index = \"257MiB\"", "f:1:1: `max-index`", "half of `max-memory`"),
        (
            "max-connection-index = \"1MiB\"\nmax-index = \"64KiB\"",
            "f:2:1: `max-conn",
            "`max-index`",
        ),
        ("buffers = 2048", "f:1:1: `buffers` (2048) is more than `max-buffers` (1024", ""),
        (
            "buffer-size = \"1MiB\"",
            "f:1:1: `max-buffers` (1024, the default) times",
            "`max-memory`",
        ),
        ("ping-after = 9\nidle-timeout = 9", "f:2:1: `ping-after` (9) is not less", "no ping"),
        ("listen = []", "f:1:1: there is nothing to listen on", "127.0.0.1:9001"),
        ("listen = [\"1\", \"127.0.0.1:1\"]", "f:1:1: the address 127.0.0.1:1 is given twice", ""),
        ("listen = [\"0.0.0.0:1\", \"1\"]", "f:1:1: the address 0.0.0.0:1 covers 127.0.0.1:1", ""),
        ("listen = [\"unix:/a\", \"unix:/./a\"]", "f:1:1: unix:/a is given twice", ""),
        ("listen = [\"systemd\", \"systemd:a\"]", "f:1:1: systemd:a is given twice", ""),
    ]);
    assert_eq!(faults("listen = [\"1\", \"1\", \"2\", \"2\"]", &[]).len(), 2);
}

#[cfg(feature = "tls")]
#[test]
fn tls_in_part_cannot_work() {
    has_one_fault(&[
        ("listen-tls = [\"1\"]", "f:1:1: `listen-tls` needs `tls-cert` and `tls-key`", ""),
        ("tls-cert = \"c\"\nlisten-tls = \"1\"", "f:1:1: there are 1 of `tls-cert` and 0", ""),
        ("listen-tls = \"1\"\ntls-cert = \"c\"", "f:2:1: there are 1 of `tls-cert` and 0", ""),
        ("tls-key = \"k\"", "f:1:1: there are 0 of `tls-cert` and 1 of `tls-key`", ""),
        ("tls-key = \"k\"\ntls-cert = \"c\"", "f:2:1: `tls-cert` and `tls-key` have no effect", ""),
    ]);
    let tls = "tls-cert = \"c\"\ntls-key = \"k\"\nlisten-tls = \"1\"\n";
    let only_tls = resolved(tls, &[]);
    assert!(only_tls.faults.is_empty() && only_tls.options.listen.is_empty());
    let both = resolved(&format!("{tls}listen = \"2\""), &[]);
    assert!(both.faults.is_empty() && both.options.listen.len() == 1);
    assert_eq!(faults(&format!("{tls}listen = \"1\""), &[]).len(), 1);
}

#[test]
fn an_admin_listener_is_local_or_has_a_token() {
    has_one_fault(&[
        ("admin-token-file = \"t\"", "f:1:1: `admin-token-file` has no effect without `admin`", ""),
        ("admin = \":9100\"", "f:1:1: `admin` (:9100) can be reached from other machines", ""),
        ("admin = [\"9100\", \"10.0.0.1:9100\"]", "f:1:1: `admin` (10.0.0.1:9100) can be", ""),
        ("admin = \"9001\"", "f:1:1: the address 127.0.0.1:9001 is given twice", ""),
        ("listen = [\"1\", \"1\"]\nadmin = \"2\"", "f:1:1: the address 127.0.0.1:1 is", ""),
        ("admin = \"2\"\nlisten = [\"1\", \"2\"]\n", "f:2:1: the address 127.0.0.1:2 is", ""),
        ("log-level = \"loud\"", "f:1:13: invalid value `loud` for `log-level`: write one", ""),
    ]);
    for file in [
        "admin = [\"9100\", \"[::1]:9100\", \"unix:/run/admin.sock\", \"systemd:admin\"]",
        "admin = \":9100\"\nadmin-token-file = \"t\"",
    ] {
        assert_eq!(faults(file, &[]), [""; 0], "{file}");
    }
}

#[test]
fn defaults_that_have_no_effect_are_no_fault() {
    for file in [
        "max-memory = \"16MiB\"",
        "max-index = \"64KiB\"",
        "max-memory = \"1MiB\"\nmax-message = \"1MiB\"",
        "max-head = \"1KiB\"",
        "idle-timeout = 5",
        "ping-after = 30\nidle-timeout = 5",
        "listen = [\"127.0.0.1:0\", \"127.0.0.1:0\", \"[::]:1\", \"0.0.0.0:1\"]",
        "deflate = false\ndeflate-level = 1",
        "deflate = false\nserver-context-takeover = false",
        "rate-policy = \"delay\"",
        "rate-policy = \"close\"\nbyte-rate = 1",
        "rate-policy = \"close\"\n[[route]]\npath = \"/a\"\nto = \"echo\"\nmessage-rate = 1",
        "max-handshakes = 10\nmax-connections = 10",
        "",
    ] {
        assert_eq!(faults(file, &[]), [""; 0], "{file}");
    }
}

#[test]
fn a_variable_is_told_by_its_name_wherever_the_other_one_is() {
    let faults = faults("max-memory = \"32MiB\"", &[("CORECAST_MAX_MESSAGE", "64MiB")]);
    let expected = "CORECAST_MAX_MESSAGE: `max-message` (64MiB, CORECAST_MAX_MESSAGE) is more than \
                    `max-memory` (32MiB, f:1:1)";
    assert!(faults.len() == 1 && faults[0].starts_with(expected), "{faults:?}");
}

#[test]
fn lists_in_variables_have_spaces() {
    let listen = |value| resolved("", &[("CORECAST_LISTEN", value)]).options.listen;
    let texts = |value| listen(value).into_iter().map(|it| it.text).collect::<Vec<_>>();
    assert_eq!(texts(" 9001\n unix:/a,mode=0660 "), ["9001", "unix:/a,mode=0660"]);
    assert_eq!(texts(""), ["127.0.0.1:9001"]);
    assert_eq!(faults("", &[("CORECAST_LISTEN", " ")]).len(), 1);
}

#[test]
fn unknown_variables_are_slips_or_those_of_others() {
    for (name, near) in [
        ("CORECAST_LISTN", "CORECAST_LISTEN"),
        ("CORECAST_MAX_MESAGE", "CORECAST_MAX_MESSAGE"),
        ("CORECAST_NO_DEFLATE", "CORECAST_DEFLATE=false"),
        ("CORECAST_CONFG", "CORECAST_CONFIG"),
        ("CORECAST_max_head", "CORECAST_MAX_HEAD"),
    ] {
        let faults = faults("", &[(name, "1")]);
        let start = format!("{name}: unknown variable;");
        assert!(faults.len() == 1 && faults[0].starts_with(&start), "{faults:?}");
        assert!(faults[0].ends_with(near), "{faults:?}");
    }
    for (name, near) in [
        ("CORECAST_VERSION", "no effect"),
        ("CORECAST_MAX_MESS", "is CORECAST_MAX_MESSAGE"),
        ("CORECAST_TEST_BACKEND", "is CORECAST_BACKEND"),
    ] {
        let resolved = resolved("", &[(name, "1")]);
        assert!(resolved.faults.is_empty(), "{:?}", resolved.faults);
        let [warning] = resolved.warnings.as_slice() else { panic!("{name} is not told") };
        assert!(warning.contains(name) && warning.ends_with(near), "{warning}");
    }
    for name in ["CORECAST_PORT", "CORECAST_SERVICE_HOST", "CORECAST_CONFIG", "CORECASTLE", "PATH"]
    {
        let resolved = resolved("", &[(name, "1")]);
        assert!(resolved.faults.is_empty() && resolved.warnings.is_empty(), "{name}");
    }
}

#[test]
fn values_of_variables_have_to_be_text() {
    let bytes = OsString::from_vec(vec![b'1', 0xff]);
    let variables = Variables::new([("CORECAST_CORES".to_owned(), bytes)].into_iter());
    let resolved = Resolved::of(&Inputs { variables, ..Inputs::default() });
    assert_eq!(resolved.faults.len(), 1);
    let named = [("CORECAST_CONFIG".to_owned(), OsString::from("/a"))];
    assert_eq!(config_file(&Variables::new(named.into_iter())), Some("/a".into()));
}
