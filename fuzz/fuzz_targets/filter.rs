//! The query language: whatever is accepted means something, and its negation the opposite.

#![no_main]

use hubbub_core::{
    attributes::Scalar,
    filter::{CHANNELS, Document, Filter, OwnField, Sort},
};
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

struct Anything(Value);

impl Document for Anything {
    fn own(&self, _: &OwnField) -> Option<Scalar> {
        None
    }

    fn attributes(&self) -> &Value {
        &self.0
    }
}

fuzz_target!(|input: (&str, &str)| {
    let (filter, attributes) = input;
    let _ = Sort::parse(filter, &CHANNELS);
    let Ok(parsed) = Filter::parse(filter, &CHANNELS) else {
        return;
    };
    // One level more may be one too many.
    let Ok(opposite) = Filter::parse(&format!("{{\"$not\":{filter}}}"), &CHANNELS) else {
        return;
    };
    let attributes = serde_json::from_str(attributes).unwrap_or(Value::Null);
    let document = Anything(attributes);
    assert_ne!(parsed.matches(&document), opposite.matches(&document));
});
