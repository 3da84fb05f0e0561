//! Goal: a connection lasts as long as its token, and a new token lets it last longer.

use super::*;

const ENDED: &str = "the token has expired";

/// Reads the close frame; it must not come before the token ends.
fn expect_end(client: &mut Client, end: Duration) {
    let close = client.read_frame();
    assert!(now() >= end, "closed {:?} early", end.saturating_sub(now()));
    assert_eq!(close.first, 0x88, "{close:?}");
    assert_eq!(close.payload[..2], 4401_u16.to_be_bytes(), "{close:?}");
    assert_eq!(&close.payload[2..], ENDED.as_bytes());
}

#[test]
fn a_connection_ends_with_its_token_and_is_warned_on_pubsub() {
    let (server, _files) = guarded(&[]);
    let end = now() + Duration::from_millis(2500);
    let token = token_until(end);
    let mut json = open(server.addr(), "/pubsub", &token);
    let mut raw = open(server.addr(), "/topics/news/a", &token);
    let mut writer = open(server.addr(), "/topics/news/a?role=pub", &token);
    let warning = read(&mut json);
    assert!([r#"{"expires":1}"#, r#"{"expires":2}"#, r#"{"expires":3}"#].contains(&&*warning));
    // All works until then.
    send(&mut writer, "hello");
    assert_eq!(read(&mut raw), "hello");
    for client in [&mut json, &mut raw, &mut writer] {
        expect_end(client, end);
    }
    assert_eq!(status(server.addr(), "/pubsub", &bearer(&token)), 401);
}

#[test]
fn a_new_token_lets_a_connection_last_and_may_take_rights() {
    let (server, _files) = guarded(&[]);
    let end = now() + Duration::from_millis(2500);
    let mut client = open(server.addr(), "/pubsub", &token_until(end));
    assert!(read(&mut client).starts_with(r#"{"expires":"#));
    send(&mut client, r#"{"subscribe":["news/a","news/b"]}"#);
    read(&mut client);
    let later = now().as_secs() + 600;
    let of = |user: &str, subscribe: &str| {
        let claims = format!(r#"{{"sub":"{user}","exp":{later},"subscribe":["{subscribe}"]}}"#);
        format!(r#"{{"token":"{}","id":1}}"#, signed(&claims, SECRET))
    };
    send(&mut client, &of("bob", "news/#"));
    let said = read(&mut client);
    assert!(said.contains("another user") && said.ends_with(r#","id":1}"#), "{said}");
    send(&mut client, &of("ann", "news/b"));
    let said = read(&mut client);
    assert!(said.starts_with(r#"{"authorised":"ann","expires":"#), "{said}");
    assert!(said.ends_with(r#","unsubscribed":["news/a"],"id":1}"#), "{said}");
    let mut writer = open(server.addr(), "/pubsub", &token());
    send(&mut writer, r#"{"publish":"news/a","data":1}"#);
    send(&mut writer, r#"{"publish":"news/b","data":2}"#);
    assert_eq!(read(&mut client), r#"{"topic":"news/b","data":2}"#);
    // Beyond the end of the first token.
    while now() < end + Duration::from_millis(500) {
        std::thread::sleep(Duration::from_millis(50));
    }
    client.expect_alive();
}

/// The leeway counts for connections as for handshakes.
#[test]
fn the_leeway_delays_the_end() {
    let files = Files::new();
    let secret = files.write("secret", SECRET);
    let server = Server::start(&["--token-secret", &secret, "--token-leeway", "4"]);
    let end = now() + Duration::from_secs(1);
    let token = token_until(end);
    let mut client = open(server.addr(), "/topics/news/a", &token);
    while now() < end {
        std::thread::sleep(Duration::from_millis(20));
    }
    client.expect_alive();
    let expired = now() >= end + Duration::from_secs(4);
    assert!(expired || status(server.addr(), "/pubsub", &bearer(&token)) == 101);
    expect_end(&mut client, end + Duration::from_secs(4));
}
