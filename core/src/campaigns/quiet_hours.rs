//! The hours in which nobody is sent anything, by each user's own clock.

use jiff::{
    Timestamp as Instant, ToSpan, Zoned,
    civil::{Date, Time},
    tz::TimeZone,
};
use serde::Deserialize;
use serde_json::Value;

use crate::{
    error::{Error, Result},
    timestamp::Timestamp,
};

const EXAMPLE: &str = r#"{"start": "21:00", "end": "08:00", "time_zone": "Europe/Berlin"}"#;

/// From when to when, by the clock where the user is: `user.attributes.time_zone`, or else this zone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QuietHours {
    start: Time,
    end: Time,
    zone: TimeZone,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Given {
    start: String,
    end: String,
    time_zone: Option<String>,
}

fn refused(problem: &str) -> Error {
    Error::parameter("QuietHours", problem)
}

/// `21:00`, exactly so.
fn clock(name: &str, text: &str) -> Result<Time> {
    let digits = |from: usize| -> Option<i8> {
        let pair = text.get(from..from + 2)?;
        pair.bytes()
            .all(|byte| byte.is_ascii_digit())
            .then(|| pair.parse().ok())?
    };
    let parts = if text.len() == 5 && text.as_bytes()[2] == b':' {
        digits(0).zip(digits(3))
    } else {
        None
    };
    parts
        .and_then(|(hour, minute)| Time::new(hour, minute, 0, 0).ok())
        .ok_or_else(|| {
            refused(&format!(
                "has a '{name}' that is not a time from 00:00 to 23:59, such as {EXAMPLE}"
            ))
        })
}

impl QuietHours {
    /// Reads `QuietHours`: `{"start": "21:00", "end": "08:00", "time_zone": "Europe/Berlin"}`; the zone is UTC unless
    /// it is given. When `end` is before `start` they last over midnight.
    ///
    /// # Errors
    /// 20001 naming `QuietHours` and what is wrong with it.
    pub fn parse(json: &str) -> Result<Self> {
        let given: Given = serde_json::from_str(json)
            .map_err(|cause| refused(&format!("must be JSON such as {EXAMPLE}: {cause}")))?;
        let (start, end) = (clock("start", &given.start)?, clock("end", &given.end)?);
        if start == end {
            return Err(refused(
                "has the same 'start' and 'end': nobody would ever be sent anything",
            ));
        }
        let zone = match given.time_zone.as_deref() {
            None => TimeZone::UTC,
            Some(name) => TimeZone::get(name).map_err(|_| {
                refused("has a 'time_zone' that is not in the time zone database; write one such as Europe/Berlin")
            })?,
        };
        Ok(Self { start, end, zone })
    }

    /// When they are over for this user, if they are on at `now`. The user's `time_zone` counts when the time zone
    /// database has it.
    #[must_use]
    pub fn over_at(&self, now: Timestamp, attributes: &Value) -> Option<Timestamp> {
        let own = attributes.get("time_zone").and_then(Value::as_str);
        let zone = own
            .and_then(|name| TimeZone::get(name).ok())
            .unwrap_or_else(|| self.zone.clone());
        let there = Instant::from_microsecond(now.0).ok()?.to_zoned(zone);
        let clock = there.time();
        let is_on = if self.start < self.end {
            (self.start..self.end).contains(&clock)
        } else {
            clock >= self.start || clock < self.end
        };
        if !is_on {
            return None;
        }
        let last = if clock < self.end {
            there.date()
        } else {
            there.date().checked_add(1.day()).ok()?
        };
        let over = self.end_on(last, &there)?;
        // Where clocks are set back, the end may come twice; the later one counts when the first is over.
        Some(if over > now {
            over
        } else {
            now.plus(std::time::Duration::from_secs(60))
        })
    }

    fn end_on(&self, day: Date, there: &Zoned) -> Option<Timestamp> {
        let over = day
            .to_datetime(self.end)
            .to_zoned(there.time_zone().clone())
            .ok()?;
        Some(Timestamp(over.timestamp().as_microsecond()))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn at(text: &str) -> Timestamp {
        Timestamp::parse(text).unwrap()
    }

    fn berlin(start: &str, end: &str) -> QuietHours {
        let text = json!({"start": start, "end": end, "time_zone": "Europe/Berlin"}).to_string();
        QuietHours::parse(&text).unwrap()
    }

    #[test]
    fn they_end_in_the_morning_of_the_user() {
        let night = berlin("21:00", "08:00");
        for (now, zone, over) in [
            ("2026-01-10T19:59:59Z", json!({}), None),
            ("2026-01-10T20:00:00Z", json!({}), Some("2026-01-11T07:00:00Z")),
            ("2026-01-11T06:59:59Z", json!({}), Some("2026-01-11T07:00:00Z")),
            ("2026-01-11T07:00:00Z", json!({}), None),
            // In summer it is an hour earlier.
            ("2026-07-10T19:00:00Z", json!({}), Some("2026-07-11T06:00:00Z")),
            (
                "2026-01-10T20:00:00Z",
                json!({"time_zone": "America/New_York"}),
                None,
            ),
            (
                "2026-01-10T20:00:00Z",
                json!({"time_zone": "Asia/Tokyo"}),
                Some("2026-01-10T23:00:00Z"),
            ),
            // What is no zone is not the user's.
            (
                "2026-01-10T20:00:00Z",
                json!({"time_zone": "Mars/Base"}),
                Some("2026-01-11T07:00:00Z"),
            ),
            // The night in which clocks are set forward.
            ("2026-03-28T22:00:00Z", json!({}), Some("2026-03-29T06:00:00Z")),
        ] {
            assert_eq!(night.over_at(at(now), &zone), over.map(at), "{now} {zone}");
        }
    }

    #[test]
    fn they_may_be_within_a_day() {
        let noon = QuietHours::parse(r#"{"start": "12:00", "end": "13:30"}"#).unwrap();
        assert_eq!(noon.over_at(at("2026-01-10T11:59:59Z"), &json!({})), None);
        assert_eq!(
            noon.over_at(at("2026-01-10T12:00:00Z"), &json!(null)),
            Some(at("2026-01-10T13:30:00Z"))
        );
        assert_eq!(noon.over_at(at("2026-01-10T13:30:00Z"), &json!({})), None);
    }

    #[test]
    fn an_hour_that_comes_twice_or_never_is_no_trap() {
        // 02:30 comes twice on 2026-10-25 and never on 2026-03-29.
        let early = berlin("01:00", "02:30");
        for now in [
            "2026-10-24T23:30:00Z",
            "2026-10-25T00:15:00Z",
            "2026-10-25T01:15:00Z",
            "2026-03-29T00:30:00Z",
        ] {
            if let Some(over) = early.over_at(at(now), &json!({})) {
                assert!(over > at(now), "{now}: {over:?}");
            }
        }
    }

    #[test]
    fn what_they_are_not_is_said() {
        for (text, names) in [
            ("", "start"),
            ("[]", "start"),
            ("{}", "start"),
            (r#"{"start": "21:00"}"#, "end"),
            (r#"{"start": "24:00", "end": "08:00"}"#, "'start'"),
            (r#"{"start": "21:00", "end": "8:00"}"#, "'end'"),
            (r#"{"start": "21:00", "end": "+8:00"}"#, "'end'"),
            (r#"{"start": "21:00", "end": "21:00"}"#, "same"),
            (
                r#"{"start": "21:00", "end": "08:00", "time_zone": "Nowhere"}"#,
                "Europe/Berlin",
            ),
            (r#"{"start": "21:00", "end": "08:00", "zone": "UTC"}"#, "zone"),
        ] {
            let refused = QuietHours::parse(text).unwrap_err();
            assert!(
                refused.message().starts_with("QuietHours ") && refused.message().contains(names),
                "{text}: {refused}"
            );
        }
    }
}
