//! What `[[route]]` says, and what is wrong with it.

use corecast::config::{Access, Compression, RatePolicy, Route, RouteRates, RouteTo, SlowConsumer};
use corecast::protocol::websocket::handshake::Origins;

use super::file::Document;
use super::resolve::{Inputs, Resolved};
use super::table::route;
use super::write::{default_file, effective_file};

fn resolved(file: &str) -> Resolved {
    let document = Some(Document::new("f", file));
    Resolved::of(&Inputs { document, ..Inputs::default() })
}

fn faults(file: &str) -> Vec<String> {
    resolved(file).faults.iter().map(ToString::to_string).collect()
}

const ALL: &str = r#"
max-head = "8KiB"
token-secret = ["s"]

[[route]]
to = "topics"
path = "/live/{topic...}"
max-message = 100
allow-origin = ["https://a.example"]
slow-consumer = "drop-oldest"
subscriber-queue = "2KiB"
message-rate = 10
message-burst = 20
byte-rate = "1KiB"
byte-burst = 5000
rate-policy = "close"
control-rate = 3
compression = "no-context-takeover"
authority = "token"

[[route]]
path = "/live/x"
to = "off"
"#;

#[test]
fn every_key_of_a_route_is_read_and_written() {
    let all = resolved(ALL);
    assert!(all.faults.is_empty(), "{:?}", all.faults);
    let live = Route::new("/live/{topic...}", RouteTo::Topics).unwrap();
    let mut rates = RouteRates::default();
    (rates.messages, rates.message_burst) = (Some(10), Some(20));
    (rates.bytes, rates.byte_burst) = (Some(1024), Some(5000));
    (rates.policy, rates.control_frames) = (Some(RatePolicy::Close), Some(3));
    let live = live
        .max_message(100)
        .origins(Origins::list(["https://a.example"]).unwrap())
        .slow(SlowConsumer::DropOldest)
        .queue(2048)
        .rates(rates)
        .compression(Compression::NoContextTakeover)
        .access(Access::Token);
    let routes: Vec<&Route> = all.options.config.routes.iter().collect();
    assert_eq!(routes, [&Route::new("/live/x", RouteTo::Off).unwrap(), &live]);
    let written = effective_file(&all);
    for line in ["[[route]]                            # f:5:1", "max-message = 100"] {
        assert!(written.lines().any(|it| it == line), "{line} is not in {written}");
    }
    // The written file says the same.
    let again = resolved(&written);
    assert!(again.faults.is_empty(), "{:?}", again.faults);
    assert!(again.options.config.routes.iter().eq(routes));
    let keys = route::all().count();
    assert_eq!(ALL.lines().skip(5).take_while(|line| line.contains('=')).count(), keys);
}

/// Each file has one fault, which begins and ends like this.
#[test]
fn each_fault_has_its_place() {
    let echo = "[[route]]\npath = \"/a\"\nto = \"echo\"\n";
    let topics = "[[route]]\npath = \"/t/{topic}\"\nto = \"topics\"\n";
    let cases = [
        (format!("{echo}x = 1"), "f:4:1: unknown key `x`;", "are `path`, `to`, `max-message`"),
        (format!("{echo}max-mesage = 1"), "f:4:1: unknown key", "of a route is `max-message`"),
        (format!("{echo}Allow_origin = 1"), "f:4:1: unknown key", "is `allow-origin`"),
        (format!("{echo}max-body = 1"), "f:4:1: `max-body` is a key of the server", "before any"),
        (format!("{echo}max-message = 0"), "f:4:15: invalid value `0`", "from 1 byte to 4GiB"),
        (format!("{echo}max-message = true"), "f:4:15: this is a boolean;", "takes a size"),
        (format!("{echo}max-message = 16KiB"), "f:4:15: `16KiB` needs quotes", ""),
        (format!("{echo}compression = \"of\""), "f:4:15: invalid", "the nearest is `off`"),
        (format!("{echo}authority = \"tokens\""), "f:4:13: invalid", "the nearest is `token`"),
        (format!("{echo}allow-origin = [\"a\"]"), "f:4:17: invalid", "write `https://a`"),
        (format!("{echo}slow-consumer = \"close\""), "f:4:1: `slow-consumer` has no effect", ""),
        (format!("{echo}subscriber-queue = 1"), "f:4:1: `subscriber-queue` has no effect", ""),
        (format!("{echo}message-burst = 5"), "f:4:1: `message-burst` has no effect without", ""),
        (format!("{echo}byte-rate = 5\nmessage-burst = 5"), "f:5:1: `message-burst` has no", ""),
        (
            format!("{echo}rate-policy = \"close\""),
            "f:4:1: `rate-policy` has no effect without",
            "`message-rate` or `byte-rate`",
        ),
        (format!("{echo}rate-policy = \"delay\""), "f:4:1: `rate-policy` has no effect", ""),
        (format!("{echo}rate-policy = \"wait\""), "f:4:15: invalid value `wait`", "`delay`"),
        (
            "[[route]]\npath = \"/h\"\nto = \"health\"\ncontrol-rate = 1".to_owned(),
            "f:4:1: `control-rate` has no effect",
            "",
        ),
        (format!("{echo}authority = \"token\""), "f:4:1: it needs tokens", "`token-secret`"),
        (format!("{echo}max-message = \"1GiB\""), "f:4:1: `max-message` is more than", "512MiB"),
        (
            format!("{topics}subscriber-queue = \"1GiB\""),
            "f:4:1: `subscriber-queue` is more than `max-memory` (512MiB)",
            "",
        ),
        (
            format!("{topics}compression = \"context-takeover\""),
            "f:4:1: messages of topics",
            "`no-context-takeover`",
        ),
        (format!("pubsub = false\n{topics}"), "f:4:1: it leads to topics", "`pubsub` is false"),
        (
            format!(
                "token-secret = \"s\"\ntoken-cookie = \"c\"\nallow-origin = \"https://a\"\n\
                 {topics}allow-origin = \"*\""
            ),
            "f:7:1: with `token-cookie`",
            "the origins of your pages",
        ),
        (
            format!("{echo}[[route]]\nto = \"off\"\npath = \"/a\""),
            "f:6:1: its paths are those of the route `/a` in line 2",
            "",
        ),
        (
            "[[route]]\nto = \"topics\"\npath = \"/t/*\"".to_owned(),
            "f:3:1: a path to topics",
            "`{topic...}`",
        ),
        ("[[route]]\nto = \"echo\"".to_owned(), "f:1:1: this route has no `path`", "such as"),
        ("[[route]]\npath = \"/a\"".to_owned(), "f:1:1: this route has no `to`", "such as"),
        (
            "[[route]]\npath = \"a\"\nto = \"echo\"".to_owned(),
            "f:2:8: invalid value `a` for `path`: it does not begin with `/`",
            "",
        ),
        (
            "[[route]]\npath = \"/*/a\"\nto = \"echo\"".to_owned(),
            "f:2:8: invalid",
            "write them last",
        ),
        ("[[route]]\npath = \"/a\"\nto = \"eco\"".to_owned(), "f:3:6:", "the nearest is `echo`"),
        ("[[route]]\npath = \"/a\"\nto =".to_owned(), "f:3:5: a value is missing", ""),
        (
            "[route]\npath = \"/a\"\nto = \"echo\"".to_owned(),
            "f:1:2: there may be several routes: write `[[route]]`",
            "",
        ),
        ("route = \"/a\"".to_owned(), "f:1:1: a route is a table: write `[[route]]`", ""),
        ("[[routes]]\npath = 1".to_owned(), "f:1:3: unknown table `routes`", "is `[[route]]`"),
    ];
    for (file, start, part) in cases {
        let faults = faults(&file);
        let [fault] = faults.as_slice() else { panic!("{file}: {faults:?}") };
        assert!(fault.starts_with(start) && fault.contains(part), "{file}: {fault}");
    }
}

#[test]
fn faults_of_all_routes_are_told_at_once() {
    let file = "max-hed = 1\n[[route]]\nto = \"x\"\ny = 1\n[[route]]\n[[route]]\npath = \"/a\"\n\
                to = \"off\"\nmax-message = 1\n";
    let starts = ["f:1:1: ", "f:3:6: ", "f:4:1: ", "f:5:1: ", "f:5:1: ", "f:9:1: "];
    let faults = faults(file);
    assert_eq!(faults.len(), starts.len(), "{faults:?}");
    for (fault, start) in faults.iter().zip(starts) {
        assert!(fault.starts_with(start), "{start} is not where {fault} is");
    }
}

#[test]
fn what_could_not_be_read_contradicts_no_route() {
    let route = "[[route]]\npath = \"/{topic}\"\nto = \"topics\"\n";
    for (before, after) in [
        ("max-memory = 64MiB\n", "max-message = \"1GiB\"\nsubscriber-queue = \"1GiB\"\n"),
        ("pubsub = off\n", ""),
        ("token-secret = 1\n", "authority = \"token\"\n"),
    ] {
        let faults = faults(&format!("{before}{route}{after}"));
        assert!(faults.len() == 1 && faults[0].starts_with("f:1:"), "{faults:?}");
    }
}

#[test]
fn the_example_of_the_default_file_is_good() {
    let default = default_file();
    let (_, example) = default.split_once("# For example:\n").unwrap();
    let lines = example.lines().map(|line| line.trim_start_matches('#').trim_start());
    let file = lines.collect::<Vec<_>>().join("\n");
    let all = resolved(&file);
    assert!(all.faults.is_empty(), "{:?}", all.faults);
    assert_eq!(all.options.config.routes.iter().count(), 5);
    for setting in route::all() {
        assert!(default.contains(&format!("#\n# {}\n", setting.name)), "{}", setting.name);
        assert!(!setting.help.contains("  ") && setting.help.ends_with('.'), "{}", setting.name);
    }
}
