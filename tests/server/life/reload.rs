//! SIGHUP: new settings hold, nobody is dropped, faults change nothing, and what cannot change says
//! so.

use std::path::PathBuf;

use rustix::process::Signal;

use crate::life::{LIMIT, ask};
use crate::support::client::Client;
use crate::support::host::wait_until;
use crate::support::server::{Server, command, run};
use crate::support::wire::{self, BINARY, FIN, TEXT, frame, server_close};

/// A server with a file of settings.
pub(super) struct Configured {
    pub(super) server: Server,
    pub(super) file: PathBuf,
    /// The lines of the log that were looked at.
    pub(super) seen: usize,
}

impl Configured {
    fn start(name: &str, text: &str, args: &[&str]) -> Self {
        let file =
            std::env::temp_dir().join(format!("corecast-{name}-{}.toml", std::process::id()));
        std::fs::write(&file, text).unwrap();
        let args = [&["--config", file.to_str().unwrap()], args].concat();
        Self { server: Server::start(&args), file, seen: 1 }
    }

    /// The log without what it says of clients.
    fn lines(&self) -> Vec<String> {
        let mut lines = self.server.log();
        lines.retain(|line| !line.contains(" refused connections=") && !line.contains(" broke a "));
        lines
    }

    /// Writes the file, has it read, and returns what the log says, up to the line with `last`.
    pub(super) fn reload(&mut self, text: &str, last: &str) -> Vec<String> {
        std::fs::write(&self.file, text).unwrap();
        self.server.signal(Signal::HUP);
        let mut lines = Vec::new();
        let is_told = wait_until(LIMIT, || {
            lines = self.lines().split_off(self.seen);
            lines.iter().any(|line| line.contains(last))
        });
        assert!(is_told, "{last} is not in {lines:?}");
        self.seen += lines.len();
        lines
    }

    pub(super) fn open(&self, path: &str, further: &str) -> (Client, u16) {
        let mut client = Client::connect(self.server.addr());
        client.send(&crate::support::client::request_to(path, further));
        let head = client.read_head();
        let status = head.status.split(' ').nth(1).unwrap().parse().unwrap();
        (client, status)
    }
}

impl Drop for Configured {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.file);
    }
}

pub(super) const READ: &str = "the settings were read again";

#[test]
fn limits_and_origins_change_and_nobody_is_dropped() {
    let text = "max-message = 1000\nallow-origin = [\"https://a.example\"]\n";
    let mut all = Configured::start("reload", text, &["--loops-per-core", "3"]);
    let origin = |name: &str| format!("Origin: https://{name}.example\r\n");
    let (mut early, status) = all.open("/", &origin("a"));
    assert_eq!((status, all.open("/", &origin("b")).1), (101, 403));
    let lines = all.reload("max-message = 2000\nallow-origin = [\"https://b.example\"]", READ);
    assert!(lines[0].contains("changed=\"allow-origin,max-message\""), "{lines:?}");
    early.expect_alive();
    // On every loop.
    for _ in 0..30 {
        assert_eq!(all.open("/", &origin("a")).1, 403);
        let (mut late, status) = all.open("/", &origin("b"));
        assert_eq!(status, 101);
        late.send(&frame(FIN | BINARY, &[7; 1500]));
        late.expect(&wire::unmasked(FIN | BINARY, &[7; 1500]));
        late.send(&frame(FIN | BINARY, &[7; 2001]));
        assert_eq!(late.read_frame().payload[..2], 1009_u16.to_be_bytes());
    }
}

/// A route that was changed keeps its settings for those who came by it.
#[test]
fn routes_change_for_new_handshakes() {
    let route = |path: &str, most: u32| {
        format!("[[route]]\npath = \"{path}\"\nto = \"echo\"\nmax-message = {most}\n")
    };
    let first = route("/a", 100) + &route("/c", 100);
    let mut all = Configured::start("reload-routes", &first, &[]);
    let (mut of_a, _) = all.open("/a", "");
    let (mut of_c, _) = all.open("/c", "");
    assert_eq!(all.open("/b", "").1, 404);
    let second = route("/a", 200) + &route("/b", 50);
    let lines = all.reload(&second, READ);
    assert!(lines[0].contains("changed=\"route\""), "{lines:?}");
    let (mut new_a, _) = all.open("/a", "");
    let (mut new_b, _) = all.open("/b", "");
    assert_eq!(all.open("/c", "").1, 404);
    for (client, most) in [(&mut of_a, 100), (&mut of_c, 100), (&mut new_a, 200), (&mut new_b, 50)]
    {
        let message = vec![b'x'; most];
        client.send(&frame(FIN | TEXT, &message));
        client.expect(&wire::unmasked(FIN | TEXT, &message));
        client.send(&frame(FIN | TEXT, &vec![b'x'; most + 1]));
        assert_eq!(client.read_frame().payload[..2], 1009_u16.to_be_bytes(), "{most}");
    }
    all.reload("", READ);
    assert_eq!(all.open("/anything", "").1, 101);
    all.reload(&first, READ);
    assert_eq!((all.open("/c", "").1, all.open("/anything", "").1), (101, 404));
}

#[test]
fn a_faulty_file_changes_nothing_and_all_faults_are_told() {
    let mut all = Configured::start("reload-faulty", "max-message = 1000", &[]);
    let text = "max-message = 2000\nmax-mesage = 1\nping-after = \"x\"\n";
    let lines = all.reload(text, "stay as they were");
    let of_file = |at: &str| lines.iter().any(|line| line.contains(&format!(".toml:{at}:")));
    assert!(of_file("2:1") && of_file("3:14") && lines.len() == 3, "{lines:?}");
    let (mut client, _) = all.open("/", "");
    client.send(&frame(FIN | BINARY, &[7; 1001]));
    assert_eq!(client.read_frame().payload[..2], 1009_u16.to_be_bytes());
    std::fs::remove_file(&all.file).unwrap();
    all.server.signal(Signal::HUP);
    let is_told = || all.lines().len() > all.seen + 1;
    assert!(wait_until(LIMIT, is_told), "{:?}", all.server.log());
    assert_eq!(all.open("/", "").1, 101);
}

/// A fault is one also if it is about what cannot change, and so would have no effect.
#[cfg(all(feature = "tokens", feature = "auth-url"))]
#[test]
fn what_check_config_refuses_changes_nothing() {
    let secret = std::env::temp_dir().join(format!("corecast-both-{}", std::process::id()));
    std::fs::write(&secret, [7; 32]).unwrap();
    let keys = format!("token-secret = [\"{}\"]\n", secret.display());
    let own = "allow-origin = [\"https://a.example\"]\n";
    let args = ["--admin", "127.0.0.1:0"];
    let mut all = Configured::start("reload-both", &format!("{keys}{own}"), &args);
    let admin = all.server.admin();
    let both = format!("{keys}{own}max-message = 10\nauth-url = \"http://127.0.0.1:1/\"\n");
    std::fs::write(&all.file, &both).unwrap();
    let checked = run(command(&["check-config", all.file.to_str().unwrap()]), LIMIT);
    let lines = all.reload(&both, "stay as they were");
    let fault = checked.stderr.lines().next().unwrap();
    assert!(fault.contains("only one decides"), "{checked:?}");
    assert!(lines.len() == 2 && lines[0].ends_with(fault), "{lines:?}");
    let (mut client, _) = all.open("/", "");
    client.send(&frame(FIN | BINARY, &[7; 11]));
    client.expect(&wire::unmasked(FIN | BINARY, &[7; 11]));
    let (_, metrics) = ask(admin, "GET", "/metrics");
    let value = |name: &str| -> u64 {
        let line = metrics.lines().find_map(|line| line.strip_prefix(name));
        line.unwrap_or_else(|| panic!("{name} is not in {metrics}")).trim().parse().unwrap()
    };
    assert_eq!(value("corecast_reloads_total{result=\"failed\"}"), 1);
    assert_eq!(value("corecast_reloads_total{result=\"good\"}"), 0);
    assert!(value("corecast_last_good_reload_seconds") > 1_700_000_000);
    all.reload(&format!("{keys}{own}"), READ);
    let is_counted =
        || ask(admin, "GET", "/metrics").1.contains("corecast_reloads_total{result=\"good\"} 1\n");
    assert!(wait_until(LIMIT, is_counted));
    let _ = std::fs::remove_file(&secret);
}

#[test]
fn what_cannot_change_is_named_and_stays() {
    let core = corecast::server::allowed_cores()[0].to_string();
    let args = ["--cores", &core];
    let start = "max-connections = 2\npeer-addresses = false";
    let mut all = Configured::start("reload-fixed", start, &args);
    let (_one, _) = all.open("/", "");
    let text = "max-connections = 50\nbuffers = 64\naccess-log = true\ntrust-proxy = [\"unix\"]\n\
                ping-after = 7\napi-keys = [\"/nowhere\"]";
    let lines = all.reload(text, READ);
    let fixed =
        ["max-connections", "buffers", "peer-addresses", "access-log", "trust-proxy", "api-keys"];
    for name in fixed {
        let named = lines.iter().filter(|line| line.contains(&format!("`{name}` cannot change")));
        assert_eq!(named.count(), 1, "{name}: {lines:?}");
    }
    assert_eq!(lines.len(), 7, "{lines:?}");
    assert!(lines[6].contains("changed=\"ping-after\""), "{lines:?}");
    let (_two, _) = all.open("/", "");
    assert_eq!(all.open("/", "").1, 503);
    // It is said again as long as it differs.
    let lines = all.reload("max-connections = 50\npeer-addresses = false", READ);
    assert!(lines.len() == 2 && lines[0].contains("`max-connections`"), "{lines:?}");
    assert!(lines[1].contains("changed=\"ping-after\""), "{lines:?}");
}

#[test]
fn the_level_of_the_log_and_the_manner_of_stopping_change() {
    let mut all = Configured::start("reload-log", "log-level = \"info\"", &[]);
    let (mut client, _) = all.open("/", "");
    let lines = all.reload("log-level = \"off\"\ndrain-code = \"1012\"", READ);
    assert!(lines[0].contains("changed=\"drain-code,log-level\""), "{lines:?}");
    std::fs::write(&all.file, "log-level = \"info\"\ndrain-code = \"1012\"").unwrap();
    // The line is told by the level that it makes hold.
    all.server.signal(Signal::HUP);
    let is_told = || all.lines().get(all.seen).is_some_and(|line| line.contains(READ));
    assert!(wait_until(LIMIT, is_told), "{:?}", all.lines());
    all.server.signal(Signal::TERM);
    client.expect(&server_close(1012, "server restarts"));
}

/// What stays counts with what is new: a cookie of every page would be a way in for any page.
#[cfg(feature = "tokens")]
#[test]
fn what_stays_and_what_is_new_have_to_fit() {
    let secret =
        std::env::temp_dir().join(format!("corecast-reload-secret-{}", std::process::id()));
    std::fs::write(&secret, [7; 32]).unwrap();
    let keys = format!("token-secret = [\"{}\"]\n", secret.display());
    let with_cookie = format!("{keys}token-cookie = \"session\"\n");
    let own = "allow-origin = [\"https://a.example\"]\n";
    let mut all = Configured::start("reload-fit", &format!("{with_cookie}{own}"), &[]);
    let foreign = "Origin: https://b.example\r\n";
    let of_route = "[[route]]\npath = \"/pubsub\"\nto = \"pubsub\"\nallow-origin = \"*\"\n";
    // Without the key in the file the cookie counts all the same, and the default of the origins.
    for text in
        [keys.clone(), format!("{keys}allow-origin = \"*\"\n"), format!("{keys}{own}{of_route}")]
    {
        let lines = all.reload(&text, "stay as they were");
        let says = |part: &str| lines.iter().any(|line| line.contains(part));
        assert!(says("`token-cookie` cannot change") && says("any page"), "{text}: {lines:?}");
        assert_eq!(all.open("/pubsub", foreign).1, 403, "{text}");
    }
    let lines = all.reload(&format!("{keys}allow-origin = [\"https://b.example\"]\n"), READ);
    assert!(lines[0].contains("`token-cookie` cannot change"), "{lines:?}");
    assert_eq!(all.open("/pubsub", foreign).1, 401);
    let _ = std::fs::remove_file(&secret);
}

/// Nothing is taken over in part, whichever file has the fault.
#[cfg(feature = "tokens")]
#[test]
fn a_faulty_file_of_keys_keeps_the_settings_as_they_were() {
    let secret = std::env::temp_dir().join(format!("corecast-reload-whole-{}", std::process::id()));
    std::fs::write(&secret, [7; 32]).unwrap();
    let keys = format!("token-secret = [\"{}\"]\n", secret.display());
    let mut all = Configured::start("reload-whole", &format!("{keys}max-message = 1000"), &[]);
    for text in ["token-secret = [\"/nowhere\"]\n", &keys] {
        // The second time the file is there, and what is in it is wrong.
        let lines = all.reload(&format!("{text}max-message = 2000"), "nothing was changed");
        assert!(lines[0].contains("ERROR the keys of tokens stay as they were"), "{lines:?}");
        assert_eq!(lines.len(), 2, "{lines:?}");
        let (mut client, _) = all.open("/", "");
        client.send(&frame(FIN | BINARY, &[7; 1001]));
        assert_eq!(client.read_frame().payload[..2], 1009_u16.to_be_bytes());
        std::fs::write(&secret, "short").unwrap();
    }
    std::fs::write(&secret, [7; 32]).unwrap();
    let lines = all.reload(&format!("{keys}max-message = 2000"), "keys of tokens were read again");
    assert!(lines[0].contains("changed=\"max-message\""), "{lines:?}");
    let _ = std::fs::remove_file(&secret);
}

/// Flags win over the file, as at the start.
#[test]
fn flags_stay() {
    let args = ["--max-message", "1000", "--admin", "127.0.0.1:0"];
    let mut all = Configured::start("reload-flags", "max-message = 10", &args);
    let admin = all.server.admin();
    all.reload("max-message = 5000\nmax-memory = \"64MiB\"", READ);
    let (mut client, _) = all.open("/", "");
    client.send(&frame(FIN | BINARY, &[7; 1000]));
    client.expect(&wire::unmasked(FIN | BINARY, &[7; 1000]));
    client.send(&frame(FIN | BINARY, &[7; 1001]));
    assert_eq!(client.read_frame().payload[..2], 1009_u16.to_be_bytes());
    let (_, metrics) = ask(admin, "GET", "/metrics");
    assert!(metrics.contains("corecast_memory_limit_bytes 67108864"), "{metrics}");
}
