//! Tests of the command line.

use super::*;

fn plan(line: &str) -> Result<Plan, String> {
    let words = std::iter::once("load").chain(line.split_whitespace());
    let options = Options::try_parse_from(words).map_err(|e| e.to_string())?;
    options.work.plan().map_err(|e| e.to_string())
}

fn echo(line: &str) -> Echo {
    match plan(line).unwrap().work {
        Work::Echo(echo) => echo,
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_defaults_are_those_of_the_help() {
    let plan = plan("echo 127.0.0.1:80").unwrap();
    assert_eq!(plan.address, "127.0.0.1:80".parse().unwrap());
    assert_eq!(plan.length, Length::Time(Duration::from_secs(10)));
    assert_eq!(plan.warm_up, Duration::from_secs(1));
    assert!(plan.busy && !plan.verify && !plan.deflate);
    let Work::Echo(echo) = plan.work else { panic!("no echo") };
    assert_eq!((echo.path.as_deref(), echo.connections, echo.size), (Some("/"), 100, 20));
    assert_eq!((echo.content, echo.pace), (Content::Binary, Pace::Depth(1)));
}

#[test]
fn paths_come_from_either_side_but_not_from_both() {
    assert_eq!(echo("echo ws://127.0.0.1:80/a?b=c").path.as_deref(), Some("/a?b=c"));
    assert_eq!(echo("echo 127.0.0.1:80 --path /x").path.as_deref(), Some("/x"));
    assert_eq!(echo("echo 127.0.0.1:80 --raw").path, None);
    for wrong in [
        "echo ws://127.0.0.1:80/a --path /x",
        "echo ws://127.0.0.1:80/a --raw",
        "fanout ws://127.0.0.1:80/a",
        "echo wss://127.0.0.1:80/a --path /x",
        "echo 127.0.0.1",
    ] {
        assert!(plan(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn options_that_exclude_each_other_are_refused() {
    for wrong in [
        "echo 127.0.0.1:80 --depth 2 --rate 5",
        "echo 127.0.0.1:80 --raw --deflate",
        "echo 127.0.0.1:80 --count 5 --seconds 2",
        "echo 127.0.0.1:80 --seconds -1",
        "echo 127.0.0.1:80 --content klingon",
        "echo 127.0.0.1:80 --apart",
        "handshakes ws://127.0.0.1:80 --resume",
        "echo",
    ] {
        assert!(plan(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn every_option_reaches_the_plan() {
    let line = "echo 127.0.0.1:80 --rate 2.5 --content korean --size 7 --connections 3 --deflate \
                --count 9 --warm-up 0.25 --sleep --verify";
    let plan = plan(line).unwrap();
    assert_eq!(plan.length, Length::Count(9));
    assert_eq!(plan.warm_up, Duration::from_millis(250));
    assert!(!plan.busy && plan.verify && plan.deflate);
    let echo = echo(line);
    assert_eq!((echo.connections, echo.size, echo.content), (3, 7, Content::Korean));
    assert_eq!(echo.pace, Pace::Rate(2.5));
}

#[test]
fn the_other_kinds_of_load_are_read() {
    let line = "fanout 127.0.0.1:80 --subscribers 5 --subscribe {} --burst 2 --size 9 --deflate";
    let fanout = plan(line).unwrap();
    assert!(fanout.deflate);
    let Work::Fanout(fanout) = fanout.work else { panic!("no fan-out") };
    assert_eq!((fanout.subscribers, fanout.burst, fanout.size), (5, 2, 9));
    assert_eq!(fanout.subscribe.as_deref(), Some("{}"));
    let Work::Idle(idle) = plan("idle 127.0.0.1:80").unwrap().work else { panic!("not idle") };
    assert_eq!(idle.broadcast.as_deref(), Some("/topics/bench?role=pub"));
    let line = "idle ws://127.0.0.1:80/x --broadcast none --connections 4";
    let Work::Idle(idle) = plan(line).unwrap().work else { panic!("not idle") };
    assert_eq!((idle.path.as_str(), idle.broadcast, idle.connections), ("/x", None, 4));
    let handshakes = plan("handshakes 127.0.0.1:80 --concurrent 3").unwrap().work;
    let Work::Handshakes(handshakes) = handshakes else { panic!("no handshakes") };
    assert_eq!((handshakes.path.as_str(), handshakes.concurrent), ("/", 3));
}

#[test]
fn wss_means_tls() {
    let tls = |line: &str| plan(line).unwrap().tls;
    assert_eq!(tls("echo ws://127.0.0.1:80/"), None);
    assert_eq!(tls("idle wss://127.0.0.1:80/"), Some(Tls::default()));
    let apart = Tls { apart: true, resume: false };
    assert_eq!(tls("echo wss://127.0.0.1:80/x --apart"), Some(apart));
    let resume = Tls { apart: false, resume: true };
    assert_eq!(tls("handshakes wss://127.0.0.1:80 --resume"), Some(resume));
    assert_eq!(echo("echo wss://127.0.0.1:80/x").path.as_deref(), Some("/x"));
}
