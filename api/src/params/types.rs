//! Values that need more than Rust's own types.

use std::{fmt, time::Duration};

use hubbub_core::Timestamp;
use serde::{
    Deserialize, Deserializer,
    de::{self, MapAccess, Visitor},
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

/// A date and time in either of the forms that answers have, or an empty text that clears what was there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ClearableDate(pub(crate) Option<Timestamp>);

impl<'de> Deserialize<'de> for ClearableDate {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct AnyDate;

        impl Visitor<'_> for AnyDate {
            type Value = ClearableDate;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an ISO 8601 date, such as 2030-12-16T22:18:37Z, or one of RFC 2822")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<ClearableDate, E> {
                if text.is_empty() {
                    return Ok(ClearableDate(None));
                }
                Timestamp::parse(text)
                    .or_else(|| Timestamp::parse_rfc2822(text))
                    .map(|moment| ClearableDate(Some(moment)))
                    .ok_or_else(|| {
                        E::custom(
                            "must be an ISO 8601 date, such as 2030-12-16T22:18:37Z, or one of RFC 2822",
                        )
                    })
            }
        }

        deserializer.deserialize_str(AnyDate)
    }
}

/// A JSON object: as itself in a JSON body, or as its text; an empty text is an empty one.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Object(pub(crate) serde_json::Map<String, serde_json::Value>);

impl<'de> Deserialize<'de> for Object {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Fields;

        impl<'de> Visitor<'de> for Fields {
            type Value = Object;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Object, A::Error> {
                let mut object = serde_json::Map::new();
                while let Some((name, value)) = fields.next_entry()? {
                    object.insert(name, value);
                }
                Ok(Object(object))
            }
        }

        deserializer.deserialize_map(Fields)
    }
}

/// A list of texts: as a JSON list, as its text, or by repeating the name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Texts(pub(crate) Vec<String>);

impl<'de> Deserialize<'de> for Texts {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let given = Vec::<String>::deserialize(deserializer)?;
        match given.as_slice() {
            [text] if text.trim_start().starts_with('[') => serde_json::from_str(text)
                .map(Self)
                .map_err(|_| de::Error::custom("must be a JSON list of texts, such as [\"alice\", \"bob\"]")),
            [text] if text.is_empty() => Ok(Self(Vec::new())),
            _ => Ok(Self(given)),
        }
    }
}

/// A date and time, or a day: the bounds of a filter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Bound {
    /// `2015-12-16T22:18:37Z`.
    Moment(Timestamp),
    /// `2015-12-16`, from its first moment.
    Day(Timestamp),
}

impl Bound {
    /// Its first moment.
    pub(crate) fn start(self) -> Timestamp {
        match self {
            Self::Moment(moment) | Self::Day(moment) => moment,
        }
    }

    /// Its last moment.
    pub(crate) fn end(self) -> Timestamp {
        match self {
            Self::Moment(moment) => moment,
            Self::Day(moment) => moment.plus(Duration::from_secs(86_399)),
        }
    }
}

impl<'de> Deserialize<'de> for Bound {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct MomentOrDay;

        impl Visitor<'_> for MomentOrDay {
            type Value = Bound;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an ISO 8601 date, such as 2015-12-16T22:18:37Z or 2015-12-16")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Bound, E> {
                let day = || Timestamp::parse(&format!("{text}T00:00:00Z")).map(Bound::Day);
                Timestamp::parse(text)
                    .map(Bound::Moment)
                    .or_else(day)
                    .ok_or_else(|| {
                        E::custom("must be an ISO 8601 date, such as 2015-12-16T22:18:37Z or 2015-12-16")
                    })
            }
        }

        deserializer.deserialize_str(MomentOrDay)
    }
}
