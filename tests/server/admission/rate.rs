//! Goal: an address begins no more connections in a second than it may, on all cores together.

use super::proxies::header;
use super::*;

/// Does this until it took less than the time in which the next token comes.
fn within_a_second<T>(mut act: impl FnMut() -> T) -> T {
    for _ in 0..20 {
        let began = Instant::now();
        let result = act();
        if began.elapsed() < Duration::from_millis(900) {
            return result;
        }
    }
    panic!("the machine is too slow to connect some times in a second");
}

fn server(burst: u32) -> Limited {
    Limited::start(|config| {
        config.limits.handshake_rate = Some(1);
        config.limits.handshake_burst = Some(burst);
    })
}

#[test]
fn one_connection_more_than_the_burst() {
    for burst in [1, 3, 10] {
        for count in [burst - 1, burst, burst + 1] {
            let (answers, counted) = within_a_second(|| {
                let server = server(burst);
                let answer = |_| {
                    let mut client = Client::connect(server.addr());
                    ask(&mut client, b"", "")
                };
                let answers: Vec<(u16, String)> = (0..count).map(answer).collect();
                (answers, server.counts().0.handshakes)
            });
            let admitted = answers.iter().filter(|(status, _)| *status == 101).count();
            assert_eq!(admitted, count.min(burst) as usize, "{answers:?}");
            assert_eq!(counted, u64::from(count.saturating_sub(burst)));
            if count > burst {
                assert_eq!(answers.last(), Some(&refused(TOO_OFTEN, 429)));
            }
        }
    }
}

#[test]
fn each_address_has_its_own_and_tokens_come_back() {
    let server = server(1);
    within_a_second(|| {
        // Its answer says that it was counted: another core may accept the next one.
        let mut first = connect_from([127, 0, 0, 1], server.addr());
        ask(&mut first, b"", "");
        let mut second = connect_from([127, 0, 0, 1], server.addr());
        assert_eq!(ask(&mut second, b"", ""), refused(TOO_OFTEN, 429));
    });
    drop(open_from([127, 0, 0, 2], server.addr()));
    std::thread::sleep(Duration::from_millis(1_050));
    drop(open_from([127, 0, 0, 1], server.addr()));
}

/// One who has many addresses of IPv6 has the tokens of one.
#[test]
fn addresses_of_one_network_share_their_tokens() {
    let clients = [
        ("2001:db8:0:1::1", 101),
        ("2001:db8:0:1:ffff::2", 101),
        ("2001:db8:0:1::3", 429),
        ("2001:db8:0:1:8000::4", 429),
        ("2001:db8:0:2::1", 101),
        ("2001:db8::1", 101),
        ("192.0.2.1", 101),
    ];
    let (answers, counted) = within_a_second(|| {
        let any = Listen::tcp(SocketAddr::from(([127, 0, 0, 1], 0)));
        let server = Limited::start_on(&[any.proxy_protocol()], 2, |config| {
            config.limits.handshake_rate = Some(1);
            config.limits.handshake_burst = Some(2);
        });
        let answers = clients.map(|(client, _)| {
            let mut connection = Client::connect(server.addr());
            ask(&mut connection, header(client).as_bytes(), "")
        });
        (answers, server.counts().0.handshakes)
    });
    for ((client, status), answer) in clients.into_iter().zip(answers) {
        assert_eq!(answer.0, status, "{client}");
        if status == 429 {
            assert_eq!(answer.1, TOO_OFTEN, "{client}");
        }
    }
    assert_eq!(counted, 2);
}
