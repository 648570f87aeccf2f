//! A row of an upload: a user, and what to set in its attributes.

use serde_json::Value;

use super::Rejected;
use crate::{input::Identity, users::Setting};

/// A row of an upload.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Row {
    /// The line that it begins in, from 1.
    pub(super) line: u64,
    pub(super) identity: Identity,
    pub(super) settings: Vec<Setting>,
}

pub(super) fn rejected(line: u64, message: impl Into<String>) -> Rejected {
    Rejected {
        line,
        message: message.into(),
    }
}

/// The identity that a row gives.
pub(super) fn identity(line: u64, text: &str) -> std::result::Result<Identity, Rejected> {
    Identity::parse(text).map_err(|refused| rejected(line, format!("identity: {}", refused.message())))
}

/// An attribute at the top.
pub(super) fn attribute(name: String, value: Value) -> Setting {
    Setting {
        path: vec![name],
        value,
    }
}
