//! Goal: the flags, the signal and the log of the command.

use rustix::process::Signal;

use super::*;
use crate::support::host::wait_until;
use crate::support::server::{command, run};

fn said(server: &Server, text: &str) {
    let has = || server.log().iter().any(|line| line.contains(text));
    assert!(wait_until(LIMIT, has), "{text} is not in {:?}", server.log());
}

#[test]
fn sighup_has_the_keys_read_again() {
    let (mut server, files) = guarded(&[]);
    let addr = server.addr();
    let valid = r#"{"sub":"ann","exp":9999999999,"subscribe":["news/a"]}"#;
    let [old, new] = [SECRET, &[7; 32]].map(|secret| bearer(&signed(valid, secret)));
    let accepted = || [&old, &new].map(|token| status(addr, "/pubsub", token));
    let mut before = open(addr, "/pubsub", &signed(valid, SECRET));
    assert_eq!(accepted(), [101, 401]);
    files.write("secret", "short");
    server.signal(Signal::HUP);
    said(&server, "the keys of tokens stay as they were");
    said(&server, "the secret has 5 bytes");
    assert_eq!(accepted(), [101, 401]);
    files.write("secret", [7; 32]);
    server.signal(Signal::HUP);
    said(&server, "the keys of tokens were read again");
    assert_eq!(accepted(), [401, 101]);
    fs::remove_file(files.0.join("secret")).unwrap();
    server.signal(Signal::HUP);
    said(&server, "No such file");
    assert_eq!(accepted(), [401, 101]);
    // What was accepted stays so.
    before.expect_alive();
    before.close();
    server.signal(Signal::TERM);
    assert!(server.wait(LIMIT).is_some_and(|status| status.success()));
}

#[test]
fn files_and_flags_that_cannot_be_used_are_refused_at_the_start() {
    let files = Files::new();
    let secret = files.write("secret", SECRET);
    let short = files.write("short", &SECRET[..31]);
    let text = files.write("text", "no key");
    let pem = files.write("pem", format!("-----BEGIN PUBLIC KEY-----\n{}\n", "a".repeat(64)));
    let line = files.write("line", "a sha256=00\n");
    let none = files.write("none", "# nobody\n");
    let missing = files.0.join("missing").display().to_string();
    let start = |flags: &[&str]| {
        run(command(&[&["serve", "--listen", "127.0.0.1:0"], flags].concat()), LIMIT)
    };
    for (flags, says) in [
        (["--token-secret", &short], "the secret has 31 bytes"),
        (["--token-secret", &pem], "is for `--token-key`"),
        (["--token-key", &text], "BEGIN PUBLIC KEY"),
        (["--token-key", &secret], "no line begins with -----BEGIN"),
        (["--token-jwks", &text], "no JSON Web Key Set"),
        (["--api-keys", &line], "line 1: sha256 is not"),
        (["--api-keys", &none], "it holds no key"),
        (["--token-secret", &missing], "No such file"),
    ] {
        let ended = start(&flags);
        let error = ended.error_line(1);
        assert!(error.contains(says) && error.contains(flags[1]), "{says} is not in {error}");
    }
    for (flags, says) in [
        (&["--token-audience", "a"][..], "needs `--token-secret`"),
        (&["--token-cookie", "a"], "needs `--token-secret`"),
        (&["--token-leeway", "5"], "needs `--token-secret`"),
        (&["--token-secret", &secret, "--token-leeway", "3601"], "from 0 to 3600"),
        (&["--token-secret", &secret, "--token-cookie", "a"], "--allow-origin"),
        (
            &["--token-secret", &secret, "--token-cookie", "a", "--allow-origin", "*"],
            "--allow-origin",
        ),
    ] {
        let ended = start(flags);
        let error = ended.error_line(2);
        assert!(error.contains(says), "{flags:?}: {says} is not in {error}");
    }
}

#[test]
fn the_audience_is_a_flag() {
    let (server, _files) = guarded(&["--token-audience", "a", "--token-audience", "b"]);
    let of =
        |aud: &str| bearer(&signed(&format!(r#"{{"sub":"ann","exp":9999999999{aud}}}"#), SECRET));
    for (aud, expected) in [(r#","aud":"b""#, 101), (r#","aud":["c"]"#, 401), ("", 401)] {
        assert_eq!(status(server.addr(), "/pubsub", &of(aud)), expected, "{aud}");
    }
}

/// The last key can be revoked without an end of the server.
#[test]
fn a_file_of_api_keys_may_be_emptied_while_the_server_runs() {
    let files = Files::new();
    let hash = ring::digest::digest(&ring::digest::SHA256, b"0b2c-key");
    let hash: String = hash.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    let path = files.write("keys", format!("prices sha256={hash} publish=prices/#\n"));
    let server = Server::start(&["--api-keys", &path]);
    let ask = || status(server.addr(), "/topics/prices/a?role=pub", "X-API-Key: 0b2c-key\r\n");
    assert_eq!(ask(), 101);
    let (_, body) = super::ask(server.addr(), "/pubsub", "");
    assert_eq!(body, "An API key is needed, in the header X-API-Key.\n");
    files.write("keys", "# revoked\n");
    server.signal(Signal::HUP);
    said(&server, "there is no key any more");
    said(&server, "the keys of tokens were read again");
    assert_eq!(ask(), 401);
    assert_eq!(status(server.addr(), "/pubsub", ""), 401);
}

/// The log says as much as the client is told.
#[test]
fn the_log_has_the_cause_of_a_refusal() {
    let (server, _files) = guarded(&[]);
    let (addr, wrong) = (server.addr(), signed(r#"{"sub":"ann","exp":9999999999}"#, &[3; 32]));
    let expired = token_until(now() - Duration::from_secs(60));
    let milliseconds = signed(r#"{"sub":"ann","exp":1900000000000}"#, SECRET);
    let of_audience = signed(r#"{"sub":"ann","exp":9999999999,"aud":"chat"}"#, SECRET);
    for (target, further, cause) in [
        ("/pubsub", bearer(&wrong), "The signature of the token is wrong."),
        ("/pubsub", bearer(&expired), "The token has expired."),
        ("/pubsub", "X-API-Key: abc\r\n".to_owned(), "The API key is not known."),
        ("/pubsub?access_token=x", bearer(&expired), "There are several tokens that differ"),
        ("/topics/other", bearer(&token()), "The token does not allow"),
        ("/pubsub", bearer(&milliseconds), "The token is not valid: its claim exp is beyond"),
        ("/pubsub", bearer(&of_audience), "The token is for an audience (aud), and this server"),
        ("/pubsub?ok=1", bearer(&token()), "/pubsub takes no parameter, but there is \\\"ok\\\"."),
    ] {
        let (head, body) = ask(addr, target, &further);
        assert!(head.status.contains(" 40"), "{head:?}");
        assert!(body.starts_with(&cause.replace('\\', "")), "{body}");
        said(&server, &format!("last=\"{cause}"));
    }
    let claims = r#"{"sub":"ann","exp":9999999999,"subscribe":["news/a"]}"#;
    let mut reader = open(addr, "/topics/news/a", &signed(claims, SECRET));
    send(&mut reader, "x");
    reader.read_to_end(LIMIT);
    said(&server, "code=1008 last=\"not allowed to publish to this topic\"");
}

/// A file in a wrong place may be a secret.
#[test]
fn what_is_said_of_a_file_has_nothing_of_it() {
    let files = Files::new();
    let secret = "524918deadbeef0123456789abcdef5249180123";
    for (flag, text) in [
        ("--token-jwks", secret.to_owned()),
        ("--token-jwks", format!("{{\"keys\":[{{\"kty\":\"{secret}\"}},\"{secret}\"]}}")),
        ("--token-jwks", format!("\"{secret}\"")),
        ("--token-key", secret.to_owned()),
        ("--token-secret", secret[..20].to_owned()),
        ("--api-keys", secret.to_owned()),
        ("--api-keys", format!("prices {secret}")),
        ("--api-keys", format!("prices sha256={secret}")),
        ("--api-keys", format!("prices {secret}==")),
    ] {
        let path = files.write("file", &text);
        let ended = run(command(&["serve", "--listen", "127.0.0.1:0", flag, &path]), LIMIT);
        let line = ended.error_line(1).replace(&path, "");
        assert!(line.ends_with(&format!("(a file of `{}`)", &flag[2..])), "{line}");
        let parts = (0..secret.len() - 5).map(|at| &secret[at..at + 6]);
        let shown: Vec<_> = parts.filter(|part| line.contains(part)).collect();
        assert!(shown.is_empty(), "{flag} {text}: {line}");
        for word in ["invalid type", "struct", "expected"] {
            assert!(!line.contains(word), "{line}");
        }
    }
}

/// No line of the log has any part of a token, whatever becomes of it and however much is logged.
#[test]
fn tokens_do_not_come_into_the_log() {
    let log = ["--log-format", "json", "--log-level", "trace", "--access-log"];
    let cookie = ["--token-cookie", "session", "--allow-origin", "http://h"];
    let (mut server, _files) = guarded(&[&log[..], &cookie].concat());
    let addr = server.addr();
    let good = token();
    let wrong = signed(r#"{"sub":"ann","exp":9999999999}"#, &[3; 32]);
    for token in [&good, &wrong] {
        // As the name of a parameter as well.
        status(addr, &format!("/pubsub?{token}"), &bearer(&good));
        status(addr, &format!("/topics/news/a?{token}=1"), &bearer(&good));
        for target in ["/pubsub", "/topics/other", "/pubsub?x=1", "/topics/%"] {
            status(addr, target, &bearer(token));
            status(addr, &format!("{target}?access_token={token}"), "");
            status(addr, target, &format!("Sec-WebSocket-Protocol: bearer.{token}\r\n"));
            status(addr, target, &format!("X-API-Key: {token}\r\n"));
            status(addr, target, &format!("Cookie: session={token}\r\n"));
            status(addr, &format!("http://h{target}?access_token={token}#{token}"), "");
        }
    }
    let mut client = open(addr, "/pubsub", &good);
    send(&mut client, &format!(r#"{{"token":"{wrong}"}}"#));
    assert!(!read(&mut client).contains(&wrong[..20]));
    client.close();
    server.signal(Signal::TERM);
    assert!(server.wait(LIMIT).is_some());
    let log = server.log().join("\n");
    for part in ["refused", "\"/pubsub\"", "TRACE"] {
        assert!(log.contains(part), "{part} is not in {log}");
    }
    for token in [&good, &wrong] {
        for part in token.split('.').skip(1) {
            assert!(!log.contains(&part[..20]), "{log}");
        }
    }
}

/// One line at the start, if others than this machine can connect.
#[test]
fn listening_beyond_this_machine_is_warned_of() {
    let files = Files::new();
    let secret = files.write("secret", SECRET);
    for (listen, more, says) in [
        ("127.0.0.1:0", &[][..], None),
        ("[::1]:0", &[], None),
        ("0.0.0.0:0", &[], Some("without TLS and tokens")),
        ("0.0.0.0:0", &["--token-secret", &secret], Some("without TLS:")),
        ("0.0.0.0:0", &["--no-pubsub"], Some("without TLS:")),
    ] {
        if listen.starts_with('[') && std::net::TcpListener::bind(listen).is_err() {
            continue;
        }
        let mut flags = vec!["serve", "--listen", "127.0.0.1:0", "--listen", listen];
        if listen.starts_with("0.") {
            // It covers the other one.
            flags.drain(1..3);
        }
        flags.extend_from_slice(more);
        let mut server = Server::spawn(command(&flags));
        server.signal(Signal::TERM);
        assert!(server.wait(LIMIT).is_some());
        let log = server.log();
        let warned: Vec<&String> = log.iter().filter(|line| line.contains("WARN")).collect();
        let expected = usize::from(says.is_some());
        let found = warned.iter().filter(|line| line.contains("beyond this machine")).count();
        assert_eq!(found, expected, "{listen} {more:?}: {log:?}");
        assert!(says.is_none_or(|says| warned.iter().any(|line| line.contains(says))), "{log:?}");
    }
}
