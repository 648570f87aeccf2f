//! Topics of the bus: a channel's events, and a user's own. Their hashes must agree between processes and versions.

use crate::{
    broker::BUCKETS,
    sid::{ChannelSid, OperatorPoolSid, ServiceSid},
};

/// What a gateway subscribes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Topic(pub u64);

impl Topic {
    /// The events of a channel.
    #[must_use]
    pub fn channel(service: ServiceSid, channel: ChannelSid) -> Self {
        Self(hash(hash(SEED, service.0.as_bytes()), channel.0.as_bytes()))
    }

    /// What concerns one user wherever connected: joins, leaves, invitations.
    #[must_use]
    pub fn user(service: ServiceSid, identity: &str) -> Self {
        Self(hash(hash(!SEED, service.0.as_bytes()), identity.as_bytes()))
    }

    /// The events of the channels that are attached to a pool of operators.
    #[must_use]
    pub fn pool(service: ServiceSid, pool: OperatorPoolSid) -> Self {
        Self(hash(hash(SEED ^ POOLS, service.0.as_bytes()), pool.0.as_bytes()))
    }

    /// What all operators of a service hear.
    #[must_use]
    pub fn operators(service: ServiceSid) -> Self {
        Self(hash(SEED ^ OPERATORS, service.0.as_bytes()))
    }

    /// The routing bucket.
    #[must_use]
    pub fn bucket(self) -> u8 {
        u8::try_from(self.0 % BUCKETS as u64).unwrap_or(0)
    }
}

const SEED: u64 = 0xcbf2_9ce4_8422_2325;
/// Tells pools' topics from channels'.
const POOLS: u64 = 0x5bd1_e995;
/// Tells services' topics from all others.
const OPERATORS: u64 = 0x9e37_79b9;

/// FNV-1a, then a finaliser, since FNV's low bits alone are poor.
fn hash(seed: u64, bytes: &[u8]) -> u64 {
    let mut state = bytes.iter().fold(seed, |state, byte| {
        (state ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    });
    state = (state ^ (state >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    state = (state ^ (state >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    state ^ (state >> 33)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topics_spread_over_the_buckets() {
        let service = ServiceSid::generate();
        let mut seen = [0; BUCKETS];
        for _ in 0..BUCKETS * 20 {
            seen[usize::from(Topic::channel(service, ChannelSid::generate()).bucket())] += 1;
        }
        assert!(seen.iter().all(|count| (1..=60).contains(count)), "{seen:?}");
    }
}
