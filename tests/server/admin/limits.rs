//! What happens when a core does not answer, and near the limit of connections.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use corecast::app::{Accept, Context, Handler, Upgrade};
use corecast::config::Config;
use corecast::protocol::websocket::handshake::Request;
use corecast::server::{Listen, Listening, ServerHandle, allowed_cores};
use corecast::session::Message;

use crate::admin::page::{Metrics, ask};
use crate::support::backend;
use crate::support::client::Client;
use crate::support::host::wait_until;
use crate::support::wire::{FIN, TEXT, frame};

const LIMIT: Duration = Duration::from_secs(20);

/// Sleeps as long as a message says, in milliseconds, and has names for its users.
struct Sleeper;

impl Handler for Sleeper {
    type Connection = ();
    type User = String;

    fn upgrade(&mut self, _: &Request<'_>, _: &mut Accept) -> Upgrade<()> {
        Upgrade::Accept(())
    }

    fn message<'a>(&mut self, (): &mut (), message: Message<'a>, cx: &mut Context<'_, 'a>) {
        let millis = message.text().and_then(|text| text.parse().ok()).unwrap_or(0);
        std::thread::sleep(Duration::from_millis(millis));
        cx.echo(message);
    }

    fn authorise_connect(
        &mut self,
        request: &Request<'_>,
        user: &mut String,
    ) -> Result<(), corecast::protocol::websocket::handshake::Refusal> {
        *user = request.query.unwrap_or_default().trim_start_matches("token=").to_owned();
        Ok(())
    }

    fn user_name(user: &String) -> Option<&str> {
        Some(user)
    }
}

fn start(config: Config, loops: usize) -> (ServerHandle, SocketAddr) {
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    let server = backend::server(config).listen(any).listen_on(Listen::tcp(any).admin());
    let server = server.cores(vec![allowed_cores()[0]]).loops_per_core(loops).watchdog(None);
    let running = server.start(|_, _| Sleeper).unwrap();
    assert_eq!(running.addresses().len(), 1, "the admin listener is none for clients");
    let Listening::Tcp(admin) = running.listening()[1] else { panic!() };
    assert!(running.is_for_admin(1) && !running.is_for_admin(0));
    (running, admin)
}

fn stop(running: &ServerHandle) {
    running.drain();
    running.join().unwrap();
}

/// The loops with connections to the server, each with one.
fn one_on_each_loop(running: &ServerHandle, loops: usize) -> Vec<Client> {
    let addr = running.addresses()[0];
    let mut clients: Vec<Client> = Vec::new();
    assert!(wait_until(LIMIT, || {
        clients.push(Client::open(addr));
        running.stats().iter().filter(|one| one.worker.sessions.all_open() > 0).count() == loops
    }));
    clients
}

/// Has the loop of a client hang for 2.5 s.
fn hang(client: &mut Client) {
    client.send(&frame(FIN | TEXT, b"2500"));
    std::thread::sleep(Duration::from_millis(200));
}

/// The answer comes in time, names the loop, and no counter decreases.
#[test]
fn a_loop_that_does_not_answer_is_named() {
    let (running, admin) = start(Config::default(), 2);
    let mut clients = one_on_each_loop(&running, 2);
    let before = Metrics::of(admin);
    let core = allowed_cores()[0];
    let answers = |metrics: &Metrics, number: usize| {
        metrics.get(&format!("corecast_loop_answers{{core=\"{core}\",loop=\"{number}\"}}"))
    };
    assert_eq!((answers(&before, 0), answers(&before, 1)), (1.0, 1.0));
    // Some connections to the admin listener are on another loop than the one that hangs. A loop
    // answers 32 of them at a time, and those that end may still be open when others begin: there
    // are 30 in all.
    let hung = clients.last_mut().unwrap();
    let mut asked: Vec<Client> = (0..14).map(|_| Client::connect(admin)).collect();
    let began = Instant::now();
    hang(hung);
    let get =
        |path: &str| format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    asked.iter_mut().for_each(|client| client.send(get("/metrics").as_bytes()));
    let mut seen = Vec::new();
    for client in &mut asked {
        let (text, _) = client.read_to_end(LIMIT);
        let text = String::from_utf8(text).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
        let metrics = Metrics::parse(body);
        assert!(metrics.0.iter().all(|(name, value)| {
            !name.contains("_total") || *value >= before.0.get(name).copied().unwrap_or(0.0)
        }));
        seen.push(answers(&metrics, 0) + answers(&metrics, 1));
    }
    assert!(seen.contains(&1.0), "nobody was told that a loop hangs: {seen:?}");
    drop(asked);
    let lists = ["/connections", "/topics"];
    let mut listed: Vec<(&str, Client)> =
        (0..16).map(|number| (lists[number % 2], Client::connect(admin))).collect();
    hang(hung);
    listed.iter_mut().for_each(|(list, client)| client.send(get(list).as_bytes()));
    let texts = listed.iter_mut().map(|(_, client)| client.read_to_end(LIMIT).0);
    let texts: Vec<String> = texts.map(|text| String::from_utf8(text).unwrap()).collect();
    // Two are made at a time, and wait for the loop that hangs. The others have not begun.
    let refused = texts.iter().filter(|text| text.starts_with("HTTP/1.1 503 "));
    let named = format!("\"cores\":[{core}]");
    let (named, waited): (Vec<_>, Vec<_>) = refused.partition(|text| text.contains(&named));
    assert!((1..=4).contains(&named.len()), "{texts:#?}");
    assert!(waited.iter().all(|text| text.contains("before are not made yet")), "{waited:#?}");
    assert!(began.elapsed() < LIMIT);
    for _ in 0..2 {
        assert_eq!(hung.read_frame().payload, b"2500");
    }
    assert!(wait_until(LIMIT, || {
        let metrics = Metrics::of(admin);
        answers(&metrics, 0) + answers(&metrics, 1) == 2.0
    }));
    drop(clients);
    stop(&running);
}

/// Clients above the limit get 503, which is counted. Those who administrate are let in.
#[test]
fn the_admin_listener_is_served_above_the_limit_of_connections() {
    let mut config = Config::default();
    config.limits.max_connections = 3;
    let (running, admin) = start(config, 1);
    let addr = running.addresses()[0];
    let clients: Vec<Client> = (0..3).map(|_| Client::open(addr)).collect();
    let (status, _) = ask(addr, "GET", "/healthz", "", b"");
    assert_eq!(status, "503");
    let metrics = Metrics::of(admin);
    assert_eq!(metrics.get("corecast_refused_requests_total{code=\"503\"}"), 1.0);
    assert_eq!(metrics.get("corecast_connection_limit"), 3.0);
    drop(clients);
    stop(&running);
}

/// Handshakes that do not come in time are counted, by status or as those without a request.
#[test]
fn late_requests_are_counted() {
    let mut config = Config::default();
    config.timeouts.handshake = Duration::from_millis(200);
    let (running, admin) = start(config, 1);
    let addr = running.addresses()[0];
    let (mut late, silent) = (Client::connect(addr), Client::connect(addr));
    late.send(b"GET / HTTP/1.1\r\n");
    assert!(late.read_head().status.contains("408"));
    assert!(wait_until(LIMIT, || {
        let metrics = Metrics::of(admin);
        metrics.get("corecast_refused_requests_total{code=\"408\"}") == 1.0
            && metrics.get("corecast_closed_connections_total{cause=\"no_request\",code=\"\"}")
                == 1.0
    }));
    drop((late, silent));
    stop(&running);
}

#[test]
fn the_list_has_the_names_of_users() {
    let (running, admin) = start(Config::default(), 1);
    let mut client = Client::connect(running.addresses()[0]);
    client.open_at("/pubsub?token=ann", "");
    let (status, body) = ask(admin, "GET", "/connections", "", b"");
    assert_eq!(status, "200");
    assert!(body.contains("\"user\":\"ann\""), "{body}");
    drop(client);
    stop(&running);
}
