//! For the fuzz target, which knows nothing of what is private.

use std::fmt::Write as _;

use percent_encoding::{NON_ALPHANUMERIC, percent_encode};
use serde::Deserialize;
use serde_json::Map;

use super::{Bound, Clearable, ClearableDate, Date, Object, Params, Texts, Value};

/// A parameter of each type that there is.
#[derive(Debug, Default, Deserialize, PartialEq)]
#[serde(rename_all = "PascalCase", default)]
struct Everything {
    text: Option<String>,
    truth: Option<bool>,
    number: Option<i64>,
    count: Option<u64>,
    date: Option<Date>,
    bound: Option<Bound>,
    clearable: Option<Clearable>,
    clearable_date: Option<ClearableDate>,
    object: Option<Object>,
    texts: Option<Texts>,
    list: Vec<String>,
}

/// A form, written anew from what was read of it, reads the same, and so does a JSON object of the same texts. Nothing that
/// is no form or no JSON does harm.
///
/// # Panics
/// When something reads otherwise.
pub fn check(bytes: &[u8]) {
    if let Ok(params) = Params::from_json(bytes) {
        read(&params);
        same(&params, &form(&params));
    }
    if let Ok(params) = Params::from_form(bytes) {
        read(&params);
        let again = Params::from_form(form_of(&params).as_bytes());
        assert_eq!(
            again.ok().map(|again| again.canonical()),
            Some(params.canonical())
        );
        same(&params, &json(&params));
    }
}

/// Reads the parameters as every type, with and without success.
fn read(params: &Params) -> Option<Everything> {
    for name in ["Text", "Texts", "Object", "List"] {
        if let Ok(Some(list)) = params.list(name, 10) {
            assert!(list.len() <= 10);
            for item in list {
                let _ = Params::from_item(item).map(|params| params.canonical());
            }
        }
    }
    let everything = params.read::<Everything>().ok()?;
    if let Some(bound) = everything.bound {
        assert!(bound.start() <= bound.end());
    }
    Some(everything)
}

/// What both can say reads the same.
fn same(params: &Params, others: &Option<Params>) {
    if let Some(others) = others {
        assert_eq!(read(params), read(others), "{params:?} and {others:?}");
    }
}

/// The form of a JSON object that has nothing but texts and lists of two or more.
fn form(params: &Params) -> Option<Params> {
    let mut fields = Params::default();
    for (name, value) in &params.0 {
        let texts = match value {
            Value::Json(serde_json::Value::String(text)) => vec![text.clone()],
            Value::Json(serde_json::Value::Array(elements)) if name == "List" && elements.len() > 1 => {
                elements
                    .iter()
                    .map(|element| element.as_str().map(str::to_owned))
                    .collect::<Option<_>>()?
            }
            _ => return None,
        };
        fields.0.insert(name.clone(), Value::Form(texts));
    }
    Params::from_form(form_of(&fields).as_bytes()).ok()
}

/// The JSON object of a form. Of what is no list, the last value counts.
fn json(params: &Params) -> Option<Params> {
    let mut object = Map::new();
    for (name, value) in &params.0 {
        let Value::Form(values) = value else { return None };
        let value = match values.as_slice() {
            [.., last] if name != "List" && name != "Texts" || values.len() == 1 => last.clone().into(),
            values => values.into(),
        };
        object.insert(name.clone(), value);
    }
    Params::from_json(serde_json::Value::Object(object).to_string().as_bytes()).ok()
}

fn form_of(params: &Params) -> String {
    let write = |text: &str| percent_encode(text.as_bytes(), NON_ALPHANUMERIC).to_string();
    let mut form = String::new();
    for (name, value) in &params.0 {
        if let Value::Form(values) = value {
            for value in values {
                let _ = write!(form, "{}={}&", write(name), write(value));
            }
        }
    }
    form
}
