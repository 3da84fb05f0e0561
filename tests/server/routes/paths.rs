//! Goal: a path gets what its most specific route says, in handshakes and plain requests.

use std::process::Command;
use std::time::Duration;

use super::*;

const LIMIT: Duration = Duration::from_secs(20);

fn statuses(addr: SocketAddr, cases: &[(&str, u16, u16)]) {
    for (target, websocket, get) in cases {
        assert_eq!(ask(addr, target, "").0, *websocket, "a WebSocket to {target}");
        assert_eq!(plain(addr, "GET", target, "").0, *get, "GET {target}");
    }
}

#[test]
fn nothing_is_served_but_the_routes() {
    let routes = [
        route("/ws", "echo", ""),
        route("/live/{topic...}", "topics", ""),
        route("/live/internal/*", "off", ""),
        route("/room/{topic}/chat", "topics", ""),
        route("/api", "pubsub", ""),
        route("/up", "health", ""),
    ];
    let server = serve(&routes.concat());
    statuses(
        server.addr(),
        &[
            ("/ws", 101, 426),
            ("/ws?a=b", 101, 426),
            ("/%77s", 101, 426),
            ("/ws/", 404, 404),
            ("/live/a", 101, 426),
            ("/live/a/b", 101, 426),
            ("/live/", 400, 426),
            ("/live/%23", 400, 426),
            ("/live", 404, 404),
            ("/live/internal", 101, 426),
            ("/live/internal/a", 404, 404),
            ("/live/%69nternal/a", 404, 404),
            ("/live/internal%2Fa", 404, 404),
            ("/live/a%2", 404, 404),
            ("/room/a/chat", 101, 426),
            ("/room//chat", 404, 404),
            ("/room/a/b/chat", 404, 404),
            ("/api", 101, 426),
            ("/api?x=1", 400, 426),
            ("/up", 404, 200),
            // What is built in is not there by itself.
            ("/", 404, 404),
            ("/echo", 404, 404),
            ("/topics/a", 404, 404),
            ("/pubsub", 404, 404),
            ("/healthz", 404, 404),
        ],
    );
    assert_eq!(plain(server.addr(), "GET", "/up", "").2, "ok\n");
    assert_eq!(plain(server.addr(), "POST", "/up", "Content-Length: 0\r\n").0, 405);
    assert_eq!(plain(server.addr(), "OPTIONS", "*", "").0, 200);
    assert_eq!(plain(server.addr(), "OPTIONS", "/nowhere", "").0, 404);
}

#[test]
fn without_routes_all_is_as_it_was() {
    let server = serve("");
    let built_in = [
        ("/", 101, 200),
        ("/anything/%", 101, 404),
        ("/topics/a", 101, 426),
        ("/topics", 400, 426),
        ("/pubsub", 101, 426),
        ("/healthz", 101, 200),
    ];
    statuses(server.addr(), &built_in);
}

#[test]
fn messages_go_where_the_route_leads() {
    let routes = [
        route("/", "echo", ""),
        route("/t/{user}/{topic...}", "topics", ""),
        route("/one/{topic}", "topics", ""),
        route("/api/{version}", "pubsub", ""),
    ];
    let server = serve(&routes.concat());
    let addr = server.addr();
    let mut echo = open(addr, "/");
    send(&mut echo, "back");
    assert_eq!(read(&mut echo), "back");
    let mut json = open(addr, "/api/v1");
    send(&mut json, r##"{"subscribe":"#"}"##);
    assert_eq!(read(&mut json), r##"{"subscribed":["#"]}"##);
    for (target, topic) in [("/t/ann/a/b%20c", "a/b c"), ("/one/x", "x"), ("/%6fne/%78", "x")] {
        let mut raw = open(addr, target);
        send(&mut raw, "1");
        assert_eq!(read(&mut raw), "1", "{target}");
        assert_eq!(read(&mut json), format!(r#"{{"topic":"{topic}","data":1}}"#), "{target}");
        raw.close();
    }
    let (status, _, page) = plain(addr, "GET", "/", "");
    assert_eq!(status, 200);
    for part in ["ws://h/t/{user}/{topic...}", "ws://h/api/{version}"] {
        assert!(page.contains(part), "{page}");
    }
    assert!(!page.contains("/pubsub"), "{page}");
    // The subprotocol of topics is not answered by the echo.
    let offer = "Sec-WebSocket-Protocol: corecast.v1.json, other\r\n";
    for (target, expected) in [("/", None), ("/api/1", Some("corecast.v1.json"))] {
        let (_, head, _) = ask(addr, target, offer);
        assert_eq!(head.get("Sec-WebSocket-Protocol"), expected, "{target}");
    }
}

#[test]
fn each_route_has_its_origins() {
    let own = "allow-origin = [\"https://own.example\"]";
    let routes = [
        route("/own", "echo", own),
        route("/open", "echo", "allow-origin = \"*\""),
        route("/server", "pubsub", ""),
        route("/t/{topic}", "topics", own),
        route("/up", "health", own),
    ];
    let text = format!("allow-origin = [\"https://server.example\"]\n{}", routes.concat());
    let server = serve(&text);
    let origin = |name: &str| format!("Origin: https://{name}.example\r\n");
    for (target, [own, server_s, other]) in [
        ("/own", [101, 403, 403]),
        ("/t/a", [101, 403, 403]),
        ("/open", [101, 101, 101]),
        ("/server", [403, 101, 403]),
        ("/nowhere", [404, 404, 404]),
    ] {
        let found = ["own", "server", "other"].map(|it| ask(server.addr(), target, &origin(it)).0);
        assert_eq!(found, [own, server_s, other], "{target}");
        assert_eq!(ask(server.addr(), target, "").0, if other == 404 { 404 } else { 101 });
    }
    // Plain answers may be read by the same pages.
    for (target, name, allowed) in [
        ("/up", "own", Some("https://own.example")),
        ("/up", "server", None),
        ("/server", "server", Some("https://server.example")),
        ("/own", "server", None),
        ("/open", "other", Some("*")),
    ] {
        let (_, head, _) = plain(server.addr(), "GET", target, &origin(name));
        assert_eq!(head.get("Access-Control-Allow-Origin"), allowed, "{target} {name}");
    }
}

#[test]
fn each_route_negotiates_its_compression() {
    let compression = |name: &str| format!("compression = \"{name}\"");
    let routes = [
        route("/off", "echo", &compression("off")),
        route("/without", "echo", &compression("no-context-takeover")),
        route("/with", "echo", &compression("context-takeover")),
        route("/server", "echo", ""),
        route("/t/{topic}", "topics", &compression("off")),
    ];
    let offer = "Sec-WebSocket-Extensions: permessage-deflate\r\n";
    let agreed = |server: &Server, target: &str| {
        let (status, head, _) = ask(server.addr(), target, offer);
        assert_eq!(status, 101, "{target}");
        head.get("Sec-WebSocket-Extensions").map(|it| it.replace(' ', ""))
    };
    let without = "permessage-deflate;server_no_context_takeover;client_no_context_takeover";
    for (deflate, by_server) in [(true, Some(without)), (false, None)] {
        let server = serve(&format!("deflate = {deflate}\n{}", routes.concat()));
        assert_eq!(agreed(&server, "/off"), None);
        assert_eq!(agreed(&server, "/t/a"), None);
        assert_eq!(agreed(&server, "/without").as_deref(), Some(without));
        assert_eq!(agreed(&server, "/with").as_deref(), Some("permessage-deflate"));
        assert_eq!(agreed(&server, "/server").as_deref(), by_server);
    }
}

#[test]
fn windows_are_kept_where_the_route_says_so() {
    let keeps = |compression: &str| {
        let more = format!("compression = \"{compression}\"");
        let server = serve(&route("/", "echo", &more));
        let mut client = Client::connect(server.addr());
        client.open_at("/", "Sec-WebSocket-Extensions: permessage-deflate\r\n");
        let text: String = (0..200).map(|number| format!("{:x};", number * 7919)).collect();
        let payload = crate::support::deflate::deflated(text.as_bytes());
        let [first, second] = [(); 2].map(|()| {
            client.send(&frame(FIN | TEXT | crate::support::wire::RSV1, &payload));
            client.read_frame().payload.len()
        });
        // With its window the second message is a reference to the first.
        second * 4 < first
    };
    assert!(keeps("context-takeover"));
    assert!(!keeps("no-context-takeover"));
}

#[test]
fn the_example_of_the_documents_works() {
    let document = include_str!("../../../docs/settings.md");
    let section = document.split("\n## Routes\n").nth(1).unwrap();
    let example = section.split("```toml\n").nth(1).and_then(|it| it.split("```").next());
    let server = serve(example.unwrap());
    let (addr, page) = (server.addr(), "Origin: https://example.org\r\n");
    let offer = "Sec-WebSocket-Extensions: permessage-deflate\r\n";
    assert_eq!(ask(addr, "/echo", offer).1.get("Sec-WebSocket-Extensions"), None);
    assert!(ask(addr, "/live/a", offer).1.get("Sec-WebSocket-Extensions").is_some());
    for (target, further, expected) in [
        ("/live/internal/a", "", 404),
        ("/pubsub", page, 101),
        ("/pubsub", "Origin: https://example.com\r\n", 403),
        ("/echo", "Origin: https://example.com\r\n", 101),
        ("/other", "", 404),
    ] {
        assert_eq!(ask(addr, target, further).0, expected, "{target} {further}");
    }
    assert_eq!(plain(addr, "GET", "/healthz", "").2, "ok\n");
    // README shows the beginning of it.
    let readme = include_str!("../../../README.md");
    let short = readme.split("\n### Routes\n").nth(1).and_then(|it| it.split("```toml\n").nth(1));
    let server = serve(short.and_then(|it| it.split("```").next()).unwrap());
    assert_eq!(ask(server.addr(), "/echo", "").0, 101);
    assert_eq!(ask(server.addr(), "/pubsub", "").0, 404);
}

#[test]
fn routes_are_checked_and_printed() {
    let run = |command: Command| crate::support::server::run(command, LIMIT);
    let bad = File::new(&[route("/a", "echo", "x = 1"), route("/{b}", "ech", "")].concat());
    let checked = run(command(&["check-config", bad.path()]));
    let lines: Vec<&str> = checked.stderr.lines().collect();
    assert_eq!((checked.status.code(), lines.len()), (Some(2), 2), "{checked:?}");
    assert!(lines[0].contains(":4:1: unknown key `x`"), "{}", lines[0]);
    assert!(lines[1].contains(":8:6: ") || lines[1].contains(":7:6: "), "{}", lines[1]);
    let good = File::new(&[route("/a", "echo", ""), route("/{b}", "off", "")].concat());
    let checked = run(command(&["check-config", good.path()]));
    assert!(checked.stdout.ends_with("from the default; 2 routes\n"), "{checked:?}");
    let printed = run(command(&["serve", "--print-config", "--config", good.path()]));
    let routes = printed.stdout.split_once("[[route]]").unwrap().1;
    for part in ["path = \"/a\"\nto = \"echo\"\n", "path = \"/{b}\"\nto = \"off\"\n"] {
        assert!(routes.contains(part), "{routes}");
    }
    assert!(routes.contains(&format!("# {}:1:1\n", good.path())), "{routes}");
}
