//! What counts as one address.

use std::net::IpAddr;

/// What counts as one address: all of an IPv4 address, the first 64 bits of an IPv6 address, which
/// is what one client is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(in crate::gateway) enum Prefix {
    V4(u32),
    V6(u64),
}

impl Prefix {
    pub(in crate::gateway) fn of(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => Self::V4(address.to_bits()),
            IpAddr::V6(address) => {
                let [a, b, c, d, ..] = address.segments();
                let bits = [a, b, c, d].map(u64::from);
                Self::V6(bits.iter().fold(0, |all, part| all << 16 | part))
            }
        }
    }
}
