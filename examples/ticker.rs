//! Prices of invented companies, published by threads of this program.
//!
//! ```text
//! cargo run --release --example ticker            10 prices a second of each company
//! cargo run --release --example ticker -- 127.0.0.1:9001 2000
//! ```
//!
//! Then open `examples/ticker.html` in a browser, or read one company's prices as they are from
//! `ws://127.0.0.1:9001/topics/ticker/ACME?role=sub` with any client. Ctrl-C ends it.
//!
//! Each company is a topic, `ticker/<symbol>`, and each price `{"cents":10125,"tick":7}`. Prices
//! are retained, so a new reader is sent all of them at once instead of waiting for each to change.

use std::error::Error;
use std::thread;
use std::time::{Duration, Instant};

use corecast::app::echo::Echo;
use corecast::app::{PublishError, Publisher};
use corecast::config::{Config, SlowConsumer};
use corecast::protocol::websocket::handshake::Origins;
use corecast::pubsub::Payload;
use corecast::server::Server;

const SYMBOLS: [&str; 8] = ["ACME", "BOLT", "CORK", "DUNE", "ECHO", "FLUX", "GROG", "HUSK"];

/// Publishes a random price `rate` times a second, until the server has stopped.
fn tick(symbol: &str, publisher: &Publisher, rate: f64) -> PublishError {
    let topic = format!("ticker/{symbol}");
    let start = Instant::now();
    let mut cents: i64 = fastrand::i64(5_000..20_000);
    let mut tick = 0_u64;
    loop {
        tick += 1;
        // A change of at most 0.1 %, and never below one dollar.
        let step = cents / 1000 + 1;
        cents = (cents + fastrand::i64(-step..=step)).max(100);
        let price = format!(r#"{{"cents":{cents},"tick":{tick}}}"#);
        match publisher.retain(&topic, Payload::text(price)) {
            Ok(()) => {}
            // The server has no room. This price would be out of date if it waited, and the next
            // one replaces it. Readers see that a tick is missing.
            Err(PublishError::Full) => {}
            Err(error) => return error,
        }
        // Until the next one is due by the start time, so that delays do not add up.
        let due = Duration::try_from_secs_f64(tick as f64 / rate).unwrap_or(Duration::MAX);
        thread::sleep(due.saturating_sub(start.elapsed()));
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let address = arguments.next().unwrap_or_else(|| "127.0.0.1:9001".to_owned());
    let rate: f64 = arguments.next().map_or(Ok(10.0), |rate| rate.parse())?;
    if !(0.01..=100_000.0).contains(&rate) {
        return Err("the rate is in prices a second, 0.01 to 100000".into());
    }

    let mut config = Config::default();
    // Any page may read this: the prices are no secret, and no cookies are used.
    config.origins = Origins::Any;
    // A slow reader needs the latest price only.
    config.pubsub.slow = SlowConsumer::Conflate;
    let running = Server::new(config).listen(address.parse()?).start(|_core, _handle| Echo)?;
    for address in running.addresses() {
        println!("prices on ws://{address}; open examples/ticker.html?server=ws://{address}");
    }

    for symbol in SYMBOLS {
        // Each call returns a publisher of another core, so that the cores share the work.
        let publisher = running.publisher();
        thread::Builder::new().name(symbol.to_owned()).spawn(move || {
            let error = tick(symbol, &publisher, rate);
            eprintln!("prices of {symbol} have ended: {error}");
        })?;
    }
    running.join()?;
    Ok(())
}
