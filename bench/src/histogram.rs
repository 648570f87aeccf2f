//! Latencies, with an error of at most one part in 32, recorded from any thread.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

/// Bits of a value that are kept: 32 steps between a power of two and the next.
const PRECISION: u32 = 5;
const STEPS: usize = 1 << PRECISION;
const BUCKETS: usize = (64 - PRECISION as usize + 1) * STEPS;

/// Counts of values by size. Nanoseconds go in, and come out rounded up to their step.
pub(crate) struct Histogram {
    counts: Box<[AtomicU64]>,
}

impl Histogram {
    pub(crate) fn new() -> Self {
        Self {
            counts: (0..BUCKETS).map(|_| AtomicU64::new(0)).collect(),
        }
    }

    pub(crate) fn record(&self, value: Duration) {
        let nanoseconds = u64::try_from(value.as_nanos()).unwrap_or(u64::MAX);
        self.counts[bucket(nanoseconds)].fetch_add(1, Ordering::Relaxed);
    }

    /// The value that the given share of all values does not exceed; `None` when nothing was recorded.
    pub(crate) fn quantile(&self, share: f64) -> Option<Duration> {
        let counts: Vec<u64> = self
            .counts
            .iter()
            .map(|count| count.load(Ordering::Relaxed))
            .collect();
        let total: u64 = counts.iter().sum();
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "between 0 and the total"
        )]
        let wanted = ((total as f64 * share).ceil() as u64).max(1);
        let mut seen = 0;
        let found = counts.iter().position(|count| {
            seen += count;
            seen >= wanted
        })?;
        Some(Duration::from_nanos(upper_end(found)))
    }
}

/// Small values have a bucket of their own; larger ones share one with those that agree in their first bits.
fn bucket(value: u64) -> usize {
    let magnitude = (u64::BITS - value.leading_zeros()).saturating_sub(PRECISION + 1);
    let step = (value >> magnitude) as usize;
    magnitude as usize * STEPS + step
}

/// The largest value of a bucket.
fn upper_end(bucket: usize) -> u64 {
    let magnitude = (bucket / STEPS).saturating_sub(1);
    let step = (bucket - magnitude * STEPS) as u128;
    let end = ((step + 1) << magnitude) - 1;
    u64::try_from(end).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_value_is_in_a_bucket_that_is_at_most_a_step_wide() {
        for value in (0..5000).chain([1 << 20, (1 << 40) + 12_345, u64::MAX - 1, u64::MAX]) {
            let found = bucket(value);
            assert!(upper_end(found) >= value, "{value}");
            assert!(upper_end(found) - value <= value / STEPS as u64, "{value}");
            assert!(found == 0 || upper_end(found - 1) < value, "{value}");
        }
    }

    #[test]
    fn quantiles_are_those_of_what_was_recorded() {
        let histogram = Histogram::new();
        assert_eq!(histogram.quantile(0.5), None);
        for milliseconds in 1..=100 {
            histogram.record(Duration::from_millis(milliseconds));
        }
        for (share, expected) in [(0.5, 50.0), (0.99, 99.0), (1.0, 100.0)] {
            let found = histogram.quantile(share).unwrap().as_secs_f64() * 1000.0;
            assert!((expected..expected * 1.04).contains(&found), "{share}: {found}");
        }
    }
}
