//! The time that a client's token gives it: the token's own, or that of the key that signed it, whichever ends first.

use std::time::Duration;

use hubbub_core::{Timestamp, access_tokens::AccessToken, sid::ApiKeySid};
use parking_lot::Mutex;

/// How long before the end of a long life the client is warned.
const WARNING: Duration = Duration::from_secs(180);

/// The token it lives by, which can be renewed.
pub(crate) struct TokenLife(Mutex<Life>);

struct Life {
    key: ApiKeySid,
    issued: Timestamp,
    expires: Timestamp,
    key_expires: Option<Timestamp>,
    warned: bool,
}

/// What a token's time has come for.
pub(crate) enum TokenNews {
    /// It ends soon.
    AboutToExpire,
    /// It has ended.
    Expired,
}

impl TokenLife {
    pub(crate) fn new(token: &AccessToken) -> Self {
        Self(Mutex::new(Life::of(token)))
    }

    /// Goes on with another token.
    pub(crate) fn renew(&self, token: &AccessToken) {
        *self.0.lock() = Life::of(token);
    }

    pub(crate) fn key(&self) -> ApiKeySid {
        self.0.lock().key
    }

    /// Takes note of when the key ends, which its owner may change. Not when the token is of another key by now.
    pub(crate) fn key_expires(&self, key: ApiKeySid, at: Option<Timestamp>) {
        let mut life = self.0.lock();
        if life.key == key && life.key_expires != at {
            life.key_expires = at;
            life.warned = false;
        }
    }

    /// What is due at `now`; a warning comes once.
    pub(crate) fn news(&self, now: Timestamp) -> Option<TokenNews> {
        let mut life = self.0.lock();
        if now >= life.end() {
            return Some(TokenNews::Expired);
        }
        if life.warned || now < life.warn_at() {
            return None;
        }
        life.warned = true;
        Some(TokenNews::AboutToExpire)
    }
}

impl Life {
    fn of(token: &AccessToken) -> Self {
        Self {
            key: token.key.sid,
            issued: token.issued,
            expires: token.expires,
            key_expires: token.key_expires,
            warned: false,
        }
    }

    fn end(&self) -> Timestamp {
        self.key_expires
            .map_or(self.expires, |key_expires| key_expires.min(self.expires))
    }

    /// 3 minutes before the end, or at two thirds of a shorter life.
    fn warn_at(&self) -> Timestamp {
        let end = self.end();
        let life = end.since(self.issued);
        if life > 3 * WARNING {
            end.minus(WARNING)
        } else {
            self.issued.plus(life * 2 / 3)
        }
    }
}

#[cfg(test)]
mod tests {
    use hubbub_core::{
        ctx::KeyScope,
        input::Identity,
        sid::{AccountSid, ServiceSid},
    };

    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_unix_seconds(second)
    }

    fn token(expires: i64, key_expires: Option<i64>) -> AccessToken {
        AccessToken {
            account: AccountSid::generate(),
            key: KeyScope {
                sid: ApiKeySid::generate(),
                service: None,
                read_only: false,
            },
            key_expires: key_expires.map(at),
            service: ServiceSid::generate(),
            identity: Identity::parse("alice").unwrap(),
            issued: at(0),
            expires: at(expires),
        }
    }

    #[test]
    fn a_token_warns_once_before_it_ends() {
        let long = TokenLife::new(&token(3600, None));
        assert!(long.news(at(3419)).is_none());
        assert!(matches!(long.news(at(3420)), Some(TokenNews::AboutToExpire)));
        assert!(long.news(at(3421)).is_none());
        assert!(matches!(long.news(at(3600)), Some(TokenNews::Expired)));
        let short = TokenLife::new(&token(9, None));
        assert!(short.news(at(5)).is_none());
        assert!(matches!(short.news(at(6)), Some(TokenNews::AboutToExpire)));
    }

    #[test]
    fn a_token_ends_with_its_key_wherever_the_keys_end_moves() {
        let life = TokenLife::new(&token(3600, Some(900)));
        assert!(matches!(life.news(at(720)), Some(TokenNews::AboutToExpire)));
        assert!(matches!(life.news(at(900)), Some(TokenNews::Expired)));
        life.key_expires(life.key(), Some(at(7200)));
        assert!(life.news(at(3000)).is_none());
        assert!(matches!(life.news(at(3600)), Some(TokenNews::Expired)));
        life.key_expires(life.key(), Some(at(2000)));
        assert!(matches!(life.news(at(2000)), Some(TokenNews::Expired)));
        life.key_expires(ApiKeySid::generate(), None);
        assert!(
            matches!(life.news(at(2000)), Some(TokenNews::Expired)),
            "another key's end"
        );
        life.key_expires(life.key(), None);
        assert!(life.news(at(2000)).is_none());
    }
}
