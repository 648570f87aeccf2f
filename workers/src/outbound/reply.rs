//! What came back.

use std::time::Duration;

use bytes::Bytes;
use time::{
    OffsetDateTime, PrimitiveDateTime, format_description::BorrowedFormatItem, macros::format_description,
};

/// Bytes of a reply's body that are read.
pub const BODY_LIMIT: usize = 64 * 1024;

/// RFC 9110, section 5.6.7; the obsolete forms are not worth the trouble.
const HTTP_DATE: &[BorrowedFormatItem<'_>] =
    format_description!("[weekday repr:short], [day] [month repr:short] [year] [hour]:[minute]:[second] GMT");

/// The reply to a call, whatever its status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// The HTTP status; 3xx too, which are not followed.
    pub status: u16,
    /// `Content-Type`, if it is there and readable.
    pub content_type: Option<String>,
    /// `Retry-After` as it was sent; see [`Self::retry_after`].
    pub retry_after: Option<String>,
    /// The body up to [`BODY_LIMIT`].
    pub body_start: Bytes,
    /// The body was longer than that.
    pub truncated: bool,
}

impl Reply {
    /// 2xx.
    #[must_use]
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// How long the receiver asks to be left alone from `now` on; zero for a date in the past. Not clamped.
    #[must_use]
    pub fn retry_after(&self, now: OffsetDateTime) -> Option<Duration> {
        let value = self.retry_after.as_deref()?.trim();
        if let Ok(seconds) = value.parse() {
            return Some(Duration::from_secs(seconds));
        }
        let date = PrimitiveDateTime::parse(value, HTTP_DATE).ok()?.assume_utc();
        Some(Duration::try_from(date - now).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    fn asks(retry_after: &str) -> Option<Duration> {
        let reply = Reply {
            status: 503,
            content_type: None,
            retry_after: Some(retry_after.into()),
            body_start: Bytes::new(),
            truncated: false,
        };
        reply.retry_after(datetime!(2015-10-21 07:27:00 UTC))
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        assert_eq!(asks("120"), Some(Duration::from_secs(120)));
        assert_eq!(
            asks("Wed, 21 Oct 2015 07:28:00 GMT"),
            Some(Duration::from_secs(60))
        );
        assert_eq!(asks("Wed, 21 Oct 2015 07:26:00 GMT"), Some(Duration::ZERO));
        for nonsense in ["", "-1", "soon", "1.5"] {
            assert_eq!(asks(nonsense), None, "{nonsense}");
        }
    }
}
