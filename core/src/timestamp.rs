//! Points in time, as microseconds since 1970: one integer column on both databases, exact and ordered.

use std::{fmt, time::Duration};

use sea_orm::DeriveValueType;
use serde::{Deserialize, Serialize};
use time::{
    OffsetDateTime,
    format_description::well_known::{Rfc2822, Rfc3339},
    macros::format_description,
};

/// A point in time: microseconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, DeriveValueType)]
#[serde(transparent)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// Now, by this machine's clock.
    #[must_use]
    pub fn now() -> Self {
        let since = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .unwrap_or_default();
        Self(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
    }

    /// From whole seconds since 1970.
    #[must_use]
    pub fn from_unix_seconds(seconds: i64) -> Self {
        Self(seconds.saturating_mul(1_000_000))
    }

    /// Whole seconds since 1970, rounded down.
    #[must_use]
    pub fn unix_seconds(self) -> i64 {
        self.0.div_euclid(1_000_000)
    }

    /// Reads RFC 3339 (`2015-12-16T22:18:37Z`, fractions and offsets allowed).
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let moment = OffsetDateTime::parse(text, &Rfc3339).ok()?;
        i64::try_from(moment.unix_timestamp_nanos() / 1000).ok().map(Self)
    }

    /// Reads RFC 2822 (`Wed, 16 Dec 2015 22:18:37 +0000`).
    #[must_use]
    pub fn parse_rfc2822(text: &str) -> Option<Self> {
        let moment = OffsetDateTime::parse(text, &Rfc2822).ok()?;
        Some(Self::from_unix_seconds(moment.unix_timestamp()))
    }

    /// This much later.
    #[must_use]
    pub fn plus(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(micros(duration)))
    }

    /// This much earlier.
    #[must_use]
    pub fn minus(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(micros(duration)))
    }

    /// The time from `earlier` until this; zero when `earlier` is later.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// `2015-12-16T22:18:37Z`: the form of dates in REST answers.
    #[must_use]
    pub fn to_seconds_text(self) -> String {
        self.write(format_description!(
            "[year]-[month]-[day]T[hour]:[minute]:[second]Z"
        ))
    }

    /// `2015-12-16T22:18:37.295Z`: the form of dates in events and webhooks.
    #[must_use]
    pub fn to_millis_text(self) -> String {
        self.write(format_description!(
            "[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]Z"
        ))
    }

    /// `Wed, 16 Dec 2015 22:18:37 +0000`: the form of dates in the 2010-04-01 API.
    #[must_use]
    pub fn to_rfc2822_text(self) -> String {
        self.write(format_description!(
            "[weekday repr:short], [day] [month repr:short] [year] [hour]:[minute]:[second] +0000"
        ))
    }

    fn write(self, format: &[time::format_description::BorrowedFormatItem<'_>]) -> String {
        OffsetDateTime::from_unix_timestamp_nanos(i128::from(self.0) * 1000)
            .ok()
            .and_then(|moment| moment.format(format).ok())
            .unwrap_or_else(|| "1970-01-01T00:00:00Z".to_owned())
    }
}

pub(crate) fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_millis_text())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_read_and_written_in_their_three_forms() {
        let moment = Timestamp::parse("2021-04-17T12:52:31.295Z").unwrap();
        assert_eq!(moment.to_seconds_text(), "2021-04-17T12:52:31Z");
        assert_eq!(moment.to_millis_text(), "2021-04-17T12:52:31.295Z");
        assert_eq!(moment.to_rfc2822_text(), "Sat, 17 Apr 2021 12:52:31 +0000");
        assert_eq!(Timestamp::parse("2021-04-17T14:52:31.295+02:00"), Some(moment));
        assert_eq!(
            Timestamp::parse_rfc2822("Sat, 17 Apr 2021 12:52:31 +0000").map(Timestamp::unix_seconds),
            Some(moment.unix_seconds())
        );
        assert_eq!(Timestamp::parse("yesterday"), None);
    }
}
