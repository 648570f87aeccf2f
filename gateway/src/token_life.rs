//! The time that a client's token gives it.

use std::{
    sync::atomic::{AtomicBool, AtomicI64, Ordering},
    time::Duration,
};

use hubbub_core::{Timestamp, sid::ApiKeySid};
use parking_lot::Mutex;

/// The token it lives by, which can be renewed.
pub(crate) struct TokenLife {
    key: Mutex<ApiKeySid>,
    expires: AtomicI64,
    warn_at: AtomicI64,
    warned: AtomicBool,
}

/// What a token's time has come for.
pub(crate) enum TokenNews {
    /// It ends soon.
    AboutToExpire(Timestamp),
    /// It has ended.
    Expired,
}

impl TokenLife {
    pub(crate) fn new(key: ApiKeySid, issued: Timestamp, expires: Timestamp) -> Self {
        let life = Self {
            key: Mutex::new(key),
            expires: AtomicI64::new(0),
            warn_at: AtomicI64::new(0),
            warned: AtomicBool::new(false),
        };
        life.renew(key, issued, expires);
        life
    }

    /// Warns 3 minutes before the end, or at two thirds of a shorter life.
    pub(crate) fn renew(&self, key: ApiKeySid, issued: Timestamp, expires: Timestamp) {
        const WARNING: Duration = Duration::from_secs(180);
        let life = expires.since(issued);
        let warn_at = if life > 3 * WARNING {
            expires.minus(WARNING)
        } else {
            issued.plus(life * 2 / 3)
        };
        *self.key.lock() = key;
        self.warn_at.store(warn_at.0, Ordering::Relaxed);
        self.expires.store(expires.0, Ordering::Relaxed);
        self.warned.store(false, Ordering::Release);
    }

    pub(crate) fn key(&self) -> ApiKeySid {
        *self.key.lock()
    }

    /// What is due at `now`; a warning comes once.
    pub(crate) fn news(&self, now: Timestamp) -> Option<TokenNews> {
        let expires = Timestamp(self.expires.load(Ordering::Relaxed));
        if now >= expires {
            return Some(TokenNews::Expired);
        }
        (now.0 >= self.warn_at.load(Ordering::Relaxed) && !self.warned.swap(true, Ordering::AcqRel))
            .then_some(TokenNews::AboutToExpire(expires))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_warns_once_before_it_ends() {
        let start = Timestamp::from_unix_seconds(0);
        let key = ApiKeySid::generate();
        let long = TokenLife::new(key, start, Timestamp::from_unix_seconds(3600));
        assert!(long.news(Timestamp::from_unix_seconds(3419)).is_none());
        assert!(matches!(
            long.news(Timestamp::from_unix_seconds(3420)),
            Some(TokenNews::AboutToExpire(_))
        ));
        assert!(long.news(Timestamp::from_unix_seconds(3421)).is_none());
        assert!(matches!(
            long.news(Timestamp::from_unix_seconds(3600)),
            Some(TokenNews::Expired)
        ));
        let short = TokenLife::new(key, start, Timestamp::from_unix_seconds(9));
        assert!(short.news(Timestamp::from_unix_seconds(5)).is_none());
        assert!(matches!(
            short.news(Timestamp::from_unix_seconds(6)),
            Some(TokenNews::AboutToExpire(_))
        ));
    }
}
