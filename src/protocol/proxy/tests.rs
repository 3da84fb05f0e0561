//! Headers as the specification describes them, each cut at every byte, and what is refused.

use std::net::SocketAddr;

use super::{Header, MAX_HEADER, ProxyError, parse};

const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

fn tcp(source: &str, destination: &str) -> Header {
    let [source, destination] = [source, destination].map(|it| it.parse::<SocketAddr>().unwrap());
    Header::Tcp { source, destination }
}

/// A binary header with these two bytes behind the signature, and its real length.
fn binary(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
    let length = u16::try_from(rest.len()).unwrap().to_be_bytes();
    [SIGNATURE, &[command, family], &length, rest].concat()
}

const V4: &[u8] = &[192, 0, 2, 1, 198, 51, 100, 2, 0x12, 0x67, 0x23, 0x29];

fn v6() -> Vec<u8> {
    let address = |last: u8| [&[0x20, 0x01, 0x0d, 0xb8][..], &[0; 11], &[last]].concat();
    [&address(1)[..], &address(2), &[0x12, 0x67, 0x23, 0x29]].concat()
}

/// Headers that are accepted.
fn valid() -> Vec<(Vec<u8>, Header)> {
    let longest = format!("PROXY UNKNOWN {} {0} 65535 65535\r\n", ["ffff"; 8].join(":"));
    assert_eq!(longest.len(), 107, "as section 2.1 computes it");
    let extensions = [V4, &[0x01, 0, 2, b'h', b'2', 0x04, 0, 0, 0xee, 0, 1, 0]].concat();
    let filled = [V4, &[0x04, 0x0f, 0xe1], &[0; 0x0fe1]].concat();
    let v4 = tcp("192.0.2.1:4711", "198.51.100.2:9001");
    let v6_pair = tcp("[2001:db8::1]:4711", "[2001:db8::2]:9001");
    vec![
        (b"PROXY TCP4 192.0.2.1 198.51.100.2 4711 9001\r\n".to_vec(), v4),
        (
            b"PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n".to_vec(),
            tcp("255.255.255.255:65535", "255.255.255.255:65535"),
        ),
        (b"PROXY TCP4 0.0.0.0 0.0.0.0 0 0\r\n".to_vec(), tcp("0.0.0.0:0", "0.0.0.0:0")),
        (b"PROXY TCP6 2001:db8::1 2001:db8::2 4711 9001\r\n".to_vec(), v6_pair),
        (b"PROXY UNKNOWN\r\n".to_vec(), Header::Unknown),
        (b"PROXY UNKNOWN whatever is here\r\n".to_vec(), Header::Unknown),
        (longest.into_bytes(), Header::Unknown),
        (binary(0x21, 0x11, V4), v4),
        (binary(0x21, 0x11, &extensions), v4),
        (binary(0x21, 0x11, &filled), v4),
        (binary(0x21, 0x21, &v6()), v6_pair),
        (binary(0x21, 0x31, &[b'a'; 216]), Header::Unix),
        (binary(0x21, 0x00, &[]), Header::Unknown),
        (binary(0x21, 0x00, &[1, 2, 3]), Header::Unknown),
        (binary(0x20, 0x00, &[]), Header::Local),
        (binary(0x20, 0x11, V4), Header::Local),
        (binary(0x20, 0x11, &[]), Header::Local),
        (binary(0x20, 0x12, &[9; 5]), Header::Local),
    ]
}

#[test]
fn headers_are_read_and_leave_what_follows() {
    for (bytes, header) in valid() {
        let len = bytes.len();
        for behind in [&b""[..], b"G", b"GET / HTTP/1.1\r\n", b"PROXY UNKNOWN\r\n", &[0xff; 5000]] {
            let all = [&bytes[..], behind].concat();
            assert_eq!(parse(&all), Ok(Some((header, len))), "{}", bytes.escape_ascii());
        }
        for cut in 0..len {
            assert_eq!(parse(&bytes[..cut]), Ok(None), "{cut} of {}", bytes.escape_ascii());
        }
    }
}

/// What is refused, with the number of bytes after which that is known.
fn invalid() -> Vec<(Vec<u8>, ProxyError, usize)> {
    use ProxyError::{
        Addresses, Command, Extensions, Family, LineEnd, LineTooLong, NoHeader, Protocol, TooLong,
        TooShort, Version,
    };
    let line = |text: &str, error| {
        let bytes = format!("PROXY {text}\r\n").into_bytes();
        let known = bytes.len();
        (bytes, error, known)
    };
    let whole = |bytes: Vec<u8>, error, known| (bytes, error, known);
    let mut all = vec![
        whole(b"GET / HTTP/1.1\r\n\r\n".to_vec(), NoHeader, 1),
        whole(b"\x16\x03\x01".to_vec(), NoHeader, 1),
        whole(b"PROXY\tTCP4".to_vec(), NoHeader, 6),
        whole(b"POST / HTTP/1.1".to_vec(), NoHeader, 2),
        whole(b"proxy UNKNOWN\r\n".to_vec(), NoHeader, 1),
        whole(b"\r\nGET / HTTP/1.1".to_vec(), NoHeader, 3),
        whole(b"PROXY UNKNOWN\n".to_vec(), LineEnd, 14),
        whole(b"PROXY UNKNOWN\r\r\n".to_vec(), LineEnd, 15),
        whole(b"PROXY UNKNOWN \0\r\n".to_vec(), LineEnd, 15),
        whole(b"PROXY UNKNOWN \xc3\xa9\r\n".to_vec(), LineEnd, 15),
        whole([b"PROXY UNKNOWN ", &[b'x'; 92][..], b"\r\n"].concat(), LineTooLong, 107),
        whole([b"PROXY UNKNOWN ", &[b'x'; 200][..]].concat(), LineTooLong, 107),
        whole(binary(0x31, 0x11, V4), Version, 13),
        whole(binary(0x01, 0x11, V4), Version, 13),
        whole(binary(0x22, 0x11, V4), Command, 13),
        whole(binary(0x21, 0x10, V4), Family, 14),
        whole(binary(0x21, 0x12, V4), Family, 14),
        whole(binary(0x21, 0x13, V4), Family, 14),
        whole(binary(0x21, 0x41, V4), Family, 14),
        whole(binary(0x21, 0x01, V4), Family, 14),
        whole(binary(0x20, 0x40, V4), Family, 14),
        whole(binary(0x21, 0x11, &V4[..11]), TooShort, 16),
        whole(binary(0x21, 0x21, &v6()[..35]), TooShort, 16),
        whole(binary(0x21, 0x31, &[0; 215]), TooShort, 16),
        whole(binary(0x21, 0x11, &vec![0; MAX_HEADER - 15]), TooLong, 16),
        whole(binary(0x20, 0x00, &vec![0; 65_535]), TooLong, 16),
        whole(binary(0x21, 0x11, &[V4, &[1]].concat()), Extensions, 29),
        whole(binary(0x21, 0x11, &[V4, &[1, 0]].concat()), Extensions, 30),
        whole(binary(0x21, 0x11, &[V4, &[1, 0, 2, 7]].concat()), Extensions, 32),
    ];
    let protocols = ["TCP5 a", "tcp4 192.0.2.1 192.0.2.2 1 2", "UDP4 1.1.1.1 1.1.1.1 1 1", "", " "];
    all.extend(protocols.map(|text| line(text, Protocol)));
    let addresses = [
        "TCP4",
        "TCP4 ",
        "TCP4 192.0.2.1 192.0.2.2 1",
        "TCP4 192.0.2.1 192.0.2.2 1 ",
        "TCP4 192.0.2.1 192.0.2.2 1 2 ",
        "TCP4 192.0.2.1 192.0.2.2 1 2 3",
        "TCP4  192.0.2.1 192.0.2.2 1 2",
        "TCP4 192.0.2.1  192.0.2.2 1 2",
        "TCP4 192.0.2.256 192.0.2.2 1 2",
        "TCP4 192.0.2.01 192.0.2.2 1 2",
        "TCP4 192.0.2.1 192.0.2.2 65536 2",
        "TCP4 192.0.2.1 192.0.2.2 01 2",
        "TCP4 192.0.2.1 192.0.2.2 +1 2",
        "TCP4 192.0.2.1 192.0.2.2 -1 2",
        "TCP4 2001:db8::1 192.0.2.2 1 2",
        "TCP6 192.0.2.1 2001:db8::1 1 2",
        "TCP6 [2001:db8::1] 2001:db8::1 1 2",
        "TCP6 fe80::1%1 2001:db8::1 1 2",
    ];
    all.extend(addresses.map(|text| line(text, Addresses)));
    all
}

#[test]
fn anything_else_is_refused_as_soon_as_it_is_known() {
    for (bytes, error, known) in invalid() {
        for cut in 0..=bytes.len() {
            let expected = if cut < known { Ok(None) } else { Err(error) };
            assert_eq!(parse(&bytes[..cut]), expected, "{cut} of {}", bytes.escape_ascii());
        }
    }
}

/// A slow reader of version 1 that splits the whole line, for comparison.
fn oracle(line: &[u8]) -> Option<Header> {
    let text = std::str::from_utf8(line).ok()?.strip_suffix("\r\n")?;
    if text.len() > 105 || !text.is_ascii() || text.bytes().any(|byte| byte.is_ascii_control()) {
        return None;
    }
    let words: Vec<&str> = text.split(' ').collect();
    match words[..] {
        ["PROXY", "UNKNOWN", ..] => Some(Header::Unknown),
        ["PROXY", family @ ("TCP4" | "TCP6"), source, destination, from, to] => {
            let form = |ip: &str, port: &str| {
                let is_v4 = ip.contains('.') && !ip.contains(':');
                let text = if is_v4 { format!("{ip}:{port}") } else { format!("[{ip}]:{port}") };
                let address: SocketAddr = text.parse().ok()?;
                let is_canonical = address.port().to_string() == port && !ip.contains('%');
                (address.is_ipv4() == (family == "TCP4") && is_canonical).then_some(address)
            };
            let (source, destination) = (form(source, from)?, form(destination, to)?);
            Some(Header::Tcp { source, destination })
        }
        _ => None,
    }
}

#[test]
fn lines_with_changes_are_judged_as_by_the_oracle() {
    let mut random = fastrand::Rng::with_seed(11);
    let lines: Vec<Vec<u8>> =
        valid().into_iter().map(|(bytes, _)| bytes).filter(|bytes| bytes[0] == b'P').collect();
    let bytes = b" .:0123456789afTCPU\r\n\0%[+";
    let (mut accepted, mut refused) = (0, 0);
    for _ in 0..200_000 {
        let mut line = lines[random.usize(..lines.len())].clone();
        for _ in 0..random.usize(..3) {
            let at = random.usize(..line.len());
            match random.u8(..3) {
                0 => line[at] = bytes[random.usize(..bytes.len())],
                1 => drop(line.remove(at)),
                _ => line.insert(at, bytes[random.usize(..bytes.len())]),
            }
        }
        // Only the first line counts.
        let end = line.windows(2).position(|two| two == b"\r\n").map(|at| at + 2);
        let expected = end.and_then(|end| oracle(&line[..end]));
        match parse(&line) {
            Ok(Some((header, len))) => {
                assert_eq!((Some(header), Some(len)), (expected, end), "{}", line.escape_ascii());
                accepted += 1;
            }
            Ok(None) | Err(_) => {
                assert_eq!(expected, None, "{}", line.escape_ascii());
                refused += 1;
            }
        }
    }
    assert!(accepted > 10_000 && refused > 10_000, "{accepted} and {refused}");
}

#[test]
fn no_bytes_panic_and_an_error_stays() {
    let mut random = fastrand::Rng::with_seed(12);
    let all = valid();
    for _ in 0..100_000 {
        let mut bytes = all[random.usize(..all.len())].0.clone();
        bytes.truncate(300);
        for _ in 0..random.usize(..4) {
            let at = random.usize(..bytes.len());
            bytes[at] = random.u8(..);
        }
        let mut before = Ok(None);
        for cut in 0..=bytes.len() {
            let now = parse(&bytes[..cut]);
            assert!(before == Ok(None) || before == now, "{}", bytes.escape_ascii());
            before = now;
        }
    }
}
