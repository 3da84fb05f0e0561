//! Parsers for the values of flags. Their errors name a valid value.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

use corecast::protocol::http::{NetworkError, TrustedProxies};
use corecast::protocol::websocket::handshake::{OriginError, Origins};

/// A list of core numbers. A type of its own, so that clap takes it as a single value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Cores(pub(super) Vec<usize>);

/// The addresses that one `--listen` means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Addresses(pub(super) Vec<SocketAddr>);

/// Reads `127.0.0.1:9001` or `[::1]:9001`; `9001` for this machine alone, `:9001` for all
/// interfaces, and `localhost:9001` for both addresses of that name.
pub(super) fn parse_addresses(text: &str) -> Result<Addresses, String> {
    parse_addresses_on(text, has_ipv6)
}

/// Whether this machine has IPv6, which kernels and containers may leave out.
fn has_ipv6() -> bool {
    UdpSocket::bind((Ipv6Addr::LOCALHOST, 0)).is_ok()
}

fn parse_addresses_on(text: &str, has_ipv6: impl Fn() -> bool) -> Result<Addresses, String> {
    let on = |ip: IpAddr, port| SocketAddr::new(ip, port);
    let this_machine = IpAddr::V4(Ipv4Addr::LOCALHOST);
    if let Ok(port) = text.parse() {
        return Ok(Addresses(vec![on(this_machine, port)]));
    }
    if let Some(port) = text.strip_prefix(':').and_then(|port| port.parse().ok()) {
        let v6 = IpAddr::V6(Ipv6Addr::UNSPECIFIED);
        let all = if has_ipv6() { v6 } else { IpAddr::V4(Ipv4Addr::UNSPECIFIED) };
        return Ok(Addresses(vec![on(all, port)]));
    }
    if let Some(port) = text.strip_prefix("localhost:").and_then(|port| port.parse().ok()) {
        let mut addresses = vec![on(this_machine, port)];
        // Two ports of the system's choice would not be those of one name.
        if port != 0 && has_ipv6() {
            addresses.push(on(Ipv6Addr::LOCALHOST.into(), port));
        }
        return Ok(Addresses(addresses));
    }
    parse_address(text).map(|address| Addresses(vec![address]))
}

fn parse_address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| match likely_address(text) {
        Some(Likely::Address(form)) => format!("write `{form}`"),
        Some(Likely::Port(port)) => {
            format!("write `{port}` for this machine alone, or `:{port}` for all interfaces")
        }
        Some(Likely::Name(port)) => format!(
            "no name but localhost is known; write an address, such as `127.0.0.1:{port}` or \
             `[::1]:{port}`"
        ),
        None => "it is not an address and a port, such as `127.0.0.1:9001` or `[::1]:9001`; the \
                 highest port is 65535"
            .to_owned(),
    })
}

/// The likely meaning of a value that is not valid.
enum Likely {
    Address(SocketAddr),
    /// A port without an address.
    Port(u16),
    /// A host name, and the port after it (9001 if there is none).
    Name(u16),
}

fn likely_address(text: &str) -> Option<Likely> {
    const PORT: u16 = 9001;
    let text = text.trim();
    let text = text.split_once("://").map_or(text, |(_, rest)| rest);
    let text = text.split_once('/').map_or(text, |(authority, _)| authority);
    if let Ok(address) = text.parse() {
        return Some(Likely::Address(address));
    }
    if let Ok(port) = text.parse() {
        return Some(Likely::Port(port));
    }
    // An IPv6 address without brackets, which may have a port behind it.
    if let Some((host, port)) = text.rsplit_once(':')
        && let (Ok(ip), Ok(port)) = (host.parse::<Ipv6Addr>(), port.parse())
        && port > 999
    {
        return Some(Likely::Address(SocketAddr::new(ip.into(), port)));
    }
    let address = text.trim_start_matches('[').trim_end_matches(']');
    if let Ok(ip) = address.parse::<IpAddr>() {
        return Some(Likely::Address(SocketAddr::new(ip, PORT)));
    }
    let (host, port) = text.rsplit_once(':').unwrap_or((text, "9001"));
    let port = port.parse().ok()?;
    match host {
        "" => Some(Likely::Port(port)),
        "*" => Some(Likely::Address(SocketAddr::new(Ipv6Addr::UNSPECIFIED.into(), port))),
        host if host.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') => None,
        host if host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte)) => {
            Some(Likely::Name(port))
        }
        _ => None,
    }
}

/// Reads `https://example.org` or `*`.
pub(super) fn parse_origin(text: &str) -> Result<Origins, OriginError> {
    Origins::list([text])
}

/// Reads `10.0.0.0/8`, `::1` or `unix`.
pub(super) fn parse_proxies(text: &str) -> Result<TrustedProxies, String> {
    let mut proxies = TrustedProxies::default();
    if text == "unix" {
        proxies.unix = true;
    } else {
        proxies.networks.push(text.parse().map_err(|error: NetworkError| error.to_string())?);
    }
    Ok(proxies)
}

/// Reads a number of seconds.
pub(super) fn parse_seconds(text: &str) -> Result<u64, String> {
    text.parse()
        .ok()
        .filter(|seconds| (1..=86_400).contains(seconds))
        .ok_or_else(|| "it is not a whole number of seconds from 1 to 86400".to_owned())
}

/// Reads seconds of leeway.
#[cfg(feature = "tokens")]
pub(super) fn parse_leeway(text: &str) -> Result<u64, String> {
    text.parse()
        .ok()
        .filter(|seconds| *seconds <= 3_600)
        .ok_or_else(|| "it is not a whole number of seconds from 0 to 3600".to_owned())
}

/// Reads the number of loops on a core.
pub(super) fn parse_loops(text: &str) -> Result<usize, String> {
    text.parse()
        .ok()
        .filter(|loops| (1..=16).contains(loops))
        .ok_or_else(|| "it is not a number from 1 to 16".to_owned())
}

/// Reads `0,2-3`.
pub(super) fn parse_cores(text: &str) -> Result<Cores, String> {
    const HIGHEST: usize = 4095;
    let bad = |part: &str| format!("`{part}` is not a core or a range of cores, such as `0,2-3`");
    let mut cores = Vec::new();
    for part in text.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (Ok(first), Ok(last)) = (first.parse::<usize>(), last.parse::<usize>()) else {
            return Err(bad(part));
        };
        if first > last {
            return Err(format!("`{part}` ends before it begins; write `{last}-{first}`"));
        }
        if last > HIGHEST {
            return Err(format!("`{part}` is beyond the highest core, {HIGHEST}"));
        }
        cores.extend(first..=last);
    }
    Ok(Cores(cores))
}

/// Reads `65536`, `64KiB`, `16 MiB`, `1GiB`.
pub(super) fn parse_size(text: &str) -> Result<usize, String> {
    let lower = text.trim().to_ascii_lowercase();
    let digits = lower.find(|c: char| !c.is_ascii_digit()).unwrap_or(lower.len());
    let (number, unit) = lower.split_at(digits);
    let example = || "it is not a size, such as `65536`, `64KiB` or `16MiB`".to_owned();
    let shift = match unit.trim() {
        _ if number.is_empty() => return Err(example()),
        "" | "b" => 0,
        "k" | "kib" => 10,
        "m" | "mib" => 20,
        "g" | "gib" => 30,
        "kb" | "mb" | "gb" => {
            let binary = unit.trim().trim_end_matches('b').to_ascii_uppercase();
            return Err(format!("units are powers of two; write `{number}{binary}iB`"));
        }
        _ => return Err(example()),
    };
    number
        .parse::<usize>()
        .ok()
        .and_then(|number| number.checked_mul(1 << shift))
        .filter(|size| (1..=1 << 32).contains(size))
        .ok_or_else(|| "it is not a size from 1 byte to 4GiB".to_owned())
}

/// Parses the largest size of a request head.
pub(super) fn parse_head_size(text: &str) -> Result<usize, String> {
    let size = parse_size(text)?;
    let is_sound = (1 << 10..=1 << 20).contains(&size);
    is_sound.then_some(size).ok_or_else(|| "it is not a size from 1KiB to 1MiB".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_forms_of_addresses() {
        for (text, with_ipv6, without) in [
            ("9001", &["127.0.0.1:9001"][..], &["127.0.0.1:9001"][..]),
            ("0", &["127.0.0.1:0"], &["127.0.0.1:0"]),
            (":9001", &["[::]:9001"], &["0.0.0.0:9001"]),
            ("localhost:9001", &["127.0.0.1:9001", "[::1]:9001"], &["127.0.0.1:9001"]),
            ("localhost:0", &["127.0.0.1:0"], &["127.0.0.1:0"]),
            ("[::1]:9001", &["[::1]:9001"], &["[::1]:9001"]),
            ("10.0.0.1:9001", &["10.0.0.1:9001"], &["10.0.0.1:9001"]),
        ] {
            let expected = |all: &[&str]| {
                Ok(Addresses(all.iter().map(|address| address.parse().unwrap()).collect()))
            };
            assert_eq!(parse_addresses_on(text, || true), expected(with_ipv6), "{text}");
            assert_eq!(parse_addresses_on(text, || false), expected(without), "{text}");
        }
    }

    #[test]
    fn addresses() {
        for text in ["127.0.0.1:9001", "[::1]:9001", "0.0.0.0:0", "[fe80::1%2]:1"] {
            assert_eq!(parse_address(text), Ok(text.parse().unwrap()));
        }
        let port = "write `80` for this machine alone, or `:80`";
        for (text, named) in [
            ("http://:80/", port),
            ("127.0.0.1", "write `127.0.0.1:9001`"),
            ("::1", "write `[::1]:9001`"),
            ("[::1]", "write `[::1]:9001`"),
            ("*:80", "write `[::]:80`"),
            (" 127.0.0.1:80", "write `127.0.0.1:80`"),
            ("ws://127.0.0.1:80/path", "write `127.0.0.1:80`"),
            (
                "myhost:80",
                "no name but localhost is known; write an address, such as `127.0.0.1:80`",
            ),
            ("localhost", "no name but localhost is known"),
            ("host.example", "no name but localhost is known"),
            ("", "write `9001`"),
            ("127.0.0.1:65536", "highest port is 65535"),
            ("65536", "highest port is 65535"),
            ("localhost:http", "not an address and a port"),
            ("127.0.0:80", "not an address and a port"),
            ("a b", "not an address and a port"),
        ] {
            let error = parse_addresses(text).unwrap_err();
            assert!(error.contains(named), "{text}: {named} is not in {error}");
        }
    }

    #[test]
    fn numbers() {
        assert_eq!((parse_seconds("1"), parse_seconds("86400")), (Ok(1), Ok(86_400)));
        assert_eq!((parse_loops("1"), parse_loops("16")), (Ok(1), Ok(16)));
        for bad in ["", "0", "-1", "30s", "1.5", "86401", "99999999999999999999"] {
            assert!(parse_seconds(bad).unwrap_err().contains("from 1 to 86400"), "{bad}");
            assert!(parse_loops(bad).unwrap_err().contains("from 1 to 16"), "{bad}");
        }
        assert!(parse_loops("17").is_err());
    }

    #[test]
    fn core_lists() {
        assert_eq!(parse_cores("0,2-3"), Ok(Cores(vec![0, 2, 3])));
        assert_eq!(parse_cores("5"), Ok(Cores(vec![5])));
        for bad in ["", ",", "a", "3-1", "1-", "-1", "0,,1", "0-99999", "1.5", "0 1"] {
            assert!(parse_cores(bad).is_err(), "{bad}");
        }
        assert!(parse_cores("0,3-1").unwrap_err().contains("write `1-3`"));
    }

    #[test]
    fn sizes() {
        for (text, size) in [
            ("1", 1),
            ("65536", 65_536),
            ("64KiB", 65_536),
            ("64k", 65_536),
            ("16 MiB", 16 << 20),
            ("4GiB", 4 << 30),
        ] {
            assert_eq!(parse_size(text), Ok(size), "{text}");
        }
        for bad in ["", "0", "-1", "x", "1.5MiB", "MiB", "5GiB", "99999999999999999999", "1TiB"] {
            assert!(parse_size(bad).is_err(), "{bad}");
        }
        for (text, form) in [("16mb", "`16MiB`"), ("64 kB", "`64KiB`"), ("1GB", "`1GiB`")] {
            assert!(parse_size(text).unwrap_err().contains(form), "{text}");
        }
    }

    #[test]
    fn a_head_has_a_size_of_its_own() {
        assert_eq!(parse_head_size("1KiB"), Ok(1 << 10));
        assert_eq!(parse_head_size("1MiB"), Ok(1 << 20));
        for bad in ["1023", "0", "1048577", "x"] {
            assert!(parse_head_size(bad).is_err(), "{bad}");
        }
    }
}
