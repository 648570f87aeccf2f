//! Networks that are not the public internet.
//!
//! From the IANA special-purpose registries, and the addresses where clouds serve their metadata.

use std::net::{Ipv4Addr, Ipv6Addr};

use ipnet::{Ipv4Net, Ipv6Net};

const fn v4(a: u8, b: u8, c: u8, d: u8, length: u8) -> Ipv4Net {
    Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), length)
}

/// The first four groups, which is as far as all but a few of these networks reach.
const fn v6(a: u16, b: u16, c: u16, d: u16, length: u8) -> Ipv6Net {
    Ipv6Net::new_assert(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0), length)
}

/// Closed to tenants whatever the policy: link-local, and metadata services outside of it.
pub(super) const ALWAYS_CLOSED_V4: [Ipv4Net; 3] = [
    v4(169, 254, 0, 0, 16),
    v4(100, 100, 100, 200, 32),
    v4(168, 63, 129, 16, 32),
];

/// As [`ALWAYS_CLOSED_V4`]; the second is the metadata service of EC2.
pub(super) const ALWAYS_CLOSED_V6: [Ipv6Net; 2] = [
    v6(0xfe80, 0, 0, 0, 10),
    Ipv6Net::new_assert(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254), 128),
];

/// Loopback and private networks, which an operator may open.
pub(super) const PRIVATE_V4: [Ipv4Net; 5] = [
    v4(10, 0, 0, 0, 8),
    v4(100, 64, 0, 0, 10),
    v4(127, 0, 0, 0, 8),
    v4(172, 16, 0, 0, 12),
    v4(192, 168, 0, 0, 16),
];

/// As [`PRIVATE_V4`].
pub(super) const PRIVATE_V6: [Ipv6Net; 2] = [
    Ipv6Net::new_assert(Ipv6Addr::LOCALHOST, 128),
    v6(0xfc00, 0, 0, 0, 7),
];

/// Neither public nor of use: "this network", protocol assignments, documentation, 6to4 relays, benchmarking,
/// multicast, reserved, broadcast.
pub(super) const SPECIAL_V4: [Ipv4Net; 9] = [
    v4(0, 0, 0, 0, 8),
    v4(192, 0, 0, 0, 24),
    v4(192, 0, 2, 0, 24),
    v4(192, 88, 99, 0, 24),
    v4(198, 18, 0, 0, 15),
    v4(198, 51, 100, 0, 24),
    v4(203, 0, 113, 0, 24),
    v4(224, 0, 0, 0, 4),
    v4(240, 0, 0, 0, 4),
];

/// As [`SPECIAL_V4`], and every form in which an IPv4 address can hide in an IPv6 one (compatible, translated,
/// NAT64, Teredo, 6to4). The mapped form is not here: it is unwrapped first.
pub(super) const SPECIAL_V6: [Ipv6Net; 13] = [
    v6(0, 0, 0, 0, 96),
    Ipv6Net::new_assert(Ipv6Addr::new(0, 0, 0, 0, 0xffff, 0, 0, 0), 96),
    v6(0x64, 0xff9b, 0, 0, 96),
    v6(0x64, 0xff9b, 1, 0, 48),
    v6(0x100, 0, 0, 0, 64),
    v6(0x100, 0, 0, 1, 64),
    v6(0x2001, 0, 0, 0, 23),
    v6(0x2001, 0xdb8, 0, 0, 32),
    v6(0x2002, 0, 0, 0, 16),
    v6(0x3fff, 0, 0, 0, 20),
    v6(0x5f00, 0, 0, 0, 16),
    v6(0xfec0, 0, 0, 0, 10),
    v6(0xff00, 0, 0, 0, 8),
];
