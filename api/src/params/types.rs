//! Values that need more than Rust's own types.

use std::fmt;

use hubbub_core::Timestamp;
use serde::{
    Deserialize, Deserializer,
    de::{self, Visitor},
};

/// A date and time as parameters have it: `2015-12-16T22:18:37Z`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Date(Timestamp);

impl From<Date> for Timestamp {
    fn from(date: Date) -> Self {
        date.0
    }
}

impl<'de> Deserialize<'de> for Date {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct IsoDate;

        impl Visitor<'_> for IsoDate {
            type Value = Date;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an ISO 8601 date, such as 2015-12-16T22:18:37Z")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Date, E> {
                let invalid = || E::custom("must be an ISO 8601 date, such as 2015-12-16T22:18:37Z");
                Timestamp::parse(text).map(Date).ok_or_else(invalid)
            }
        }

        deserializer.deserialize_str(IsoDate)
    }
}

/// A whole number, or an empty text that clears what was there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Clearable(pub(crate) Option<i64>);

impl<'de> Deserialize<'de> for Clearable {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Number;

        impl Visitor<'_> for Number {
            type Value = Clearable;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a whole number")
            }

            fn visit_i64<E: de::Error>(self, number: i64) -> Result<Clearable, E> {
                Ok(Clearable(Some(number)))
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Clearable, E> {
                match text {
                    "" => Ok(Clearable(None)),
                    text => text
                        .parse()
                        .map(|number| Clearable(Some(number)))
                        .map_err(|_| E::custom("must be a whole number")),
                }
            }
        }

        deserializer.deserialize_any(Number)
    }
}
