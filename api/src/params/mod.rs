//! Parameters of a request. A form and a JSON object of the same names read the same.

mod de;
#[cfg(fuzzing)]
mod fuzzing;
mod types;

use std::collections::BTreeMap;

use hubbub_core::{Error, ErrorCode, Result};
use percent_encoding::percent_decode;
use serde::de::DeserializeOwned;

#[cfg(fuzzing)]
pub use fuzzing::check as fuzz;
pub(crate) use types::{Bound, Clearable, ClearableDate, Date, Object, Texts};

/// Parameters by name.
#[derive(Debug, Default)]
pub(crate) struct Params(BTreeMap<String, Value>);

/// What was given under one name.
#[derive(Debug, Clone)]
enum Value {
    /// Every value of the name in a form, in order; never empty.
    Form(Vec<String>),
    /// The value in a JSON object; never null.
    Json(serde_json::Value),
}

impl Params {
    /// Reads `application/x-www-form-urlencoded`: blanks as `+` or `%20`, lists by repeating the name.
    ///
    /// # Errors
    /// 20001 when a percent sign does not begin an encoded byte, or the text is not UTF-8.
    pub(crate) fn from_form(bytes: &[u8]) -> Result<Self> {
        let mut params = BTreeMap::new();
        for pair in bytes.split(|&byte| byte == b'&').filter(|pair| !pair.is_empty()) {
            let mut halves = pair.splitn(2, |&byte| byte == b'=');
            let name = decode("A parameter's name", halves.next().unwrap_or_default())?;
            let value = decode(&name, halves.next().unwrap_or_default())?;
            match params.entry(name).or_insert_with(|| Value::Form(Vec::new())) {
                Value::Form(values) => values.push(value),
                Value::Json(_) => {}
            }
        }
        Ok(Self(params))
    }

    /// Reads `application/json`: one object. A null is as good as absent.
    ///
    /// # Errors
    /// 20001 when it is not a JSON object.
    pub(crate) fn from_json(bytes: &[u8]) -> Result<Self> {
        let refused = |why: String| Error::with(ErrorCode::InvalidParameter, why);
        match serde_json::from_slice(bytes) {
            Ok(serde_json::Value::Object(fields)) => Ok(Self(
                fields
                    .into_iter()
                    .filter(|(_, value)| !value.is_null())
                    .map(|(name, value)| (name, Value::Json(value)))
                    .collect(),
            )),
            Ok(_) => Err(refused("The body must be a JSON object of parameters".to_owned())),
            Err(cause) => Err(refused(format!("The body is not valid JSON: {cause}"))),
        }
    }

    /// Reads one item of a list: an object whose names are those of the parameters in snake_case.
    ///
    /// # Errors
    /// 20001 when it is no object.
    pub(crate) fn from_item(item: serde_json::Value) -> Result<Self> {
        match item {
            serde_json::Value::Object(fields) => Ok(Self(
                fields
                    .into_iter()
                    .filter(|(_, value)| !value.is_null())
                    .map(|(name, value)| (pascal_case(&name), Value::Json(value)))
                    .collect(),
            )),
            _ => Err(Error::with(ErrorCode::InvalidParameter, "must be an object")),
        }
    }

    /// The JSON list of this name: as it is in a JSON body, or as its text. `None` when it is not given.
    ///
    /// # Errors
    /// 20001 with its name when it is no list, or has more than `most` elements.
    pub(crate) fn list(&self, name: &str, most: usize) -> Result<Option<Vec<serde_json::Value>>> {
        let refused = || Error::parameter(name, &format!("must be a JSON list of at most {most} objects"));
        let list = match self.0.get(name) {
            None => return Ok(None),
            Some(Value::Form(texts)) => match texts.as_slice() {
                [text] => serde_json::from_str(text).map_err(|_| refused())?,
                _ => return Err(refused()),
            },
            Some(Value::Json(serde_json::Value::String(text))) => {
                serde_json::from_str(text).map_err(|_| refused())?
            }
            Some(Value::Json(value)) => value.clone(),
        };
        match list {
            serde_json::Value::Array(elements) if elements.len() <= most => Ok(Some(elements)),
            _ => Err(refused()),
        }
    }

    /// A text that is the same for the same parameters, whatever their order.
    pub(crate) fn canonical(&self) -> String {
        format!("{:?}", self.0)
    }

    /// The parameters as a `T`. Those that it does not know are ignored.
    ///
    /// # Errors
    /// 20001, or the catalogue's own code for the parameter, with its name, when one is missing or wrong.
    pub(crate) fn read<T: DeserializeOwned>(&self) -> Result<T> {
        de::read(&self.0)
    }
}

/// `role_sid` as parameters have it: `RoleSid`.
fn pascal_case(name: &str) -> String {
    name.split('_')
        .flat_map(|word| {
            let mut letters = word.chars();
            let first = letters.next().map(|letter| letter.to_ascii_uppercase());
            first.into_iter().chain(letters)
        })
        .collect()
}

fn decode(name: &str, text: &[u8]) -> Result<String> {
    let mut rest = text;
    while let Some(at) = rest.iter().position(|&byte| byte == b'%') {
        rest = match rest.get(at + 1..at + 3) {
            Some(digits) if digits.iter().all(u8::is_ascii_hexdigit) => &rest[at + 3..],
            _ => {
                return Err(Error::parameter(
                    name,
                    "has a percent sign that is not followed by two hexadecimal digits",
                ));
            }
        };
    }
    let blanks: Vec<u8> = text
        .iter()
        .map(|&byte| if byte == b'+' { b' ' } else { byte })
        .collect();
    match percent_decode(&blanks).decode_utf8() {
        Ok(decoded) => Ok(decoded.into_owned()),
        Err(_) => Err(Error::parameter(name, "is not UTF-8")),
    }
}

#[cfg(test)]
mod tests;
