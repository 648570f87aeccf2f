//! The places of attachments in an event's JSON: `{"_placeholder":true,"num":0}`, however deep.
//!
//! They are looked for while the JSON is read, without building it: a megabyte of `[0,0,…]` would take sixteen.

use std::{borrow::Cow, fmt};

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};

use super::packet::PacketError;

/// Checks that every placeholder names one of so many attachments.
///
/// # Errors
/// The text is no JSON, is nested deeper than 127 levels, or a placeholder points at an attachment that does not exist.
pub(super) fn check(json: &str, attachments: usize) -> Result<(), PacketError> {
    let mut json = serde_json::Deserializer::from_str(json);
    let found = Look { attachments }
        .deserialize(&mut json)
        .and_then(|found| json.end().map(|()| found))
        .map_err(|_| PacketError::Payload)?;
    if found.is_wrong {
        return Err(PacketError::Placeholder);
    }
    Ok(())
}

/// A look at one value.
#[derive(Clone, Copy)]
struct Look {
    attachments: usize,
}

/// What a value is, as far as it matters here.
#[derive(Default)]
struct Found {
    is_true: bool,
    number: Option<u64>,
    /// There is a wrong placeholder in it.
    is_wrong: bool,
}

impl<'de> DeserializeSeed<'de> for Look {
    type Value = Found;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Found, D::Error> {
        json.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Look {
    type Value = Found;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_bool<E>(self, is_true: bool) -> Result<Found, E> {
        Ok(Found {
            is_true,
            ..Found::default()
        })
    }

    fn visit_u64<E>(self, number: u64) -> Result<Found, E> {
        Ok(Found {
            number: Some(number),
            ..Found::default()
        })
    }

    fn visit_i64<E>(self, _: i64) -> Result<Found, E> {
        Ok(Found::default())
    }

    fn visit_f64<E>(self, _: f64) -> Result<Found, E> {
        Ok(Found::default())
    }

    fn visit_str<E>(self, _: &str) -> Result<Found, E> {
        Ok(Found::default())
    }

    fn visit_unit<E>(self) -> Result<Found, E> {
        Ok(Found::default())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut array: A) -> Result<Found, A::Error> {
        let mut is_wrong = false;
        while let Some(element) = array.next_element_seed(self)? {
            is_wrong |= element.is_wrong;
        }
        Ok(Found {
            is_wrong,
            ..Found::default()
        })
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Found, A::Error> {
        let (mut is_placeholder, mut number, mut is_wrong) = (false, None, false);
        while let Some(Name(name)) = object.next_key()? {
            let value = object.next_value_seed(self)?;
            is_wrong |= value.is_wrong;
            match &*name {
                "_placeholder" => is_placeholder = value.is_true,
                "num" => number = value.number,
                _ => {}
            }
        }
        let exists = number.is_some_and(|number| number < self.attachments as u64);
        Ok(Found {
            is_wrong: is_wrong || is_placeholder && !exists,
            ..Found::default()
        })
    }
}

/// A field's name, borrowed where it can be.
#[derive(serde::Deserialize)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_are_found_wherever_they_are() {
        for (json, result) in [
            (r#"["m",{"_placeholder":true,"num":1}]"#, Ok(())),
            (
                r#"["m",[{"a":{"num":0,"_placeholder":true}}],-1,0.5,null,"x"]"#,
                Ok(()),
            ),
            (r#"["m",{"_placeholder":false,"num":9}]"#, Ok(())),
            (r#"["m",{"_placeholder":1,"num":9}]"#, Ok(())),
            (
                r#"["m",{"_placeholder":true,"num":2}]"#,
                Err(PacketError::Placeholder),
            ),
            (
                r#"["m",{"_placeholder":true,"num":-1}]"#,
                Err(PacketError::Placeholder),
            ),
            (r#"["m",{"_placeholder":true}]"#, Err(PacketError::Placeholder)),
            (
                r#"["m",{"a":[{"_\u0070laceholder":true,"num":7}]},1]"#,
                Err(PacketError::Placeholder),
            ),
            (r#"["m"]x"#, Err(PacketError::Payload)),
        ] {
            assert_eq!(check(json, 2), result, "{json}");
        }
    }

    #[test]
    fn what_is_nested_too_deep_is_refused_and_takes_no_stack() {
        let nested = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
        assert_eq!(check(&nested(127), 1), Ok(()));
        assert_eq!(check(&nested(128), 1), Err(PacketError::Payload));
        assert_eq!(check(&nested(500_000), 1), Err(PacketError::Payload));
    }
}
