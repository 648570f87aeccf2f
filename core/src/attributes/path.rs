use std::{fmt, str::FromStr};

use serde_json::Value;

use super::Found;

/// The most segments of a path.
const SEGMENTS: usize = 8;
/// The longest segment, in characters.
const SEGMENT_CHARACTERS: usize = 64;

/// A way into attributes: `ticket.priority`. 1 to 8 segments of 1 to 64 letters (of any script), digits, `_` or `-`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AttributePath(String);

/// Why a text is no path.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPath {
    /// More than eight segments.
    #[error("has more than {SEGMENTS} segments")]
    TooDeep,
    /// An empty segment, or one that is too long or has other characters.
    #[error("has a segment that is not 1 to {SEGMENT_CHARACTERS} letters, digits, '_' or '-'")]
    Segment,
}

impl AttributePath {
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What lies at the path. Objects are entered by name, nothing else is; null is as good as nothing. With
    /// `instants`, texts that are dates are found as points in time.
    #[must_use]
    pub fn find<'v>(&self, attributes: &'v Value, instants: bool) -> Found<'v> {
        let mut value = attributes;
        for segment in self.0.split('.') {
            match value.as_object().and_then(|object| object.get(segment)) {
                Some(inner) => value = inner,
                None => return Found::Missing,
            }
        }
        Found::of(value, instants)
    }
}

impl FromStr for AttributePath {
    type Err = InvalidPath;

    fn from_str(text: &str) -> Result<Self, InvalidPath> {
        let fits = |segment: &str| {
            (1..=SEGMENT_CHARACTERS).contains(&segment.chars().count())
                && segment
                    .chars()
                    .all(|character| character.is_alphanumeric() || matches!(character, '_' | '-'))
        };
        if !text.split('.').all(fits) {
            return Err(InvalidPath::Segment);
        }
        if text.split('.').count() > SEGMENTS {
            return Err(InvalidPath::TooDeep);
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for AttributePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::attributes::Scalar;

    #[test]
    fn a_path_is_one_to_eight_segments_of_letters_digits_and_two_signs() {
        for good in [
            "a",
            "ticket.priority",
            "größe.价格.x-1_2",
            &"x".repeat(64),
            "1.2.3.4.5.6.7.8",
        ] {
            assert!(good.parse::<AttributePath>().is_ok(), "{good}");
        }
        for bad in [
            "",
            ".",
            "a.",
            ".a",
            "a..b",
            "a b",
            "a$",
            "a[0]",
            "'",
            &"x".repeat(65),
            "1.2.3.4.5.6.7.8.9",
        ] {
            assert!(bad.parse::<AttributePath>().is_err(), "{bad}");
        }
    }

    #[test]
    fn only_objects_are_entered_and_null_is_nothing() {
        let attributes = json!({ "a": { "b": 1, "n": null, "l": [1] }, "a.b": 2 });
        let find = |path: &str| path.parse::<AttributePath>().unwrap().find(&attributes, false);
        assert_eq!(find("a.b"), Found::Scalar(Scalar::number(1.0)));
        for missing in ["a.n", "a.x", "a.b.c", "a.l.0", "x"] {
            assert_eq!(find(missing), Found::Missing, "{missing}");
        }
        assert!(matches!(find("a"), Found::Composite(_)));
        assert!(matches!(find("a.l"), Found::Composite(_)));
    }
}
