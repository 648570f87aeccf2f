//! Texts with fields of a user in them: `Dear {{user.friendly_name|customer}}`.
//!
//! A text is read once, when it is saved; what cannot be filled in is refused then, by its place. What a user lacks is
//! told when the text is filled in for it.

mod document;

use std::fmt;

use serde_json::Value;

pub use document::DocumentTemplate;

use crate::{
    attributes::AttributePath,
    error::{Error, Result},
};

const OPEN: &str = "{{";
const CLOSE: &str = "}}";
const KNOWN: &str = "user.identity, user.friendly_name or user.attributes. and a path";

/// Whom a text is filled in for.
#[derive(Debug, Clone, Copy)]
pub struct Person<'a> {
    /// `user.identity`
    pub identity: &'a str,
    /// `user.friendly_name`
    pub friendly_name: Option<&'a str>,
    /// `user.attributes`
    pub attributes: &'a Value,
}

/// A field that the user lacks, and for which the text has no default.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{name} is missing and {{{{{name}}}}} has no default; write {{{{{name}|text}}}}")]
pub struct MissingField {
    /// Its name: `user.attributes.city`.
    pub name: String,
}

/// A field of a user.
#[derive(Debug, Clone, PartialEq)]
enum Field {
    Identity,
    FriendlyName,
    Attribute(AttributePath),
}

impl Field {
    fn parse(name: &str) -> Option<Self> {
        match name {
            "user.identity" => Some(Self::Identity),
            "user.friendly_name" => Some(Self::FriendlyName),
            _ => {
                let path = name.strip_prefix("user.attributes.")?;
                path.parse().ok().map(Self::Attribute)
            }
        }
    }

    /// Writes the person's value; false when there is none.
    fn write(&self, person: &Person<'_>, into: &mut String) -> bool {
        match self {
            Self::Identity => into.push_str(person.identity),
            Self::FriendlyName => match person.friendly_name {
                Some(name) => into.push_str(name),
                None => return false,
            },
            Self::Attribute(path) => {
                let mut value = person.attributes;
                for segment in path.as_str().split('.') {
                    match value.as_object().and_then(|object| object.get(segment)) {
                        Some(inner) => value = inner,
                        None => return false,
                    }
                }
                match value {
                    Value::Null => return false,
                    Value::String(text) => into.push_str(text),
                    value => into.push_str(&value.to_string()),
                }
            }
        }
        true
    }
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Identity => f.write_str("user.identity"),
            Self::FriendlyName => f.write_str("user.friendly_name"),
            Self::Attribute(path) => write!(f, "user.attributes.{path}"),
        }
    }
}

#[derive(Debug, Clone, PartialEq)]
enum Part {
    Text(String),
    Field(Field, Option<String>),
}

/// A text with fields of a user in it.
#[derive(Debug, Clone, PartialEq)]
pub struct Template {
    parts: Vec<Part>,
}

impl Template {
    /// Reads the text of the parameter `field`. `{{name}}` is a field, `{{name|default}}` one with what stands in for
    /// it; blanks around both are dropped. Everything else stands for itself.
    ///
    /// # Errors
    /// 20001 naming `field`, the place in characters from 1, and what to write.
    pub fn parse(field: &str, text: &str) -> Result<Self> {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some(at) = rest.find(OPEN) {
            let place = text[..text.len() - rest.len() + at].chars().count() + 1;
            let behind = &rest[at + OPEN.len()..];
            let end = behind.find(CLOSE).ok_or_else(|| {
                Error::parameter(
                    field,
                    &format!("has {OPEN} at character {place} without {CLOSE} behind it: write {OPEN}user.identity{CLOSE}"),
                )
            })?;
            if at > 0 {
                parts.push(Part::Text(rest[..at].to_owned()));
            }
            parts.push(
                placeholder(&behind[..end]).map_err(|problem| {
                    Error::parameter(field, &format!("at character {place}: {problem}"))
                })?,
            );
            rest = &behind[end + CLOSE.len()..];
        }
        if !rest.is_empty() {
            parts.push(Part::Text(rest.to_owned()));
        }
        Ok(Self { parts })
    }

    /// The text for this person.
    ///
    /// # Errors
    /// The first field that it lacks and for which there is no default.
    pub fn render(&self, person: &Person<'_>) -> std::result::Result<String, MissingField> {
        let mut text = String::new();
        for part in &self.parts {
            match part {
                Part::Text(plain) => text.push_str(plain),
                Part::Field(field, default) => {
                    if !field.write(person, &mut text) {
                        match default {
                            Some(default) => text.push_str(default),
                            None => {
                                return Err(MissingField {
                                    name: field.to_string(),
                                });
                            }
                        }
                    }
                }
            }
        }
        Ok(text)
    }

    /// Whether it is the same for everybody.
    #[must_use]
    pub fn is_constant(&self) -> bool {
        self.parts.iter().all(|part| matches!(part, Part::Text(_)))
    }
}

/// Reads what is between the braces.
fn placeholder(inside: &str) -> std::result::Result<Part, String> {
    let (name, default) = match inside.split_once('|') {
        Some((name, default)) => (name.trim(), Some(default.trim().to_owned())),
        None => (inside.trim(), None),
    };
    let shown: String = name.chars().take(80).collect();
    let field = Field::parse(name).ok_or_else(|| match name.strip_prefix("user.attributes.") {
        Some(_) => format!(
            "'{shown}' is no field; a path has 1 to 8 names of letters, digits, '_' or '-' with dots between them"
        ),
        None => format!("'{shown}' is no field; write {KNOWN}"),
    })?;
    Ok(Part::Field(field, default))
}

#[cfg(test)]
mod tests;
