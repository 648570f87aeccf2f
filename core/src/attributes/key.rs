use super::{Found, Number, Scalar};
use crate::timestamp::Timestamp;

/// The longest key. A longer text is cut there, and its rest is kept beside the key.
pub const KEY_BYTES: usize = 256;
/// The key of whatever has no place in the order: missing values, arrays and objects. It is behind every other key.
pub const MISSING_KEY: [u8; 1] = [0xff];

const BOOL: u8 = 0x10;
const NUMBER: u8 = 0x20;
const INSTANT: u8 = 0x28;
const TEXT: u8 = 0x30;

/// A value as bytes that both databases order as the values are ordered: first by `key`, then by `rest`. Equal pairs
/// are equal values, except that all that is missing shares one key.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct SortKey {
    /// At most [`KEY_BYTES`] bytes.
    pub key: Vec<u8>,
    /// What a long text has behind its key; mostly empty.
    pub rest: Vec<u8>,
}

impl SortKey {
    /// The place of what a path leads to.
    #[must_use]
    pub fn of(found: &Found<'_>) -> Self {
        match found {
            Found::Scalar(scalar) => scalar.into(),
            Found::Missing | Found::Composite(_) => Self {
                key: MISSING_KEY.to_vec(),
                rest: Vec::new(),
            },
        }
    }

    /// Whether this is a place in the order, as opposed to behind it.
    #[must_use]
    pub fn is_placed(&self) -> bool {
        self.key != MISSING_KEY
    }

    /// The first byte of every key of this value's type: values compare within it.
    #[must_use]
    pub fn type_byte(&self) -> u8 {
        self.key.first().copied().unwrap_or(MISSING_KEY[0])
    }

    /// The value at this place; `None` behind the order, and for bytes that no value has.
    #[must_use]
    pub fn to_scalar(&self) -> Option<Scalar> {
        let (&kind, head) = self.key.split_first()?;
        match kind {
            BOOL => match head {
                [truth @ 0..=1] => Some(Scalar::Bool(*truth == 1)),
                _ => None,
            },
            NUMBER => {
                let (value, beyond) = head.split_first_chunk::<8>()?;
                let ordered = u64::from_be_bytes(*value);
                let bits = if ordered >> 63 == 0 {
                    !ordered
                } else {
                    ordered & !(1 << 63)
                };
                Some(Scalar::Number(Number {
                    value: Some(f64::from_bits(bits)).filter(|value| value.is_finite())?,
                    beyond: i16::from_be_bytes(beyond.try_into().ok()?) ^ i16::MIN,
                }))
            }
            INSTANT => {
                let moment = i64::from_be_bytes(head.try_into().ok()?) ^ i64::MIN;
                Some(Scalar::Instant(Timestamp(moment)))
            }
            TEXT => String::from_utf8([head, self.rest.as_slice()].concat())
                .ok()
                .map(Scalar::Text),
            _ => None,
        }
    }

    /// Reads key and rest from one string of bytes.
    #[must_use]
    pub fn join(bytes: Vec<u8>) -> Self {
        Self::cut(bytes)
    }

    fn cut(mut key: Vec<u8>) -> Self {
        let rest = key.split_off(key.len().min(KEY_BYTES));
        Self { key, rest }
    }
}

impl From<&Scalar> for SortKey {
    fn from(scalar: &Scalar) -> Self {
        let mut key = Vec::with_capacity(16);
        match scalar {
            Scalar::Bool(truth) => key.extend([BOOL, u8::from(*truth)]),
            Scalar::Number(number) => {
                key.push(NUMBER);
                key.extend(number_bytes(*number));
            }
            Scalar::Instant(moment) => {
                key.push(INSTANT);
                key.extend((moment.0 ^ i64::MIN).to_be_bytes());
            }
            Scalar::Text(text) => {
                key.push(TEXT);
                key.extend_from_slice(text.as_bytes());
            }
        }
        Self::cut(key)
    }
}

/// Bytes in the order of the numbers: a double with its sign bit turned, a negative one with all bits turned.
fn number_bytes(number: Number) -> impl Iterator<Item = u8> {
    let bits = number.value.to_bits();
    let ordered = if bits >> 63 == 0 { bits | 1 << 63 } else { !bits };
    ordered
        .to_be_bytes()
        .into_iter()
        .chain((number.beyond ^ i16::MIN).to_be_bytes())
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[test]
    fn keys_are_ordered_as_the_values_are() {
        let long = "x".repeat(400);
        let ascending = [
            "false".to_owned(),
            "true".to_owned(),
            "-1e300".to_owned(),
            "-9223372036854775808".to_owned(),
            "-9223372036854775807".to_owned(),
            "-2.5".to_owned(),
            "-2".to_owned(),
            "0".to_owned(),
            "1e-300".to_owned(),
            "0.5".to_owned(),
            "1".to_owned(),
            "9007199254740992".to_owned(),
            "9007199254740993".to_owned(),
            "18446744073709551614".to_owned(),
            "18446744073709551615".to_owned(),
            "1e300".to_owned(),
            "\"\"".to_owned(),
            "\"A\"".to_owned(),
            "\"a\"".to_owned(),
            "\"a\\u0000\"".to_owned(),
            "\"ab\"".to_owned(),
            format!("\"{long}\""),
            format!("\"{long}a\""),
            format!("\"{long}b\""),
            "\"é\"".to_owned(),
            "\"🙂\"".to_owned(),
        ]
        .map(|json| serde_json::from_str::<Value>(&json).unwrap());
        let scalars: Vec<Scalar> = ascending
            .iter()
            .map(|json| Scalar::of(json, false).unwrap())
            .collect();
        let keys: Vec<SortKey> = scalars.iter().map(SortKey::from).collect();
        assert!(scalars.is_sorted_by(|a, b| a < b), "{scalars:?}");
        assert!(keys.is_sorted_by(|a, b| a < b), "{keys:?}");
        for (scalar, key) in scalars.iter().zip(&keys) {
            assert_eq!(key.to_scalar().as_ref(), Some(scalar));
            assert_eq!(SortKey::join([key.key.as_slice(), &key.rest].concat()), *key);
        }
        let behind = SortKey::of(&Found::Missing);
        assert_eq!(behind.to_scalar(), None);
        assert!(
            keys.iter()
                .all(|key| key < &behind && key.is_placed() && key.key.len() <= KEY_BYTES)
        );
        assert!(!behind.is_placed());
    }
}
