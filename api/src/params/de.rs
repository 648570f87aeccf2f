//! From parameters to structs by serde, so that one struct says what is read and what is documented. Whatever goes
//! wrong is said with the parameter's name and its own code.

use std::{collections::BTreeMap, fmt, slice, vec};

use hubbub_core::{Error, ErrorCode};
use serde::{
    Deserializer,
    de::{
        self, DeserializeOwned, DeserializeSeed, IntoDeserializer, MapAccess, SeqAccess, Visitor,
        value::StrDeserializer,
    },
    forward_to_deserialize_any,
};

use super::Value;

/// The code for a wrong value of this parameter.
fn code_for(name: &str) -> ErrorCode {
    match name {
        "ConsumptionReportInterval" => ErrorCode::ConsumptionIntervalFormat,
        "DateCreated" => ErrorCode::DateCreatedInvalid,
        "DateUpdated" => ErrorCode::DateUpdatedInvalid,
        "LastConsumedMessageIndex" => ErrorCode::ConsumedIndex,
        "LastConsumptionTimestamp" => ErrorCode::ConsumptionTimestamp,
        "Limits.ChannelMembers" => ErrorCode::ChannelMembersFormat,
        "Limits.UserChannels" => ErrorCode::UserChannelsFormat,
        "PreWebhookRetryCount" | "PostWebhookRetryCount" | "Configuration.RetryCount" => {
            ErrorCode::WebhookRetryCount
        }
        "TypingIndicatorTimeout" => ErrorCode::TypingTimeoutFormat,
        _ => ErrorCode::InvalidParameter,
    }
}

pub(super) fn read<T: DeserializeOwned>(params: &BTreeMap<String, Value>) -> Result<T, Error> {
    let fields = Fields {
        rest: params.iter(),
        current: None,
    };
    T::deserialize(de::value::MapAccessDeserializer::new(fields)).map_err(|problem| problem.0)
}

type Iter<'a> = std::collections::btree_map::Iter<'a, String, Value>;

struct Fields<'a> {
    rest: Iter<'a>,
    current: Option<(&'a str, &'a Value)>,
}

impl<'de> MapAccess<'de> for Fields<'_> {
    type Error = Problem;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Problem> {
        self.current = self.rest.next().map(|(name, value)| (name.as_str(), value));
        let Some((name, _)) = self.current else {
            return Ok(None);
        };
        let name: StrDeserializer<'_, Problem> = name.into_deserializer();
        seed.deserialize(name).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Problem> {
        let (name, value) = self
            .current
            .take()
            .ok_or_else(|| Problem(Error::internal("a value without its name was asked for")))?;
        seed.deserialize(One(value)).map_err(|problem| {
            let message = format!("{name} {}", problem.0.message());
            Problem(Error::with(code_for(name), message))
        })
    }
}

/// The value of one parameter.
struct One<'a>(&'a Value);

impl<'a> One<'a> {
    fn text(&self) -> Option<&'a str> {
        match self.0 {
            // Of a scalar that is repeated the last one counts.
            Value::Form(values) => values.last().map(String::as_str),
            Value::Json(value) => value.as_str(),
        }
    }

    fn whole_number(&self) -> Option<i64> {
        match self.0 {
            Value::Json(serde_json::Value::Number(number)) => number.as_i64(),
            _ => self.text()?.parse().ok(),
        }
    }

    fn truth(&self) -> Option<bool> {
        match self.0 {
            Value::Json(serde_json::Value::Bool(truth)) => Some(*truth),
            _ => match self.text()? {
                text if text.eq_ignore_ascii_case("true") => Some(true),
                text if text.eq_ignore_ascii_case("false") => Some(false),
                _ => None,
            },
        }
    }
}

/// Neither database keeps a NUL character in a text.
fn printable(text: &str) -> Result<&str, Problem> {
    if text.contains('\0') {
        Err(must("must not contain a NUL character"))
    } else {
        Ok(text)
    }
}

fn must(be: &'static str) -> Problem {
    Problem(Error::with(ErrorCode::InvalidParameter, be))
}

impl<'de> Deserializer<'de> for One<'_> {
    type Error = Problem;

    /// A text or a whole number, whichever it is.
    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        match self.0 {
            Value::Json(serde_json::Value::Number(_)) => self.deserialize_i64(visitor),
            _ => self.deserialize_str(visitor),
        }
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        visitor.visit_str(printable(self.text().ok_or_else(|| must("must be a text"))?)?)
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        self.deserialize_str(visitor)
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        visitor.visit_bool(self.truth().ok_or_else(|| must("must be true or false"))?)
    }

    fn deserialize_i64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        visitor.visit_i64(
            self.whole_number()
                .ok_or_else(|| must("must be a whole number"))?,
        )
    }

    fn deserialize_u64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        let number = self.whole_number().and_then(|number| u64::try_from(number).ok());
        visitor.visit_u64(number.ok_or_else(|| must("must be a whole number of 0 or more"))?)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        match self.0 {
            Value::Form(values) => visitor.visit_seq(Texts(values.iter())),
            Value::Json(serde_json::Value::String(text)) => {
                visitor.visit_seq(Texts(slice::from_ref(text).iter()))
            }
            Value::Json(serde_json::Value::Array(values)) => {
                let values: Vec<Value> = values.iter().cloned().map(Value::Json).collect();
                visitor.visit_seq(Values(values.into_iter()))
            }
            Value::Json(_) => Err(must("must be a list of texts")),
        }
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        let object = match self.0 {
            Value::Json(object @ serde_json::Value::Object(_)) => object.clone(),
            _ => match self.text() {
                Some("") => serde_json::Value::Object(serde_json::Map::new()),
                text => text
                    .and_then(|text| serde_json::from_str(text).ok())
                    .filter(serde_json::Value::is_object)
                    .ok_or_else(|| must("must be a JSON object"))?,
            },
        };
        object.deserialize_map(visitor).map_err(de::Error::custom)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        visitor.visit_some(self)
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        visitor.visit_unit()
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Problem> {
        visitor.visit_newtype_struct(self)
    }

    forward_to_deserialize_any! {
        i8 i16 i32 i128 u8 u16 u32 u128 f32 f64 char bytes byte_buf unit unit_struct tuple tuple_struct struct
        enum identifier
    }
}

struct Texts<'a>(slice::Iter<'a, String>);

impl<'de> SeqAccess<'de> for Texts<'_> {
    type Error = Problem;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Problem> {
        let Some(text) = self.0.next() else {
            return Ok(None);
        };
        let text: StrDeserializer<'_, Problem> = printable(text)?.into_deserializer();
        seed.deserialize(text).map(Some)
    }
}

struct Values(vec::IntoIter<Value>);

impl<'de> SeqAccess<'de> for Values {
    type Error = Problem;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Problem> {
        let Some(value) = self.0.next() else {
            return Ok(None);
        };
        let Value::Json(serde_json::Value::String(_)) = value else {
            return Err(must("must be a list of texts"));
        };
        seed.deserialize(One(&value)).map(Some)
    }
}

/// An error on its way through serde.
struct Problem(Error);

impl de::Error for Problem {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self(Error::with(ErrorCode::InvalidParameter, message.to_string()))
    }

    fn missing_field(field: &'static str) -> Self {
        // What Twilio says.
        Self::custom(format_args!(
            "Missing required parameter {field} in the post body"
        ))
    }
}

impl fmt::Debug for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl std::error::Error for Problem {}
