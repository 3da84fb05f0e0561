//! Goal: handshakes with tokens whose signatures are costly to verify hold nobody up for long.
//! Method: many at once, beside a client of the echo, and the same number without tokens.

use std::time::Instant;

use super::*;

const AT_ONCE: usize = 200;

/// The longest of the answers to an echo client while `AT_ONCE` clients send this request at the
/// same moment, several times; the least of some rounds.
fn longest_wait(addr: SocketAddr, further: &str, status: &str) -> Duration {
    let mut echo = Client::open(addr);
    let rounds = (0..5).map(|_| {
        let mut clients: Vec<Client> = (0..AT_ONCE).map(|_| Client::connect(addr)).collect();
        let request = request_to("/pubsub", further);
        let (head, tail) = request.split_at(request.len() - 2);
        clients.iter_mut().for_each(|client| client.send(head));
        clients.iter_mut().for_each(|client| client.send(tail));
        let longest = (0..50).map(|_| {
            let start = Instant::now();
            echo.send(&frame(FIN | TEXT, b"x"));
            echo.read_frame();
            start.elapsed()
        });
        let longest = longest.max().unwrap();
        for client in &mut clients {
            assert!(client.read_head().status.contains(status));
        }
        longest
    });
    rounds.min().unwrap()
}

/// All signatures together take longer than this: 200 of 50 us.
const ALL: Duration = Duration::from_millis(10);

#[test]
fn an_echo_does_not_wait_for_all_signatures() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors/tokens/");
    let key = format!("{folder}es256.pem");
    let server = Server::start(&["--token-key", &key, "--cores", "0"]);
    let good = fs::read_to_string(format!("{folder}es256.jwt")).unwrap();
    let wrong = format!("{}AAAA", &good.trim()[..good.trim().len() - 4]);
    // Other tests and builds take the processor as well, so it has to hold once.
    let mut seen = Vec::new();
    let holds = (0..6).any(|_| {
        let without = longest_wait(server.addr(), "", "401");
        let with = longest_wait(server.addr(), &bearer(&wrong), "401");
        seen.push((with, without));
        with < without * 4 + ALL
    });
    assert!(holds, "beside tokens, and without: {seen:?}");
}
