//! Networks of IP addresses, as in `10.0.0.0/8`.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

/// A network of IP addresses (RFC 4632, RFC 4291 section 2.3). IPv4 addresses in IPv6 form count as
/// IPv4.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Network {
    address: IpAddr,
    prefix: u32,
}

/// A text that names no network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NetworkError {
    /// It is not an address, perhaps with `/` and the length of a prefix behind it.
    Form,
    /// The prefix is longer than an address.
    Prefix,
    /// Bits behind the prefix are set. Holds the network that has this prefix.
    HostBits(Network),
}

impl fmt::Display for NetworkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Form => f.write_str("it is not a network, such as `10.0.0.0/8` or `fd00::/8`"),
            Self::Prefix => f.write_str("the prefix has at most 32 bits in IPv4 and 128 in IPv6"),
            Self::HostBits(network) => {
                write!(f, "bits behind the prefix are set; write `{network}`")
            }
        }
    }
}

impl std::error::Error for NetworkError {}

impl Network {
    /// Whether the address is one of the network.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        address.is_ipv4() == self.address.is_ipv4() && masked(address, self.prefix) == self.address
    }
}

/// The address with zeros behind the prefix.
fn masked(address: IpAddr, prefix: u32) -> IpAddr {
    match address {
        IpAddr::V4(ip) => {
            let mask = u32::MAX.checked_shl(32_u32.saturating_sub(prefix)).unwrap_or(0);
            IpAddr::V4((ip.to_bits() & mask).into())
        }
        IpAddr::V6(ip) => {
            let mask = u128::MAX.checked_shl(128_u32.saturating_sub(prefix)).unwrap_or(0);
            IpAddr::V6((ip.to_bits() & mask).into())
        }
    }
}

impl FromStr for Network {
    type Err = NetworkError;

    /// Reads `10.0.0.0/8`, `fd00::/8`, or an address, which is a network of its own.
    fn from_str(text: &str) -> Result<Self, NetworkError> {
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| NetworkError::Form)?;
        let longest = if address.is_ipv4() { 32 } else { 128 };
        let prefix = match prefix {
            None => longest,
            Some(digits) if (1..=3).contains(&digits.len()) => {
                let is_number = digits.bytes().all(|byte| byte.is_ascii_digit());
                let number = digits.parse().ok().filter(|_| is_number);
                number.ok_or(NetworkError::Form)?
            }
            Some(_) => return Err(NetworkError::Form),
        };
        if prefix > longest {
            return Err(NetworkError::Prefix);
        }
        let network = Self { address: masked(address, prefix), prefix };
        if network.address != address {
            return Err(NetworkError::HostBits(network));
        }
        // An IPv4 network in IPv6 form would contain nothing, because addresses are canonical.
        match (address.to_canonical(), prefix.checked_sub(96)) {
            (ip @ IpAddr::V4(_), Some(prefix)) if address.is_ipv6() => {
                Ok(Self { address: ip, prefix })
            }
            _ => Ok(network),
        }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_belong_to_networks() {
        for (network, inside, outside) in [
            ("10.0.0.0/8", &["10.0.0.0", "10.255.255.255", "::ffff:10.1.2.3"][..], "11.0.0.0"),
            ("192.0.2.1", &["192.0.2.1"], "192.0.2.0"),
            ("192.0.2.0/31", &["192.0.2.0", "192.0.2.1"], "192.0.2.2"),
            ("0.0.0.0/0", &["0.0.0.0", "255.255.255.255"], "::1"),
            ("::/0", &["::", "2001:db8::1"], "127.0.0.1"),
            ("fd00::/8", &["fd00::1", "fdff:ffff::"], "fe00::"),
            ("2001:db8::1/128", &["2001:db8::1"], "2001:db8::2"),
            ("::ffff:10.0.0.0/104", &["10.1.2.3"], "11.0.0.0"),
        ] {
            let parsed: Network = network.parse().unwrap();
            for address in inside {
                assert!(parsed.contains(address.parse().unwrap()), "{address} in {network}");
            }
            assert!(!parsed.contains(outside.parse().unwrap()), "{outside} in {network}");
        }
    }

    #[test]
    fn what_is_no_network_is_refused() {
        for (text, named) in [
            ("", "`10.0.0.0/8`"),
            ("10.0.0.0/", "`10.0.0.0/8`"),
            ("10.0.0.0/+8", "`10.0.0.0/8`"),
            ("10.0.0.0/0008", "`10.0.0.0/8`"),
            ("10.0.0/8", "`10.0.0.0/8`"),
            ("[::1]/128", "`10.0.0.0/8`"),
            ("10.0.0.0/33", "at most 32"),
            ("::/129", "128 in IPv6"),
            ("10.1.2.3/8", "write `10.0.0.0/8`"),
            ("fd00::1/64", "write `fd00::/64`"),
        ] {
            let error = text.parse::<Network>().unwrap_err().to_string();
            assert!(error.contains(named), "{text}: {named} is not in {error}");
        }
    }
}
