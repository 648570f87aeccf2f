//! How many requests an account, and a key, may make: a bucket each that holds one second's worth and fills at the
//! operator's rate. Buckets are this process's own, so several nodes together let through as many times as much.

use std::{
    hash::Hash,
    num::NonZeroU32,
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};
use governor::{
    Quota, RateLimiter,
    clock::{Clock, MonotonicClock},
    middleware::StateInformationMiddleware,
    state::keyed::HashMapStateStore,
};
use hubbub_core::{
    Caller, Error, ErrorCode, Result,
    sid::{AccountSid, ApiKeySid},
};

const LIMIT: HeaderName = HeaderName::from_static("x-ratelimit-limit");
const REMAINING: HeaderName = HeaderName::from_static("x-ratelimit-remaining");
const RESET: HeaderName = HeaderName::from_static("x-ratelimit-reset");
/// After so many requests the buckets that are full again are forgotten: a full bucket is as good as none.
const TIDY_AFTER: u32 = 10_000;

/// Requests a second.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate(Quota);

impl Rate {
    /// A rate of 0.001 to 1,000,000 requests a second, with a burst of one second, at least one request.
    #[must_use]
    pub fn per_second(rate: f64) -> Option<Self> {
        if !(0.001..=1_000_000.0).contains(&rate) {
            return None;
        }
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "checked to be between 0.001 and 1,000,000"
        )]
        let burst = NonZeroU32::new(rate as u32).unwrap_or(NonZeroU32::MIN);
        let quota = Quota::with_period(Duration::from_secs_f64(1.0 / rate))?;
        Some(Self(quota.allow_burst(burst)))
    }
}

/// What the operator allows; `None` is no limit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RateLimits {
    /// For each account, with its keys and users together.
    pub account: Option<Rate>,
    /// For each API key, with the tokens that it signed.
    pub key: Option<Rate>,
}

/// The buckets of this process.
pub(crate) struct Buckets {
    accounts: Option<Shelf<AccountSid>>,
    keys: Option<Shelf<ApiKeySid>>,
}

/// How a request stands to its limits: to the tighter one, when there are two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Allowance {
    limit: u32,
    remaining: u32,
    /// Seconds until the bucket is full.
    reset: u64,
    /// Seconds until a request passes, when this one does not.
    retry_after: Option<u64>,
}

impl Buckets {
    pub(crate) fn new(limits: RateLimits) -> Self {
        Self {
            accounts: limits.account.map(Shelf::new),
            keys: limits.key.map(Shelf::new),
        }
    }

    /// Takes a request out of its buckets: of its key first, so that a key that is over its limit does not use up its
    /// account's. `None` when there is no limit.
    pub(crate) fn take(&self, caller: &Caller) -> Option<Allowance> {
        let key = match (&self.keys, caller.key()) {
            (Some(shelf), Some(key)) => Some(shelf.take(&key.sid)),
            _ => None,
        };
        if key.is_some_and(|key| key.retry_after.is_some()) {
            return key;
        }
        let account = self.accounts.as_ref().map(|shelf| shelf.take(&caller.account()));
        match (account, key) {
            (Some(account), Some(key))
                if account.retry_after.is_none() && key.remaining < account.remaining =>
            {
                Some(key)
            }
            (account, key) => account.or(key),
        }
    }
}

impl Allowance {
    /// Passes when the request may go on.
    ///
    /// # Errors
    /// 20429.
    pub(crate) fn check(&self) -> Result<()> {
        match self.retry_after {
            None => Ok(()),
            Some(seconds) => Err(Error::with(
                ErrorCode::TooManyRequests,
                format!(
                    "Too many requests: a burst of {} is allowed here; try again in {seconds} s",
                    self.limit
                ),
            )),
        }
    }

    /// Says it in the answer.
    pub(crate) fn tell(&self, headers: &mut HeaderMap) {
        headers.insert(LIMIT, self.limit.into());
        headers.insert(REMAINING, self.remaining.into());
        headers.insert(RESET, self.reset.into());
        if let Some(seconds) = self.retry_after {
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
    }
}

type Limiter<K> = RateLimiter<K, HashMapStateStore<K>, MonotonicClock, StateInformationMiddleware>;

/// The buckets of one kind.
pub(crate) struct Shelf<K: Hash + Eq + Clone> {
    limiter: Limiter<K>,
    quota: Quota,
    taken: AtomicU32,
}

impl<K: Hash + Eq + Clone> Shelf<K> {
    pub(crate) fn new(Rate(quota): Rate) -> Self {
        Self {
            limiter: RateLimiter::hashmap_with_clock(quota, MonotonicClock)
                .with_middleware::<StateInformationMiddleware>(),
            quota,
            taken: AtomicU32::new(0),
        }
    }

    pub(crate) fn take(&self, key: &K) -> Allowance {
        if self.taken.fetch_add(1, Ordering::Relaxed) % TIDY_AFTER == TIDY_AFTER - 1 {
            self.limiter.retain_recent();
            self.limiter.shrink_to_fit();
        }
        let limit = self.quota.burst_size().get();
        match self.limiter.check_key(key) {
            Ok(state) => {
                let remaining = state.remaining_burst_capacity();
                let missing = limit.saturating_sub(remaining);
                Allowance {
                    limit,
                    remaining,
                    reset: whole_seconds(self.quota.replenish_interval() * missing),
                    retry_after: None,
                }
            }
            Err(until) => {
                let wait = until.wait_time_from(MonotonicClock.now());
                Allowance {
                    limit,
                    remaining: 0,
                    reset: whole_seconds(wait + self.quota.replenish_interval() * (limit - 1)),
                    retry_after: Some(whole_seconds(wait)),
                }
            }
        }
    }
}

/// Rounded up, and never zero: a client that waits so long has waited long enough.
fn whole_seconds(duration: Duration) -> u64 {
    let seconds = duration.as_secs() + u64::from(duration.subsec_nanos() > 0);
    seconds.max(1)
}

#[cfg(test)]
mod tests {
    use hubbub_core::ctx::KeyScope;

    use super::*;

    fn caller(account: AccountSid, key: Option<ApiKeySid>) -> Caller {
        Caller::Account {
            account,
            key: key.map(|sid| KeyScope {
                sid,
                service: None,
                read_only: false,
            }),
            webhooks: false,
            request: None,
        }
    }

    #[test]
    fn rates_are_whole_or_decimal_and_have_bounds() {
        for (rate, burst) in [(0.5, 1), (1.0, 1), (2.5, 2), (100.0, 100)] {
            assert_eq!(
                Rate::per_second(rate).unwrap().0.burst_size().get(),
                burst,
                "{rate}"
            );
        }
        for wrong in [0.0, -1.0, f64::NAN, f64::INFINITY, 1e9] {
            assert_eq!(Rate::per_second(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_burst_of_one_second_passes_and_the_next_request_waits() {
        let buckets = Buckets::new(RateLimits {
            account: Rate::per_second(3.0),
            key: None,
        });
        let account = AccountSid::generate();
        let remaining: Vec<u32> = (0..3)
            .map(|_| buckets.take(&caller(account, None)).unwrap())
            .map(|allowance| {
                allowance.check().unwrap();
                allowance.remaining
            })
            .collect();
        assert_eq!(remaining, [2, 1, 0]);
        let refused = buckets.take(&caller(account, None)).unwrap();
        assert_eq!(
            refused,
            Allowance {
                limit: 3,
                remaining: 0,
                reset: 1,
                retry_after: Some(1)
            }
        );
        assert_eq!(refused.check().unwrap_err().code().code(), 20429);
        assert!(
            buckets
                .take(&caller(AccountSid::generate(), None))
                .unwrap()
                .check()
                .is_ok()
        );
    }

    #[test]
    fn a_key_over_its_limit_leaves_its_accounts_alone() {
        let buckets = Buckets::new(RateLimits {
            account: Rate::per_second(3.0),
            key: Rate::per_second(0.001),
        });
        let (account, key) = (AccountSid::generate(), ApiKeySid::generate());
        let with_key = caller(account, Some(key));
        assert_eq!(buckets.take(&with_key).unwrap().limit, 1, "the tighter one");
        for _ in 0..5 {
            let refused = buckets.take(&with_key).unwrap();
            assert!(refused.retry_after.is_some_and(|seconds| seconds > 900));
        }
        let left = buckets.take(&caller(account, None)).unwrap();
        assert_eq!((left.limit, left.remaining), (3, 1));
    }

    #[test]
    fn nothing_is_counted_without_a_limit() {
        let buckets = Buckets::new(RateLimits::default());
        assert_eq!(buckets.take(&caller(AccountSid::generate(), None)), None);
    }
}
