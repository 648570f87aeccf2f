//! Attributes as a language: paths into their JSON, the values found there, and the order among values.
//!
//! A filter, a sort and a declared index all read attributes through this module, so that they cannot disagree.

mod key;
mod path;
mod scalar;

pub use key::{KEY_BYTES, MISSING_KEY, SortKey};
pub use path::AttributePath;
pub use scalar::{Found, Number, Scalar};

use serde_json::Value;

/// Reads the text of a resource's attributes. What no queryable value can be taken from (nested deeper than 127
/// levels, or a number out of the range of a double) counts as attributes without any path.
#[must_use]
pub fn read(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or(Value::Null)
}
