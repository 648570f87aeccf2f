//! What an operator allows clients: so many sockets at a time, so many verbs a second.
//!
//! Sockets are counted by each process for itself. The limits are there to protect a process, whose memory sockets
//! take; an exact count over all nodes would be a write to a shared place with every connect, and a node that dies
//! would leave its share behind. With several gateways a user has room at each of them.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use hubbub_core::{Error, Result, error::ErrorCode, sid::AccountSid};
use parking_lot::Mutex;

/// How many sockets may be open at a time, at one process; `None` is no limit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SocketLimits {
    /// Of one user of a service.
    pub per_user: Option<usize>,
    /// Of all users of an account.
    pub per_account: Option<usize>,
}

impl SocketLimits {
    /// Passes when a user with so many sockets may have one more.
    ///
    /// # Errors
    /// 20429 naming the limit and its setting.
    pub(crate) fn check_user(&self, identity: &str, open: usize) -> Result<()> {
        match self.per_user {
            Some(limit) if open >= limit => Err(too_many_sockets(
                &format!("user '{identity}'"),
                limit,
                "HUBBUB_SOCKETS_PER_USER",
            )),
            _ => Ok(()),
        }
    }
}

fn too_many_sockets(whose: &str, limit: usize, setting: &str) -> Error {
    Error::with(
        ErrorCode::TooManyRequests,
        format!(
            "Too many sockets: {whose} has {limit} open at this node, which is the limit ({setting}); close one first"
        ),
    )
}

/// The sockets of each account, counted only if they are limited.
#[derive(Debug, Default)]
pub(crate) struct AccountSockets(Mutex<HashMap<AccountSid, usize>>);

impl AccountSockets {
    /// Passes when there is room for one more socket.
    ///
    /// # Errors
    /// 20429 when the account has as many as it may.
    pub(crate) fn check(&self, limits: &SocketLimits, account: AccountSid) -> Result<()> {
        let open = self.0.lock().get(&account).copied().unwrap_or_default();
        match limits.per_account {
            Some(limit) if open >= limit => Err(too_many_sockets(
                &format!("account {account}"),
                limit,
                "HUBBUB_SOCKETS_PER_ACCOUNT",
            )),
            _ => Ok(()),
        }
    }

    /// Counts a socket. Nobody else may be adding.
    ///
    /// # Errors
    /// As [`Self::check`].
    pub(crate) fn add(&self, limits: &SocketLimits, account: AccountSid) -> Result<()> {
        self.check(limits, account)?;
        if limits.per_account.is_some() {
            *self.0.lock().entry(account).or_default() += 1;
        }
        Ok(())
    }

    /// Takes back what [`Self::add`] counted.
    pub(crate) fn remove(&self, account: AccountSid) {
        let mut open = self.0.lock();
        if let Some(count) = open.get_mut(&account) {
            *count -= 1;
            if *count == 0 {
                open.remove(&account);
            }
        }
    }
}

/// How many verbs a second one socket may ask for, with a burst of one second.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct VerbRate {
    per_second: f64,
}

impl VerbRate {
    /// A rate of 0.001 to 1,000,000 verbs a second.
    #[must_use]
    pub fn per_second(rate: f64) -> Option<Self> {
        (0.001..=1_000_000.0)
            .contains(&rate)
            .then_some(Self { per_second: rate })
    }

    fn bucket(self, times: f64) -> Bucket {
        let every = Duration::from_secs_f64(1.0 / (self.per_second * times));
        Bucket {
            every,
            // At least one, however slow the rate.
            burst: Duration::from_secs(1).max(every),
            empty_until: Duration::ZERO,
        }
    }
}

/// Refused verbs may come so many times as fast before their socket is cut off.
const HAMMERING: f64 = 10.0;

/// What becomes of a verb.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Pass {
    /// It is carried out.
    Go,
    /// It is refused; after this time one passes again.
    Wait(Duration),
    /// It is refused, as so many were before that the socket has to go.
    Cut,
}

/// Counts the verbs of one socket. Nothing is allocated for a verb.
#[derive(Debug)]
pub(crate) struct VerbMeter(Option<Box<Mutex<Buckets>>>);

#[derive(Debug)]
struct Buckets {
    born: Instant,
    verbs: Bucket,
    refusals: Bucket,
}

impl VerbMeter {
    pub(crate) fn new(rate: Option<VerbRate>) -> Self {
        Self(rate.map(|rate| {
            Box::new(Mutex::new(Buckets {
                born: Instant::now(),
                verbs: rate.bucket(1.0),
                refusals: Bucket {
                    // A slow rate is no reason to cut somebody off for a few clicks.
                    burst: Duration::from_secs(10),
                    ..VerbRate {
                        per_second: rate.per_second.max(1.0),
                    }
                    .bucket(HAMMERING)
                },
            }))
        }))
    }

    /// Takes one verb out of the bucket.
    pub(crate) fn take(&self, now: Instant) -> Pass {
        let Some(buckets) = &self.0 else {
            return Pass::Go;
        };
        let mut buckets = buckets.lock();
        let now = now.saturating_duration_since(buckets.born);
        match buckets.verbs.take(now) {
            Ok(()) => Pass::Go,
            Err(wait) => match buckets.refusals.take(now) {
                Ok(()) => Pass::Wait(wait),
                Err(_) => Pass::Cut,
            },
        }
    }
}

/// A bucket that holds `burst` worth of time, of which each verb takes `every`.
#[derive(Debug)]
struct Bucket {
    every: Duration,
    burst: Duration,
    /// When it would be full again.
    empty_until: Duration,
}

impl Bucket {
    /// Passes, or says how long to wait.
    fn take(&mut self, now: Duration) -> std::result::Result<(), Duration> {
        let next = self.empty_until.max(now) + self.every;
        match (next - now).checked_sub(self.burst) {
            Some(wait) if wait > Duration::ZERO => Err(wait),
            _ => {
                self.empty_until = next;
                Ok(())
            }
        }
    }
}

/// 20429 for a verb.
pub(crate) fn too_many_verbs(wait: Duration) -> Error {
    Error::with(
        ErrorCode::TooManyRequests,
        format!(
            "Too many verbs on this socket (HUBBUB_SOCKET_RATE); try again in {} ms",
            wait.as_micros().div_ceil(1000)
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meter(rate: f64) -> (VerbMeter, Instant) {
        let meter = VerbMeter::new(VerbRate::per_second(rate));
        let born = meter.0.as_ref().unwrap().lock().born;
        (meter, born)
    }

    #[test]
    fn a_burst_of_one_second_passes_and_then_the_rate() {
        let (meter, start) = meter(4.0);
        for _ in 0..4 {
            assert_eq!(meter.take(start), Pass::Go);
        }
        assert_eq!(meter.take(start), Pass::Wait(Duration::from_millis(250)));
        assert_eq!(meter.take(start + Duration::from_millis(250)), Pass::Go);
        assert!(matches!(
            meter.take(start + Duration::from_millis(251)),
            Pass::Wait(_)
        ));
        let later = start + Duration::from_secs(60);
        assert!((0..4).all(|_| meter.take(later) == Pass::Go));
        assert!(matches!(meter.take(later), Pass::Wait(_)));
    }

    #[test]
    fn a_slow_rate_lets_one_pass_at_a_time() {
        let (meter, start) = meter(0.5);
        assert_eq!(meter.take(start), Pass::Go);
        assert_eq!(meter.take(start), Pass::Wait(Duration::from_secs(2)));
        assert_eq!(meter.take(start + Duration::from_secs(2)), Pass::Go);
    }

    #[test]
    fn who_goes_on_hammering_is_cut_off_and_who_is_merely_too_fast_is_not() {
        let (hammered, start) = meter(2.0);
        let fate: Vec<_> = (0..500).map(|_| hammered.take(start)).collect();
        assert_eq!(fate.iter().filter(|pass| **pass == Pass::Go).count(), 2);
        let cut = fate.iter().position(|pass| *pass == Pass::Cut).unwrap();
        assert_eq!(cut, 2 + 200);
        let (fast, start) = meter(2.0);
        for verb in 0..1000 {
            assert_ne!(fast.take(start + Duration::from_millis(100) * verb), Pass::Cut);
        }
    }

    #[test]
    fn without_a_rate_everything_passes() {
        let meter = VerbMeter::new(None);
        let now = Instant::now();
        assert!((0..10_000).all(|_| meter.take(now) == Pass::Go));
        for wrong in [0.0, -1.0, f64::NAN, 1e7] {
            assert!(VerbRate::per_second(wrong).is_none());
        }
    }

    #[test]
    fn the_sockets_of_an_account_are_counted_in_and_out() {
        let limits = SocketLimits {
            per_account: Some(1),
            ..SocketLimits::default()
        };
        let (sockets, account) = (AccountSockets::default(), AccountSid::generate());
        assert!(sockets.add(&limits, account).is_ok());
        let refused = sockets.add(&limits, account).unwrap_err();
        assert_eq!(refused.code().status(), 429);
        assert!(refused.message().contains("HUBBUB_SOCKETS_PER_ACCOUNT"));
        assert!(sockets.add(&limits, AccountSid::generate()).is_ok());
        sockets.remove(account);
        assert!(sockets.add(&limits, account).is_ok());
    }
}
