//! The strictness suite: rules of RFC 6455 and RFC 7692 that Autobahn does not test, checked byte
//! by byte.
//!
//! A case is data: the input of the client, the exact answer, and whether the server then ends the
//! connection, with FIN and never with a reset. The same table runs over TCP and over TLS, in one
//! write and byte by byte, and sans-IO, split at every byte.

mod case;
mod cases_close;
mod cases_control;
mod cases_deflate;
mod cases_fragments;
mod cases_frames;
mod cases_handshake;
mod cases_http;
mod cases_utf8;
mod request;
#[cfg(feature = "tls")]
mod sealed;
mod split;
mod tcp;
#[cfg(feature = "tls")]
mod tls;

use crate::support::server::Server;
use case::{Case, MAX_MESSAGE, Table};
use request::RequestCase;
use split::Core;
use tcp::{CONNECTIONS, Pace, TcpPeer};

/// The number of threads for cases that do not wait.
const CORES: usize = 2;
/// The number of fragments that `corecast serve` allows in a message.
const MAX_FRAGMENTS: usize = 131_072;
/// The number of fragments allowed where each case runs thousands of times.
const FEW_FRAGMENTS: usize = 200;

/// All cases after the handshake, for a server that allows `max_fragments`.
fn table(max_fragments: usize) -> Vec<Case> {
    let groups = [
        cases_frames::cases(),
        cases_fragments::cases(max_fragments),
        cases_control::cases(),
        cases_close::cases(),
        cases_utf8::cases(),
        cases_deflate::cases(),
    ];
    groups.concat()
}

/// All opening handshakes.
fn requests() -> Vec<RequestCase> {
    [cases_handshake::cases(), cases_http::cases(), cases_deflate::requests()].concat()
}

/// A server with the limits of the table.
fn server() -> Server {
    Server::start(&["--max-message", &MAX_MESSAGE.to_string()])
}

fn case_name(case: &Case) -> String {
    format!("{} ({})", case.name, case.section)
}

fn request_name(case: &RequestCase) -> String {
    format!("{} ({})", case.name, case.section)
}

fn over_tcp(pace: Pace) {
    let server = server();
    let mut cases = table(MAX_FRAGMENTS);
    if pace == Pace::ByteByByte {
        // The server closes TCP as soon as it has answered a close frame (section 7.1.1), and the
        // kernel answers later input with a reset. In one write, that input is received before.
        cases.retain(|case| !case.name.ends_with("after close, ignored"));
    }
    tcp::run_all(
        CONNECTIONS,
        &cases,
        case_name,
        || (),
        |(), case| {
            let client = TcpPeer::connect(server.addr(), pace);
            tcp::check(client, case, pace == Pace::ByteByByte)
        },
    );
}

fn requests_over_tcp(pace: Pace) {
    let server = server();
    // Written byte by byte, those bytes arrive after the answer, so they are not early.
    let at_once = pace == Pace::AtOnce;
    let cases: Vec<RequestCase> =
        requests().into_iter().filter(|case| at_once || case.early_from.is_none()).collect();
    tcp::run_all(
        CONNECTIONS,
        &cases,
        request_name,
        || (),
        |(), case| tcp::check_request(TcpPeer::connect(server.addr(), pace), case),
    );
}

/// All cases over TLS, handshakes as well. The server waits for the client's end of TLS before it
/// closes TCP, so it never resets a client that speaks on.
#[cfg(feature = "tls")]
fn over_tls(name: &str, pace: Pace, cuts_records: bool) {
    let server = tls::TlsServer::start(name);
    let connect = || server.connect(pace, cuts_records);
    let check = |(): &mut (), case: &Case| tcp::check(connect(), case, false);
    tcp::run_all(CONNECTIONS, &table(MAX_FRAGMENTS), case_name, || (), check);
    let at_once = pace == Pace::AtOnce;
    let cases: Vec<RequestCase> =
        requests().into_iter().filter(|case| at_once || case.early_from.is_none()).collect();
    let check = |(): &mut (), case: &RequestCase| tcp::check_request(connect(), case);
    tcp::run_all(CONNECTIONS, &cases, request_name, || (), check);
}

#[test]
fn the_tables_have_their_size_and_names_are_unique() {
    let (table, requests) = (table(FEW_FRAGMENTS), requests());
    println!("{} cases after the handshake, {} handshakes", table.len(), requests.len());
    assert!(table.len() >= 180 && requests.len() >= 60);
    let mut names: Vec<&str> = table.iter().map(|case| case.name.as_str()).collect();
    names.extend(requests.iter().map(|case| case.name.as_str()));
    names.sort_unstable();
    let twice: Vec<&str> =
        names.windows(2).filter(|pair| pair[0] == pair[1]).map(|pair| pair[0]).collect();
    assert!(twice.is_empty(), "names used twice: {twice:?}");
}

#[test]
fn over_tcp_at_once() {
    over_tcp(Pace::AtOnce);
}

#[test]
fn over_tcp_byte_by_byte() {
    over_tcp(Pace::ByteByByte);
}

#[test]
fn handshakes_over_tcp_at_once() {
    requests_over_tcp(Pace::AtOnce);
}

#[test]
fn handshakes_over_tcp_byte_by_byte() {
    requests_over_tcp(Pace::ByteByByte);
}

#[cfg(feature = "tls")]
#[test]
fn over_tls_at_once() {
    over_tls("strict-at-once", Pace::AtOnce, false);
}

#[cfg(feature = "tls")]
#[test]
fn over_tls_with_a_record_for_each_byte() {
    over_tls("strict-records", Pace::ByteByByte, false);
}

#[cfg(feature = "tls")]
#[test]
fn over_tls_with_records_that_come_byte_by_byte() {
    over_tls("strict-bytes", Pace::AtOnce, true);
}

fn core() -> Core {
    Core::new(split::config(FEW_FRAGMENTS))
}

#[test]
fn sans_io_split_at_every_byte() {
    tcp::run_all(CORES, &table(FEW_FRAGMENTS), case_name, core, Core::check);
}

#[test]
fn handshakes_sans_io_split_at_every_byte() {
    tcp::run_all(CORES, &requests(), request_name, core, Core::check_request);
}

#[test]
fn sans_io_all_65536_close_codes() {
    let mut table = Table::new("RFC 6455 section 7.4");
    for code in 0..=u16::MAX {
        cases_close::code_case(&mut table, code, "");
    }
    let cases = table.into_cases();
    assert_eq!(cases.len(), 65_536);
    split::check_close_codes(&mut core(), &cases).unwrap();
}

#[cfg(feature = "tls")]
#[test]
fn sans_io_over_tls_cut_at_every_byte() {
    let make = || sealed::Sealed::new(FEW_FRAGMENTS);
    tcp::run_all(CORES, &table(FEW_FRAGMENTS), case_name, make, sealed::Sealed::check);
    tcp::run_all(CORES, &requests(), request_name, make, sealed::Sealed::check_request);
}
