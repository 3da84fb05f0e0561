//! Parser for the value of `--listen`. Its errors name a valid value.

use std::net::{Ipv4Addr, SocketAddr};

use corecast::server::Listen;

use super::values::parse_addresses;

/// What one `--listen` means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Listens {
    /// As it was written.
    pub(super) text: String,
    pub(super) places: Vec<Listen>,
}

/// Where the command listens unless it is told.
pub(super) fn default_listen() -> Listens {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 9001));
    Listens { text: address.to_string(), places: vec![Listen::tcp(address)] }
}

/// Reads `unix:/path` or `unix:/path,mode=0660`, `systemd` or `systemd:name`, and the forms of
/// addresses; each with `,proxy` behind it for the PROXY protocol.
pub(super) fn parse_listen(text: &str) -> Result<Listens, String> {
    let (place, is_proxied) = match text.strip_suffix(",proxy") {
        Some(place) => (place, true),
        None => (text, false),
    };
    let mut places = parse_place(place)?;
    if is_proxied {
        places = places.into_iter().map(Listen::proxy_protocol).collect();
    }
    Ok(Listens { text: text.to_owned(), places })
}

fn parse_place(text: &str) -> Result<Vec<Listen>, String> {
    if let Some(rest) = text.strip_prefix("unix:") {
        return Ok(vec![parse_unix(rest)?]);
    }
    match text.strip_prefix("systemd").map(|rest| rest.strip_prefix(':').ok_or(rest)) {
        Some(Err("")) => Ok(vec![Listen::systemd(None)]),
        Some(Ok(name)) if !name.is_empty() => Ok(vec![Listen::systemd(Some(name))]),
        Some(Ok(_)) => Err("there is no name; write `systemd` for all passed sockets".to_owned()),
        _ => match (parse_addresses(text), text.rsplit_once(',')) {
            (Ok(addresses), _) => Ok(addresses.0.into_iter().map(Listen::tcp).collect()),
            (Err(_), Some((place, option))) if parse_addresses(place).is_ok() => match option {
                "proxy" => Err("write `proxy` once".to_owned()),
                "" => Err("nothing follows the comma; `proxy` may".to_owned()),
                _ if parse_addresses(option).is_ok() => Err(format!(
                    "`{option}` is another address: give the flag again, in a variable write a \
                     space between them, and in a file write a list"
                )),
                _ => Err(format!("`{option}` is not known behind an address; only `proxy` is")),
            },
            (Err(error), _) => Err(error),
        },
    }
}

fn parse_unix(text: &str) -> Result<Listen, String> {
    let (path, mode) = match text.rsplit_once(',') {
        None => (text, None),
        Some((path, option)) => (path, Some(parse_mode(option)?)),
    };
    if path.ends_with(",proxy") {
        return Err("write `proxy` as the last: `unix:/run/corecast.sock,mode=0660,proxy`".into());
    }
    // `unix://` is how some programs write it, so two slashes may begin the path.
    if path.is_empty() || path.ends_with('/') {
        return Err("there is no path; write `unix:/run/corecast.sock`".to_owned());
    }
    if path.starts_with('@') {
        return Err("names of the abstract namespace are not supported; write a path".to_owned());
    }
    let listen = Listen::unix(path);
    Ok(mode.map_or(listen.clone(), |mode| listen.mode(mode)))
}

/// Reads `mode=0660`.
fn parse_mode(option: &str) -> Result<u32, String> {
    let Some(digits) = option.strip_prefix("mode=") else {
        return Err(format!(
            "`{option}` is not known behind a path; only `mode=0660` is, and `proxy` as the last"
        ));
    };
    let is_octal =
        (3..=4).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit());
    u32::from_str_radix(digits, 8)
        .ok()
        .filter(|mode| is_octal && *mode <= 0o777)
        .ok_or_else(|| format!("`{digits}` are no permissions in octal, such as `0660`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(text: &str) -> Result<Vec<Listen>, String> {
        parse_listen(text).map(|listens| listens.places)
    }

    #[test]
    fn passed_sockets() {
        let one = |name| Ok(vec![Listen::systemd(name)]);
        assert_eq!(places("systemd"), one(None));
        assert_eq!(places("systemd:web"), one(Some("web")));
        for (text, named) in [("systemd:", "write `systemd`"), ("systemd1", "no name but")] {
            let error = parse_listen(text).unwrap_err();
            assert!(error.contains(named), "{text}: {named} is not in {error}");
        }
    }

    #[test]
    fn the_proxy_protocol_is_an_option_of_every_place() {
        for place in [
            "127.0.0.1:9001",
            "9001",
            "[::1]:9001",
            "localhost:9001",
            "unix:/a",
            "unix:/a,mode=0660",
            "systemd",
            "systemd:web",
        ] {
            let plain = places(place).unwrap();
            let proxied: Vec<_> = plain.iter().cloned().map(Listen::proxy_protocol).collect();
            assert_ne!(plain, proxied);
            assert_eq!(places(&format!("{place},proxy")), Ok(proxied), "{place}");
        }
        for (text, named) in [
            ("127.0.0.1:9001,proxi", "only `proxy` is"),
            ("9001,mode=0660", "only `proxy` is"),
            ("9001,proxy,proxy", "write `proxy` once"),
            ("9001,9002", "give the flag again"),
            ("9001,", "nothing follows the comma"),
            (",proxy", "`9001`"),
            ("systemd:,proxy", "write `systemd`"),
            ("unix:,proxy", "`unix:/run/corecast.sock`"),
        ] {
            let error = parse_listen(text).unwrap_err();
            assert!(error.contains(named), "{text}: {named} is not in {error}");
        }
    }

    #[test]
    fn unix_sockets() {
        let one = |listen| Ok(vec![listen]);
        assert_eq!(places("unix:/run/a.sock"), one(Listen::unix("/run/a.sock")));
        assert_eq!(places("unix:a"), one(Listen::unix("a")));
        for (mode, bits) in [("0660", 0o660), ("777", 0o777), ("0000", 0)] {
            let text = format!("unix:/a,b,mode={mode}");
            assert_eq!(places(&text), one(Listen::unix("/a,b").mode(bits)), "{text}");
        }
        for (text, named) in [
            ("unix:", "`unix:/run/corecast.sock`"),
            ("unix:/run/", "`unix:/run/corecast.sock`"),
            ("unix:,mode=0660", "`unix:/run/corecast.sock`"),
            ("unix:@name", "abstract"),
            ("unix:/a,mode=0o660", "`0660`"),
            ("unix:/a,mode=888", "`0660`"),
            ("unix:/a,mode=1777", "`0660`"),
            ("unix:/a,mode=+77", "`0660`"),
            ("unix:/a,mode=", "`0660`"),
            ("unix:/a,user=x", "only `mode=0660` is"),
            ("unix:/a,proxy,mode=0660", "`proxy` as the last"),
        ] {
            let error = parse_listen(text).unwrap_err();
            assert!(error.contains(named), "{text}: {named} is not in {error}");
        }
    }
}
