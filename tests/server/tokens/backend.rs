//! Goal: a backend decides who may connect and what they may do, and what it does not allow is
//! refused.
//! Method: a small HTTP server in the test, which tells what it was asked and answers as the test
//! says.
#[cfg(feature = "tls")]
mod tls;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread;

use super::*;
use crate::admin::page::Metrics;
use crate::support::client::End;
use crate::support::host::wait_until;

/// What the backend answers to a request head. `None`: nothing.
type Answer = Box<dyn FnMut(&str) -> Option<String> + Send>;

/// A backend with a connection to the server for each thread that asks.
struct Backend {
    addr: SocketAddr,
    asked: Receiver<String>,
}

impl Backend {
    fn start(answer: impl FnMut(&str) -> Option<String> + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap();
        let (tell, asked) = channel();
        let answer: Arc<Mutex<Answer>> = Arc::new(Mutex::new(Box::new(answer)));
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (tell, answer) = (tell.clone(), Arc::clone(&answer));
                thread::spawn(move || serve(stream, &tell, &answer));
            }
        });
        Self { addr, asked }
    }

    /// A server that asks it.
    fn server(&self, more: &[&str]) -> Server {
        let url = self.url();
        Server::start(&[&["--auth-url", &url, "--allow-origin", PAGE], more].concat())
    }

    fn url(&self) -> String {
        format!("http://{}/auth?for=corecast", self.addr)
    }

    /// The next request.
    fn request(&self) -> String {
        self.asked.recv_timeout(LIMIT).unwrap()
    }

    /// How many requests have come that were not looked at.
    fn count(&self) -> usize {
        self.asked.try_iter().count()
    }
}

fn serve(stream: impl Read + Write, tell: &Sender<String>, answer: &Mutex<Answer>) {
    let mut reader = BufReader::new(stream);
    loop {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if !matches!(reader.read_line(&mut head), Ok(1..)) {
                return;
            }
        }
        let _ = tell.send(head.clone());
        let answer = answer.lock().unwrap()(&head);
        match answer {
            Some(text) if reader.get_mut().write_all(text.as_bytes()).is_ok() => {}
            Some(_) => return,
            // The connection stays open.
            None => {}
        }
    }
}

fn answer(status: &str, headers: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n{headers}\r\n{body}", body.len())
}

/// The origin of the pages.
const PAGE: &str = "http://a.example";
const ANN: &str = r#"{"sub":"ann","publish":["chat/{sub}"],"subscribe":["chat/+"]}"#;

fn allow(_: &str) -> Option<String> {
    Some(answer("200 OK", "Content-Type: application/json\r\n", ANN))
}

#[test]
fn the_backend_says_what_a_client_may_do() {
    let backend = Backend::start(allow);
    let server = backend.server(&[]);
    let addr = server.addr();
    let mut client = Client::connect(addr);
    let further = "Cookie: session=abc\r\nOrigin: http://a.example\r\nX-Forwarded-For: 10.0.0.1\r\n\
                   Sec-WebSocket-Protocol: corecast.v1.json\r\n";
    let head = client.open_at("/pubsub?access_token=secret", further);
    assert_eq!(head.get("Sec-WebSocket-Protocol"), Some("corecast.v1.json"));
    let asked = backend.request();
    let lines: Vec<String> = asked.lines().map(str::to_ascii_lowercase).collect();
    assert_eq!(lines[0], "get /auth?for=corecast http/1.1");
    for line in [
        "cookie: session=abc",
        "origin: http://a.example",
        "authorization: bearer secret",
        "x-original-uri: /pubsub?access_token=secret",
        "x-original-method: get",
        "x-forwarded-for: 127.0.0.1",
        &format!("host: {}", backend.addr),
    ] {
        assert_eq!(lines.iter().filter(|one| *one == line).count(), 1, "{line}: {asked}");
    }
    for name in ["upgrade:", "sec-websocket-key:", "sec-websocket-version:"] {
        assert!(!lines.iter().any(|line| line.starts_with(name)), "{asked}");
    }
    for (request, expected) in [
        (r#"{"subscribe":"chat/+","id":1}"#, r#"{"subscribed":["chat/+"],"id":1}"#),
        (r##"{"subscribe":"#","id":2}"##, "does not allow to subscribe"),
        (r#"{"publish":"chat/bob","data":1,"id":3}"#, "does not allow to publish"),
        (r#"{"token":"x","id":4}"#, "cannot be renewed here"),
    ] {
        send(&mut client, request);
        let said = read(&mut client);
        assert!(said.contains(expected), "{request}: {said}");
    }
    for (target, expected) in [
        ("/topics/chat/ann", 101),
        ("/topics/chat/bob?role=sub", 101),
        ("/topics/chat/bob?role=pub", 403),
        ("/topics/other", 403),
        // What is wrong in any case is not asked about.
        ("/topics/%23", 400),
        ("/pubsub?access_token=a&access_token=b", 400),
        ("/", 101),
    ] {
        assert_eq!(status(addr, target, ""), expected, "{target}");
    }
    assert_eq!(backend.count(), 4, "the echo, and wrong requests, are not asked about");
}

#[test]
fn what_the_backend_does_not_allow_is_refused() {
    let answers = [
        (answer("401 Unauthorized", "Content-Type: text/plain\r\n", "Log in first.\n"), 401),
        (answer("403 Forbidden", "Content-Type: text/html\r\n", "<h1>No</h1>"), 403),
        (answer("401 Unauthorized", "", &"x".repeat(70_000)), 401),
        (answer("200 OK", "", "[\"ok\"]"), 503),
        (answer("200 OK", "", ""), 503),
        (answer("200 OK", "", "{\"sub\":\"\"}"), 503),
        (answer("204 No Content", "", ""), 503),
        (answer("302 Found", "Location: /login\r\n", ""), 503),
        (answer("404 Not Found", "", "no"), 503),
        (answer("500 Internal Server Error", "", ANN), 503),
        (answer("200 OK", "", &format!("{ANN}{}", " ".repeat(70_000))), 503),
        ("SSH-2.0-OpenSSH_9.2\r\n\r\n".to_owned(), 503),
    ];
    let expected: Vec<u16> = answers.iter().map(|(_, status)| *status).collect();
    let mut rest = answers.into_iter().map(|(text, _)| text);
    let backend = Backend::start(move |_| rest.next());
    let server = backend.server(&["--auth-timeout", "2"]);
    let addr = server.addr();
    for (number, expected) in expected.into_iter().enumerate() {
        let (head, body) = ask(addr, "/pubsub", &format!("X-Number: {number}\r\n"));
        assert!(head.status.contains(&expected.to_string()), "{number}: {head:?} {body}");
        match number {
            0 => {
                assert_eq!(body, "Log in first.\n");
                assert_eq!(head.get("WWW-Authenticate"), Some("Bearer"));
            }
            1 => assert_eq!(body, "The backend does not allow this client to connect.\n"),
            2 => assert_eq!(body, "The backend does not know this client.\n"),
            _ => assert!(body.contains("try again later"), "{body}"),
        }
    }
    // Now it says nothing, and then it is not there.
    assert_eq!(status(addr, "/pubsub", ""), 503);
    let tells = |server: &Server, text: &str| {
        let is_told = |line: &String| {
            line.contains("the backend of auth-url decides nothing") && line.contains(text)
        };
        let log = || server.log().iter().any(is_told);
        assert!(wait_until(LIMIT, log), "{text} is not in {:?}", server.log());
    };
    tells(&server, &format!("{} has not answered within 2 s", backend.addr));
    let gone = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let server = Server::start(&["--auth-url", &format!("http://{gone}/"), "--allow-origin", PAGE]);
    assert_eq!(status(server.addr(), "/pubsub", ""), 503);
    assert_eq!(status(server.addr(), "/", ""), 101);
    tells(&server, &format!("{gone}: Connection refused"));
}

#[test]
fn an_answer_holds_for_the_same_question() {
    let backend = Backend::start(|head| {
        let age = if head.contains("no-store") { "no-store" } else { "private" };
        let status = if head.contains("refused") { "403 Forbidden" } else { "200 OK" };
        let (age, claims) = match head {
            _ if head.contains("=over") => ("max-age=60", r#"{"sub":"ann","exp":1}"#),
            _ if head.contains("=early") => ("max-age=60", r#"{"sub":"ann","nbf":99999999999}"#),
            _ => (age, ANN),
        };
        Some(answer(status, &format!("Cache-Control: {age}\r\n"), claims))
    });
    let server = backend.server(&["--auth-cache", "3600"]);
    let ask = |server: &Server, further: &str, expected| {
        for _ in 0..3 {
            assert_eq!(status(server.addr(), "/pubsub", further), expected);
        }
        backend.count()
    };
    assert_eq!(ask(&server, "Cookie: a=b\r\n", 101), 1);
    assert_eq!(ask(&server, "Cookie: a=c\r\n", 101), 1);
    assert_eq!(ask(&server, "Cookie: a=b\r\n", 101), 0);
    assert_eq!(ask(&server, "Cookie: no-store\r\n", 101), 3);
    assert_eq!(ask(&server, "Cookie: refused\r\n", 403), 3);
    // Claims that do not hold are a refusal: what the backend says of keeping them is not of that.
    assert_eq!(ask(&server, "Cookie: a=over\r\n", 401), 3);
    assert_eq!(ask(&server, "Cookie: a=early\r\n", 401), 3);
    let server = backend.server(&["--auth-cache", "0"]);
    assert_eq!(ask(&server, "Cookie: a=b\r\n", 101), 3);
}

#[test]
fn nobody_else_waits_for_the_backend() {
    let (release, held) = channel::<()>();
    let held = Mutex::new(held);
    let backend = Backend::start(move |head| {
        let _ = held.lock().unwrap().recv();
        allow(head)
    });
    let flags = ["--cores", "0", "--auth-connections", "1", "--auth-timeout", "100"];
    let server = backend.server(&[&flags[..], &["--handshake-timeout", "200"]].concat());
    let addr = server.addr();
    let mut waiting: Vec<Client> = (0..3)
        .map(|number| {
            let mut client = Client::connect(addr);
            client.send(&request_to("/topics/chat/ann", &format!("X-Number: {number}\r\n")));
            client
        })
        .collect();
    backend.request();
    // One loop serves others while they wait.
    Client::open(addr).expect_alive();
    // One of those that wait leaves, and only ends what it sends: its place is free, and the
    // backend is not asked about it.
    let mut gone = waiting.remove(1);
    gone.finish();
    assert_eq!(gone.read_to_end(LIMIT), (Vec::new(), End::Fin));
    (0..4).for_each(|_| release.send(()).unwrap());
    for client in &mut waiting {
        assert!(client.read_head().status.contains("101"));
        send(client, "hi");
        assert_eq!(read(client), "hi");
    }
    assert_eq!(backend.count(), 1, "beside the one that was looked at");
}

/// With one request at a time, 64 wait, and nobody else.
#[test]
fn who_would_wait_behind_too_many_is_refused() {
    const WAITING: usize = 64;
    let (release, held) = channel::<()>();
    let held = Mutex::new(held);
    let backend = Backend::start(move |head| {
        let _ = held.lock().unwrap().recv();
        allow(head)
    });
    let core = corecast::server::allowed_cores()[0].to_string();
    let flags = ["--cores", &core, "--admin", "127.0.0.1:0", "--auth-connections", "1"];
    let times = ["--auth-timeout", "100", "--handshake-timeout", "200", "--auth-cache", "0"];
    let server = backend.server(&[flags, times].concat());
    let admin = server.admin();
    let ask = |number: usize| {
        let mut client = Client::connect(server.addr());
        client.send(&request_to("/topics/chat/ann", &format!("X-Number: {number}\r\n")));
        client
    };
    let mut clients = vec![ask(0)];
    // It is asked about, and waits no more.
    backend.request();
    clients.extend((0..=WAITING).map(|number| ask(number + 1)));
    let count = |result: &str| {
        Metrics::of(admin).get(&format!("corecast_subrequests_total{{result=\"{result}\"}}"))
    };
    assert!(wait_until(LIMIT, || count("overloaded") > 0.0), "nobody is refused");
    assert_eq!((count("overloaded"), count("allowed")), (1.0, 0.0));
    clients.iter().for_each(|_| release.send(()).unwrap());
    let heads: Vec<String> = clients.iter_mut().map(|client| client.read_head().status).collect();
    let with = |status: &str| heads.iter().filter(|head| head.contains(status)).count();
    assert_eq!((with(" 503 "), with(" 101 ")), (1, 1 + WAITING), "{heads:?}");
    assert_eq!((count("overloaded"), count("allowed")), (1.0, 65.0));
    let is_told = |line: &String| line.contains("too many clients wait to be asked about");
    assert!(wait_until(LIMIT, || server.log().iter().any(is_told)), "{:?}", server.log());
}

#[test]
fn what_the_backend_allows_may_end() {
    let end = now() + Duration::from_millis(2_500);
    // The leeway is that of tokens.
    let expires = end - Duration::from_secs(10);
    let body = format!(
        r#"{{"sub":"ann","subscribe":["chat/#"],"exp":{}.{:03}}}"#,
        expires.as_secs(),
        expires.subsec_millis()
    );
    let backend = Backend::start(move |_| Some(answer("200 OK", "", &body)));
    let server = backend.server(&[]);
    let mut client = Client::connect(server.addr());
    client.open_at("/pubsub", "");
    let warning = read(&mut client);
    assert!(warning.starts_with(r#"{"expires":"#), "{warning}");
    let close = client.read_frame();
    assert!(now() >= end && close.payload[..2] == 4401_u16.to_be_bytes(), "{close:?}");
    // The answer is not kept beyond its end: the backend is asked again, and says the same.
    assert_eq!(status(server.addr(), "/pubsub", ""), 401);
    assert_eq!(backend.count(), 2);
}

#[test]
fn routes_and_api_keys_go_with_a_backend() {
    let backend = Backend::start(|head| match head.contains("/private") {
        true => Some(answer("401 Unauthorized", "", "")),
        false => allow(head),
    });
    let files = Files::new();
    let hash = ring::digest::digest(&ring::digest::SHA256, b"0b2c-key");
    let hash: String = hash.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    let keys = files.write("keys", format!("prices sha256={hash} publish={{sub}}/#\n"));
    let config = format!(
        "auth-url = \"{}\"\nallow-origin = [\"{PAGE}\"]\napi-keys = [\"{keys}\"]\n\
         [[route]]\npath = \"/echo/*\"\nto = \"echo\"\nauthority = \"token\"\n\
         [[route]]\npath = \"/topics/{{topic...}}\"\nto = \"topics\"\n",
        backend.url()
    );
    let config = files.write("config.toml", config);
    let server = Server::start(&["--config", &config]);
    let addr = server.addr();
    assert_eq!(status(addr, "/echo/private", ""), 401);
    let mut client = Client::connect(addr);
    client.open_at("/echo/open", "");
    client.expect_alive();
    assert_eq!(backend.count(), 2);
    let key = "X-API-Key: 0b2c-key\r\n";
    assert_eq!(status(addr, "/topics/prices/a?role=pub", key), 101);
    assert_eq!(status(addr, "/topics/other?role=pub", key), 403);
    assert_eq!(backend.count(), 0, "who has an API key is not asked about");
}

#[test]
fn wrong_settings_are_told() {
    let run = |flags: &[&str]| {
        let mut command = crate::support::server::command(&["serve"]);
        command.args(["--listen", "127.0.0.1:0"]).args(flags);
        crate::support::server::run(command, LIMIT)
    };
    let files = Files::new();
    let secret = files.write("secret", SECRET);
    for (flags, expected) in [
        (&["--auth-url", "ftp://a/"][..], "http:// or https://"),
        (&["--auth-cache", "1"], "needs"),
        (&["--auth-url", "http://a/"], "needs `--allow-origin`"),
        (&["--auth-ca", &secret, "--auth-url", "http://a/", "--allow-origin", PAGE], "https"),
        (
            &["--auth-ca", &secret, "--auth-url", "https://a/", "--allow-origin", PAGE],
            "there is none",
        ),
        (
            &["--token-secret", &secret, "--auth-url", "http://a/", "--allow-origin", PAGE],
            "only one decides",
        ),
        (
            &["--auth-timeout", "60", "--auth-url", "http://a/", "--allow-origin", PAGE],
            "handshake-timeout",
        ),
    ] {
        let finished = run(flags);
        let is_one_line = finished.stderr.lines().count() == 1;
        let has_failed = finished.status.code().is_some_and(|code| code > 0);
        let is_told = finished.stderr.contains(expected);
        assert!(is_one_line && has_failed && is_told, "{flags:?}: {finished:?}");
    }
}
