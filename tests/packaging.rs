//! What packaging/ says of the server is true: flags and settings exist, times fit each other, and
//! the seccomp profile has every call that the server makes. scripts/deb.sh --check checks the
//! Debian package, tests/clients/proxies.py runs the configurations of nginx and HAProxy.

mod support;

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use rustix::process::Signal;
use serde_json::Value;
use support::client::Client;
use support::host::{tool, wait_until};
use support::server::{Finished, Server, binary, command, run, without_settings};
use support::wire::server_close;

const LIMIT: Duration = Duration::from_secs(20);
const IO_URING: [&str; 3] = ["io_uring_setup", "io_uring_enter", "io_uring_register"];
/// Seconds that a server needs at most beyond its deadline.
const MARGIN: u64 = 5;

fn packaged(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging").join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn finished(args: &[&str]) -> Finished {
    run(command(args), LIMIT)
}

/// A file of this test, removed at its end.
struct Temporary(PathBuf);

impl Temporary {
    fn new(name: &str, text: &str) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("corecast-{name}-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::write(&path, text).unwrap();
        Self(path)
    }

    fn path(&self) -> &str {
        self.0.to_str().unwrap()
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// The settings that hold with a file of these, which has to be valid.
fn settings(name: &str, text: &str) -> String {
    let file = Temporary::new(name, text);
    let done = finished(&["serve", "--config", file.path(), "--print-config"]);
    assert!(done.status.success(), "{name}: {}", done.stderr);
    done.stdout
}

/// What follows `key` at the beginning of a line, behind a space, `=` or `:`.
fn value<'t>(text: &'t str, key: &str) -> &'t str {
    let mut rest = text.lines().filter_map(|line| line.trim_start().strip_prefix(key));
    let rest = rest.find(|rest| rest.starts_with([' ', '=', ':'])).unwrap_or_else(|| {
        panic!("{key} is not there");
    });
    rest.trim_start_matches([' ', '=', ':'])
}

fn seconds(text: &str, key: &str) -> u64 {
    number(value(text, key))
}

/// The number that a text begins with.
fn number(text: &str) -> u64 {
    let digits: String = text.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().unwrap_or_else(|_| panic!("{text} is no number"))
}

/// The strings of the list in brackets behind `key`.
fn list(text: &str, key: &str) -> Vec<String> {
    let list = value(text, key);
    serde_json::from_str(list).unwrap_or_else(|error| panic!("{key} {list}: {error}"))
}

/// A view of a server that is not there fails because of that, and not because of its flags.
fn top_is_valid(args: &[String]) {
    let token = Temporary::new("top-token", "token");
    let mut args: Vec<&str> = args.iter().map(String::as_str).collect();
    assert_eq!(args.first(), Some(&"top"), "{args:?}");
    for (flag, new) in [("--admin", "127.0.0.1:1"), ("--admin-token-file", token.path())] {
        if let Some(at) = args.iter().position(|arg| *arg == flag) {
            args[at + 1] = new;
        }
    }
    let done = finished(&args);
    assert!(done.error_line(1).contains("does not answer"), "{}", done.stderr);
}

#[test]
fn the_units_fit_the_server() {
    let (unit, default) = (packaged("systemd/corecast.service"), settings("unit", ""));
    let start = "/usr/bin/corecast serve --config /etc/corecast/corecast.toml";
    assert_eq!(value(&unit, "ExecStart"), start);
    assert_eq!(value(&unit, "Type"), "notify");
    assert!(seconds(&unit, "WatchdogSec") > 0);
    let (stop, drain) = (seconds(&unit, "TimeoutStopSec"), seconds(&default, "drain-timeout"));
    assert!(stop >= drain + MARGIN, "systemd waits for {stop} s, a drain takes {drain} s");
    let calls = value(&unit, "SystemCallFilter");
    assert!(IO_URING.iter().all(|call| calls.split(' ').any(|it| it == *call)), "{calls}");
    // The setting that the unit of the sockets names.
    let socket = packaged("systemd/corecast.socket");
    let setting = socket.lines().find_map(|line| line.strip_prefix("#     ")).unwrap();
    assert!(settings("socket", setting).contains("listen = [\"systemd\"]"), "{setting}");
    assert_eq!(value(&socket, "ListenStream"), "127.0.0.1:9001", "as it listens by default");
}

/// The settings that README has a reader write.
#[test]
fn the_settings_of_the_readme_are_valid() {
    let readme = include_str!("../README.md");
    let rest = readme.split_once("/corecast.toml <<'END'\n").unwrap().1;
    let settings = settings("readme", rest.split_once("\nEND\n").unwrap().0);
    for key in ["trust-proxy", "token-secret", "admin"] {
        assert_ne!(value(&settings, key).split_once(' ').unwrap().0, "[]", "{key} is not set");
    }
}

#[test]
fn the_image_is_started_with_flags_that_exist() {
    let file = packaged("container/Containerfile");
    // The CMD of the health check is the first one, further in.
    let health = list(&file, "CMD");
    let command = file.lines().find(|line| line.starts_with("CMD ")).unwrap();
    let mut args = list(command, "CMD");
    let port = value(&file, "EXPOSE");
    assert!(args.contains(&format!(":{port}")), "{args:?}");
    assert_eq!(health[1..], ["ping", &format!("127.0.0.1:{port}")]);
    // README's own command listens there too.
    assert!(include_str!("../README.md").contains(&format!("corecast serve --listen :{port} ...")));
    let server = Server::start(&[]);
    let ping = |addr: &str| finished(&["ping", addr]);
    assert!(ping(&server.addr().to_string()).status.success());
    assert!(ping("127.0.0.1:1").error_line(1).contains("does not answer"));
    assert!(ping("nonsense").error_line(1).contains("is no address"));
    args.push("--print-config".to_owned());
    let done = finished(&args.iter().map(String::as_str).collect::<Vec<_>>());
    assert!(done.status.success(), "{}", done.stderr);
}

/// The image that README has a reader build is the one that Kubernetes is told of.
#[test]
fn the_image_has_one_name() {
    let name = concat!("corecast:", env!("CARGO_PKG_VERSION"));
    let manifest = packaged("kubernetes/corecast.yaml");
    assert_eq!(value(&manifest, "image"), name);
    let readme = include_str!("../README.md").to_owned();
    for text in [readme, packaged("container/Containerfile")] {
        let mut lines = text.lines().map(|line| line.trim_start_matches(['#', ' ']));
        let mut has = |start: &str| {
            let line = lines.find(|line| line.starts_with(start)).expect(start);
            assert!(line.split(' ').any(|word| word == name), "{line} does not name {name}");
        };
        has("docker build ");
        has("docker run ");
    }
}

/// Cargo finds all that the manifests name where there is nothing but these files.
fn manifests_are_whole(root: &Path, files: &BTreeSet<&str>) {
    let folder = std::env::temp_dir().join(format!("corecast-image-{}", std::process::id()));
    for file in files {
        let link = folder.join(file);
        std::fs::create_dir_all(link.parent().unwrap()).unwrap();
        std::os::unix::fs::symlink(root.join(file), link).unwrap();
    }
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["metadata", "--no-deps", "--offline", "--locked", "--format-version", "1"]);
    let done = cargo.current_dir(&folder).output().unwrap();
    std::fs::remove_dir_all(&folder).unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
}

/// What is copied into the image is there, and is not left out of what the build is sent.
#[test]
fn the_image_is_built_of_files_that_exist() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let ignored = std::fs::read_to_string(root.join(".dockerignore")).unwrap();
    let rules: Vec<&str> =
        ignored.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).collect();
    assert_eq!(rules[0], "*", "all is left out but for these");
    let sent: Vec<&str> = rules[1..].iter().map(|rule| rule.strip_prefix('!').unwrap()).collect();
    let file = packaged("container/Containerfile");
    let mut copied = BTreeSet::new();
    for line in file.lines().filter_map(|line| line.strip_prefix("COPY ")) {
        if !line.starts_with("--from=") {
            let words: Vec<&str> = line.split(' ').collect();
            copied.extend(words[..words.len() - 1].iter().copied());
        }
    }
    for source in &copied {
        assert!(root.join(source).exists(), "{source} is not there");
        assert!(sent.contains(source), "{source} is left out by .dockerignore");
    }
    assert_eq!(copied, sent.into_iter().collect(), "what is sent is copied");
    manifests_are_whole(root, &copied);
    let last = file.rsplit("\nFROM ").next().unwrap();
    let user = value(last, "USER");
    assert!(!["root", "0"].contains(&user.split(':').next().unwrap()), "it runs as {user}");
    assert!(last.split_once("USER ").unwrap().1.contains("\nENTRYPOINT "));
}

#[test]
fn kubernetes_waits_for_the_drain() {
    let manifest = packaged("kubernetes/corecast.yaml");
    let lines = manifest.lines().skip_while(|line| !line.ends_with("corecast.toml: |")).skip(1);
    let block = lines.take_while(|line| line.starts_with("    "));
    let toml = block.map(|line| &line[4..]).collect::<Vec<_>>().join("\n");
    let settings = settings("kubernetes", &toml);
    let grace = seconds(&manifest, "terminationGracePeriodSeconds");
    let drain = seconds(&settings, "drain-timeout");
    assert!(grace >= drain + MARGIN, "it is killed after {grace} s, a drain takes {drain} s");
    assert!(seconds(&settings, "drain-delay") > 0, "clients are refused at once");
    for (port, key) in
        manifest.lines().filter_map(|it| it.split_once("containerPort: ")).zip(["listen", "admin"])
    {
        let port = port.1.trim_end_matches([' ', '}']);
        assert!(value(&settings, key).contains(&format!("\":{port}\"")), "{key} is not {port}");
    }
    let args = list(&manifest, "args");
    assert_eq!(args, ["serve", "--config", "/etc/corecast/corecast.toml"]);
    assert!(manifest.contains("path: /healthz, port: clients"));
    top_is_valid(&exec(&manifest, "livenessProbe"));
}

/// The arguments of the command that is executed for `key`.
fn exec(manifest: &str, key: &str) -> Vec<String> {
    let mut lines = manifest.lines().skip_while(|line| line.trim() != format!("{key}:"));
    assert!(lines.any(|line| line.trim() == "command:"), "{key} executes nothing");
    let words = lines.map_while(|line| Some(line.trim_start().strip_prefix("- ")?.to_owned()));
    let command: Vec<String> = words.collect();
    assert_eq!(command[0], "/usr/bin/corecast");
    command[1..].to_vec()
}

/// `preStop` comes back at once. SIGTERM behind it does not begin the drain anew, and cuts nobody.
#[test]
fn kubernetes_drains_before_it_stops() {
    let mut args = exec(&packaged("kubernetes/corecast.yaml"), "preStop");
    let token = Temporary::new("stop-token", "s3cret-0123456789");
    let times = ["--drain-window", "2", "--drain-timeout", "60", "--drain-code", "1012"];
    let admin = ["--admin", "127.0.0.1:0", "--admin-token-file", token.path()];
    let mut server = Server::start(&[&times[..], &admin].concat());
    let mut clients: Vec<Client> = (0..20).map(|_| Client::open(server.addr())).collect();
    let file = args.iter().position(|arg| arg == "--admin-token-file").unwrap() + 1;
    assert!(args[file].starts_with("/etc/corecast-admin/"), "{args:?}");
    token.path().clone_into(&mut args[file]);
    let port = args.iter_mut().find(|arg| *arg == "127.0.0.1:9100").expect("the port of the file");
    *port = server.admin().to_string();
    let done = finished(&args.iter().map(String::as_str).collect::<Vec<_>>());
    assert!(done.status.success(), "{}", done.stderr);
    server.signal(Signal::TERM);
    for client in &mut clients {
        client.expect(&server_close(1012, "server restarts"));
    }
    drop(clients);
    assert!(server.wait(LIMIT).is_some_and(|status| status.success()));
}

/// A proxy waits longer than the server for a sign of life of a client, and a balancer notices a
/// drain before clients are refused.
#[test]
fn the_times_of_proxies_fit() {
    for (settings, proxy, keys) in [
        (
            settings("nginx", &packaged("nginx/corecast.toml")),
            packaged("nginx/corecast.conf"),
            ["proxy_read_timeout", "proxy_send_timeout"],
        ),
        (
            settings("haproxy", &packaged("haproxy/corecast.toml")),
            packaged("haproxy/haproxy.cfg"),
            ["timeout tunnel", "timeout client"],
        ),
    ] {
        let silence = seconds(&settings, "ping-after") + seconds(&settings, "pong-timeout");
        for key in keys {
            assert!(seconds(&proxy, key) > silence, "{key} is not more than {silence} s");
        }
    }
    let settings = settings("haproxy-drain", &packaged("haproxy/corecast.toml"));
    let proxy = packaged("haproxy/haproxy.cfg");
    let server = proxy.lines().find(|line| line.trim_start().starts_with("server ")).unwrap();
    let after = |word: &str| number(server.split_once(word).expect(word).1);
    let notices = after("inter ") * after("fall ");
    assert!(seconds(&settings, "drain-delay") > notices, "HAProxy needs {notices} s");
}

/// What the profile allows: names of calls, and the families of sockets.
fn allowed() -> (BTreeSet<String>, BTreeSet<u64>) {
    let profile: Value = serde_json::from_str(&packaged("container/seccomp.json")).unwrap();
    // ENOSYS: programs fall back on an older call.
    assert_eq!(profile["defaultErrnoRet"], libc::ENOSYS);
    assert_eq!(profile["defaultAction"], "SCMP_ACT_ERRNO");
    let (mut names, mut families) = (BTreeSet::new(), BTreeSet::new());
    for entry in profile["syscalls"].as_array().unwrap() {
        assert_eq!(entry["action"], "SCMP_ACT_ALLOW", "{entry}");
        for name in entry["names"].as_array().unwrap() {
            let name = name.as_str().unwrap().to_owned();
            if name == "socket" {
                families.extend(entry["args"][0]["value"].as_u64());
            } else {
                assert!(names.insert(name), "{entry} is there twice");
            }
        }
    }
    (names, families)
}

/// The URL of a backend that allows one client all.
fn allowing() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    // By a name, so that it has to be looked up.
    let url = format!("http://localhost:{}/", listener.local_addr().unwrap().port());
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).unwrap();
            head.push(byte[0]);
        }
        let claims = r##"{"sub":"ann","publish":["#"],"subscribe":["#"]}"##;
        let length = claims.len();
        let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length:";
        stream.write_all(format!("{head} {length}\r\n\r\n{claims}").as_bytes()).unwrap();
    });
    url
}

/// The calls of a server on this backend, from its start to its end.
fn calls(backend: &str) -> String {
    let settings = Temporary::new(&format!("seccomp-{backend}"), "");
    let trace = Temporary::new(&format!("trace-{backend}"), "");
    let mut strace: Command = tool("strace");
    // -D: the server is the child, and gets the signals.
    strace.args(["-D", "-f", "-q", "-o", trace.path(), binary(), "serve"]);
    strace.args(["--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--backend", backend]);
    strace.args(["--config", settings.path(), "--allow-origin", "http://a.example"]);
    if cfg!(feature = "auth-url") {
        strace.args(["--auth-url", &allowing()]);
    }
    without_settings(&mut strace);
    let mut server = Server::spawn(strace);
    let mut client = Client::open(server.addr());
    client.expect_alive();
    Client::connect(server.addr()).open_at("/pubsub", "");
    server.signal(Signal::HUP);
    let is_read = || server.log().iter().any(|line| line.contains("read again"));
    assert!(wait_until(LIMIT, is_read), "{:?}", server.log());
    drop(client);
    server.signal(Signal::TERM);
    assert!(server.wait(LIMIT).is_some_and(|status| status.success()));
    let read = || std::fs::read_to_string(&trace.0).unwrap();
    assert!(wait_until(LIMIT, || read().contains("exited with 0")), "strace does not end");
    read()
}

#[test]
fn the_seccomp_profile_has_every_call() {
    let (names, families) = allowed();
    assert!(IO_URING.iter().all(|call| names.contains(*call)));
    for forbidden in ["bpf", "mount", "ptrace", "unshare", "setns", "keyctl", "kexec_load"] {
        assert!(!names.contains(forbidden), "{forbidden} is allowed");
    }
    assert_eq!(families, [libc::AF_UNIX, libc::AF_INET, libc::AF_INET6].map(|it| it as u64).into());
    for backend in ["uring", "epoll"] {
        let trace = calls(backend);
        let made = trace.lines().filter_map(|line| line.split_once(' ')?.1.trim().split_once('('));
        let made: BTreeSet<&str> = made
            .map(|(name, _)| name)
            .filter(|name| name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_'))
            // clone takes its place; socket is above.
            .filter(|name| !["clone3", "socket"].contains(name))
            .collect();
        assert!(made.len() > 30, "{made:?}");
        let missing: Vec<_> = made.iter().filter(|name| !names.contains(**name)).collect();
        assert!(missing.is_empty(), "{backend}: the profile lacks {missing:?}");
    }
}
