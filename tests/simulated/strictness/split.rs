//! Runs the table without a socket: each case split at every byte, byte by byte, and in random
//! pieces. The answer must not depend on the pieces.

use std::sync::Arc;

use corecast::app::echo::Echo;
use corecast::base::{ConnectionId, Millis};
use corecast::config::Config;
use corecast::gateway::Gateway;
use corecast::session::{Handled, Output, Phase, Pools, Session};

use super::case::{Case, MAX_MESSAGE};
use super::request::RequestCase;
use crate::support::client::{Head, request};
use crate::support::deflate;
use crate::support::echo::echo;
use crate::support::hex;
use crate::support::wire::{self, FIN, PING, PONG};

/// Cases of up to this length are received byte by byte as well.
const BYTE_BY_BYTE: usize = 4_096;
/// The number of random splits of each case.
const RANDOM_WAYS: u64 = 8;

/// The limits of the table.
pub(crate) fn config(max_fragments: usize) -> Config {
    let mut config = Config::default();
    config.limits.max_message = MAX_MESSAGE;
    config.limits.max_fragments = u32::try_from(max_fragments).unwrap();
    config.deflate.enabled = true;
    config
}

/// The state that all connections of one test share, as on one core.
pub(crate) struct Core {
    pools: Pools,
    service: Gateway<Echo>,
}

impl Core {
    pub(crate) fn new(mut config: Config) -> Self {
        let service = echo(&mut config);
        Self { pools: Pools::new(Arc::new(config)), service }
    }

    /// The answer of a new connection to `pieces`, and its phase after that.
    fn run<'p>(&mut self, pieces: impl IntoIterator<Item = &'p [u8]>) -> (Vec<u8>, Phase) {
        let id = ConnectionId { slot: 1, generation: 1 };
        let Self { pools, service } = self;
        let mut session = Session::new(id, Millis(0), &pools.config, false);
        let mut sent = Vec::new();
        for piece in pieces {
            let (mut bytes, mut out) = (piece.to_vec(), Output::default());
            let handled = session.receive(Millis(1), &mut bytes, 0, pools, service, &mut out);
            assert_eq!(handled, Handled::All, "an echo lets nothing wait");
            match out.in_place() {
                Some(range) => sent.extend_from_slice(&bytes[range]),
                None => {
                    let (owned, from) = out.into_owned();
                    sent.extend_from_slice(owned.get(from..).unwrap_or_default());
                    pools.buffers.give(owned);
                }
            }
        }
        let phase = session.phase();
        session.finish(pools, service);
        (sent, phase)
    }

    /// Runs `case` with these pieces; returns the answer, or an error if it is wrong.
    fn check_pieces(&mut self, case: &Case, pieces: &[&[u8]]) -> Result<Vec<u8>, String> {
        let head = request(case.offer);
        let ping = wire::frame(FIN | PING, b"next");
        let probe = if case.ends { None } else { Some(&ping[..]) };
        let all = std::iter::once(&head[..]).chain(pieces.iter().copied()).chain(probe);
        let (sent, phase) = self.run(all);
        let Some((answer, len)) = Head::parse(&sent) else {
            return Err(format!("no head in {}", hex(&sent)));
        };
        let agreed = answer.get("Sec-WebSocket-Extensions").unwrap_or_default();
        let keeps_window = !agreed.contains("server_no_context_takeover");
        let got = deflate::plain(&sent[len..], keeps_window)?;
        let mut expected = case.expects.clone();
        if !case.ends {
            expected.extend(wire::unmasked(FIN | PONG, b"next"));
        }
        let ended = matches!(phase, Phase::Lingering | Phase::Finished);
        if got == expected && ended == case.ends {
            return Ok(sent);
        }
        let (expected, got) = (hex(&expected), hex(&got));
        Err(format!("  expected {expected}, ends: {}\n  got      {got}, {phase:?}", case.ends))
    }

    /// Runs `case` in one piece and then with all other splits, for which the answer must be the
    /// same.
    pub(crate) fn check(&mut self, case: &Case) -> Result<(), String> {
        let sends = &case.sends[..];
        let whole = self.check_pieces(case, &[sends]).map_err(|why| format!("  whole:\n{why}"))?;
        let mut check = |pieces: &[&[u8]], how: &dyn Fn() -> String| {
            let sent =
                self.check_pieces(case, pieces).map_err(|why| format!("{}:\n{why}", how()))?;
            if sent == whole { Ok(()) } else { Err(format!("{}: other bytes", how())) }
        };
        for cut in 1..sends.len() {
            let (left, right) = sends.split_at(cut);
            check(&[left, right], &|| format!("  cut after byte {cut} of {}", sends.len()))?;
        }
        if sends.len() <= BYTE_BY_BYTE {
            check(&sends.chunks(1).collect::<Vec<_>>(), &|| "  byte by byte".to_owned())?;
        }
        for seed in 0..RANDOM_WAYS {
            check(&random_pieces(sends, seed), &|| format!("  random pieces, seed {seed}"))?;
        }
        Ok(())
    }

    /// Runs a handshake in one piece and with all splits.
    pub(crate) fn check_request(&mut self, case: &RequestCase) -> Result<(), String> {
        let mut ways: Vec<Vec<&[u8]>> = vec![vec![&case.sends]];
        for cut in 1..case.early_from.unwrap_or(case.sends.len()) {
            let (left, right) = case.sends.split_at(cut);
            ways.push(vec![left, right]);
        }
        if case.early_from.is_none() {
            ways.push(case.sends.chunks(1).collect());
            ways.extend((0..RANDOM_WAYS).map(|seed| random_pieces(&case.sends, seed)));
        }
        for pieces in ways {
            let count = pieces.len();
            let first = pieces.first().map_or(0, |piece| piece.len());
            let (got, phase) = self.run(pieces);
            let right = if case.opens { phase == Phase::Open } else { phase == Phase::Lingering };
            if got != case.expects || !right {
                return Err(format!(
                    "  in {count} pieces, the first of {first} bytes: {phase:?} and {:?}\n\
                     \x20 instead of {:?}",
                    String::from_utf8_lossy(&got),
                    String::from_utf8_lossy(&case.expects)
                ));
            }
        }
        Ok(())
    }
}

/// `bytes` in many pieces, most of them short.
fn random_pieces(bytes: &[u8], seed: u64) -> Vec<&[u8]> {
    let mut random = fastrand::Rng::with_seed(seed);
    let longest = (bytes.len() / 8).clamp(1, 40 + bytes.len() / 200);
    let (mut pieces, mut rest) = (Vec::new(), bytes);
    while !rest.is_empty() {
        let (piece, behind) = rest.split_at(random.usize(1..=longest).min(rest.len()));
        pieces.push(piece);
        rest = behind;
    }
    pieces
}

/// The case of a close frame with each code, in one piece and byte by byte.
pub(crate) fn check_close_codes(core: &mut Core, cases: &[Case]) -> Result<(), String> {
    for case in cases {
        core.check_pieces(case, &[&case.sends]).map_err(|why| format!("{}\n{why}", case.name))?;
        let bytes: Vec<&[u8]> = case.sends.chunks(1).collect();
        core.check_pieces(case, &bytes).map_err(|why| format!("{}\n{why}", case.name))?;
    }
    Ok(())
}
