use std::cmp::Ordering;

use serde_json::Value;

use crate::timestamp::Timestamp;

/// What a path leads to.
#[derive(Debug, Clone, PartialEq)]
pub enum Found<'v> {
    /// Nothing, null, or a way through something that is no object.
    Missing,
    /// An array or an object: it is there, but equals and precedes nothing.
    Composite(&'v Value),
    /// A value that compares.
    Scalar(Scalar),
}

impl<'v> Found<'v> {
    /// What `value` is. With `instants`, a text that is a date is found as a point in time.
    #[must_use]
    pub fn of(value: &'v Value, instants: bool) -> Self {
        match value {
            Value::Null => Self::Missing,
            Value::Array(_) | Value::Object(_) => Self::Composite(value),
            scalar => Scalar::of(scalar, instants).map_or(Self::Missing, Self::Scalar),
        }
    }
}

/// A value that compares within its type; among types, booleans come before numbers, points in time and texts.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scalar {
    /// false before true.
    Bool(bool),
    /// By value.
    Number(Number),
    /// A text that is a date, where an index of type `datetime` is declared over its path.
    Instant(Timestamp),
    /// By code point.
    Text(String),
}

impl Scalar {
    /// The scalar in `value`, if it is one.
    #[must_use]
    pub fn of(value: &Value, instants: bool) -> Option<Self> {
        match value {
            Value::Bool(truth) => Some(Self::Bool(*truth)),
            Value::Number(number) => Some(Self::Number(Number::of(number))),
            Value::String(text) => Some(match Timestamp::parse(text) {
                Some(moment) if instants => Self::Instant(moment),
                _ => Self::Text(text.clone()),
            }),
            Value::Null | Value::Array(_) | Value::Object(_) => None,
        }
    }

    /// A number.
    #[must_use]
    pub fn number(value: f64) -> Self {
        Self::Number(Number { value, beyond: 0 })
    }

    /// The order of two values of one type; `None` across types.
    #[must_use]
    pub fn compare(&self, other: &Self) -> Option<Ordering> {
        (std::mem::discriminant(self) == std::mem::discriminant(other)).then(|| self.cmp(other))
    }
}

/// A JSON number, exact also for the whole numbers that a double cannot tell apart.
#[derive(Debug, Clone, Copy)]
pub struct Number {
    /// The nearest double; never NaN.
    pub(super) value: f64,
    /// By how much the whole number is more than that double; at most 1024 either way.
    pub(super) beyond: i16,
}

impl Number {
    /// The number as JSON has it.
    #[must_use]
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        reason = "what the double loses is kept beside it"
    )]
    pub fn of(number: &serde_json::Number) -> Self {
        let whole = number
            .as_i64()
            .map(i128::from)
            .or(number.as_u64().map(i128::from));
        match whole {
            Some(whole) => {
                let value = whole as f64;
                Self {
                    value,
                    beyond: i16::try_from(whole - value as i128).unwrap_or_default(),
                }
            }
            None => Self {
                // -0 and 0 are one number.
                value: number.as_f64().unwrap_or_default() + 0.0,
                beyond: 0,
            },
        }
    }
}

impl Number {
    /// The greatest whole number that is not above this one, and whether it is this one.
    #[must_use]
    #[expect(clippy::cast_possible_truncation, reason = "what is out of range saturates")]
    pub fn floor(self) -> (i128, bool) {
        let floor = self.value.floor();
        (
            (floor as i128).saturating_add(self.beyond.into()),
            floor == self.value,
        )
    }
}

impl From<i64> for Scalar {
    fn from(whole: i64) -> Self {
        Self::Number(Number::of(&whole.into()))
    }
}

impl Ord for Number {
    fn cmp(&self, other: &Self) -> Ordering {
        self.value
            .total_cmp(&other.value)
            .then(self.beyond.cmp(&other.beyond))
    }
}

impl PartialOrd for Number {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Number {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Number {}

#[cfg(test)]
mod tests {
    use super::*;

    fn scalar(json: &str) -> Scalar {
        Scalar::of(&serde_json::from_str(json).unwrap(), false).unwrap()
    }

    #[test]
    fn numbers_compare_by_value_whatever_their_notation() {
        assert_eq!(scalar("1"), scalar("1.0"));
        assert_eq!(scalar("1e2"), scalar("100"));
        assert_eq!(scalar("-0.0"), scalar("0"));
        assert!(scalar("9007199254740993") > scalar("9007199254740992"));
        assert!(scalar("18446744073709551615") > scalar("18446744073709551614"));
        assert!(scalar("18446744073709551615") < scalar("18446744073709551616.0"));
        assert!(scalar("-9223372036854775808") < scalar("-9223372036854775807"));
        assert!(scalar("2.5") > scalar("2"));
    }

    #[test]
    #[allow(clippy::float_cmp, reason = "floors are exact")]
    fn floors_are_exact() {
        for (json, floor, whole) in [
            ("2.5", 2, false),
            ("-2.5", -3, false),
            ("7", 7, true),
            ("-0.0", 0, true),
            ("9007199254740993", 9_007_199_254_740_993, true),
            ("-9223372036854775808", i128::from(i64::MIN), true),
        ] {
            let Scalar::Number(number) = scalar(json) else {
                panic!("{json} is a number")
            };
            assert_eq!(number.floor(), (floor, whole), "{json}");
        }
    }

    #[test]
    fn values_of_different_types_do_not_compare() {
        assert_eq!(scalar("1").compare(&scalar("\"1\"")), None);
        assert_eq!(scalar("true").compare(&scalar("1")), None);
        assert_eq!(scalar("\"b\"").compare(&scalar("\"a\"")), Some(Ordering::Greater));
        assert_eq!(scalar("\"é\"").compare(&scalar("\"z\"")), Some(Ordering::Greater));
    }

    #[test]
    fn dates_are_points_in_time_only_where_that_was_declared() {
        let instant = |text: &str| Scalar::of(&Value::from(text), true).unwrap();
        assert_eq!(
            instant("2026-01-01T01:00:00+01:00"),
            instant("2026-01-01T00:00:00Z")
        );
        assert_eq!(instant("soon"), Scalar::Text("soon".to_owned()));
        assert_ne!(
            scalar("\"2026-01-01T01:00:00+01:00\""),
            scalar("\"2026-01-01T00:00:00Z\"")
        );
    }
}
