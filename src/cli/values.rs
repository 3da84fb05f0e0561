//! Parsers for the values of flags. Their errors name a valid value.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

use corecast::protocol::http::{NetworkError, TrustedProxies};
use corecast::protocol::websocket::handshake::{Origin, OriginError};

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

/// Reads `https://example.org` or `*`, in the form that browsers send: another one would look as if
/// it were what is compared.
pub(super) fn parse_origin(text: &str) -> Result<Option<Origin>, String> {
    if text == "*" {
        return Ok(None);
    }
    let origin: Origin = text.parse().map_err(|error: OriginError| error.to_string())?;
    if origin.as_str() == text {
        return Ok(Some(origin));
    }
    let without_slash = text.strip_suffix('/').unwrap_or(text);
    let cause = if without_slash == origin.as_str() {
        "nothing behind the host"
    } else if without_slash.eq_ignore_ascii_case(origin.as_str()) {
        "scheme and host in lower case"
    } else if without_slash.contains('[') {
        "an IPv6 address in its shortest form"
    } else {
        "no default port"
    };
    Err(format!("browsers send {cause}; write `{origin}`"))
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

/// Reads `0,2-3`.
pub(super) fn parse_cores(text: &str) -> Result<Vec<usize>, String> {
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
    Ok(cores)
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
    fn origins_are_taken_as_browsers_send_them() {
        assert_eq!(parse_origin("*"), Ok(None));
        for text in ["https://a.example", "http://a:8080", "http://[::1]:1", "null", "https://a:80"]
        {
            assert_eq!(parse_origin(text).unwrap().unwrap().as_str(), text);
        }
        for (text, cause) in [
            ("https://a.example:443", "no default port; write `https://a.example`"),
            ("http://a.example:80/", "no default port; write `http://a.example`"),
            ("https://A.example", "in lower case; write `https://a.example`"),
            ("HTTPS://a.example/", "in lower case; write `https://a.example`"),
            ("https://a.example/", "nothing behind the host; write `https://a.example`"),
            ("http://[0::1]", "shortest form; write `http://[::1]`"),
            ("NULL", "in lower case; write `null`"),
            ("a.example", "no scheme; write `https://a.example`"),
            ("https://a.example/chat", "more than scheme, host and port"),
        ] {
            let error = parse_origin(text).unwrap_err();
            assert!(error.contains(cause), "{text}: {error}");
        }
    }

    #[test]
    fn core_lists() {
        assert_eq!(parse_cores("0,2-3"), Ok(vec![0, 2, 3]));
        assert_eq!(parse_cores("5"), Ok(vec![5]));
        for bad in ["", ",", "a", "3-1", "1-", "-1", "0,,1", "0-99999", "1.5", "0 1"] {
            assert!(parse_cores(bad).is_err(), "{bad}");
        }
        assert!(parse_cores("0,3-1").unwrap_err().contains("write `1-3`"));
    }
}
