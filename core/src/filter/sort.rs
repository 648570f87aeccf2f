//! The order that `Sort` asks for.

use serde_json::Value;

use super::{Document, Field, Subject, parse};
use crate::{
    attribute_indexes::Declared,
    attributes::SortKey,
    error::{Error, Result},
};

/// The most fields to sort by.
const FIELDS: usize = 3;

/// Which end of the values comes first. What is missing is last either way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Direction {
    /// `1`
    Ascending,
    /// `-1`
    Descending,
}

impl Direction {
    /// The other one.
    #[must_use]
    pub fn reversed(self) -> Self {
        match self {
            Self::Ascending => Self::Descending,
            Self::Descending => Self::Ascending,
        }
    }
}

/// A field to sort by.
#[derive(Debug, Clone, PartialEq)]
pub struct SortBy {
    /// Which.
    pub field: Field,
    /// Which way.
    pub direction: Direction,
}

/// What `Sort` asks: up to three fields. What they leave in a tie is in the order of the list without `Sort`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Sort(pub Vec<SortBy>);

fn refused(problem: &str) -> Error {
    Error::parameter("Sort", problem)
}

impl Sort {
    /// Reads `Sort`, a JSON list in a text: `[{"attributes.ticket.priority": -1}, {"date_updated": 1}]`.
    ///
    /// # Errors
    /// 20001 naming `Sort` and the path.
    pub fn parse(text: &str, subject: &'static Subject) -> Result<Self> {
        let shape = "must be a JSON list of 1 to 3 objects with one field each, such as \
                     [{\"attributes.ticket.priority\": -1}, {\"date_updated\": 1}]";
        let value: Value =
            serde_json::from_str(text).map_err(|cause| refused(&format!("is not valid JSON: {cause}")))?;
        let Value::Array(items) = value else {
            return Err(refused(shape));
        };
        if !(1..=FIELDS).contains(&items.len()) {
            return Err(refused(shape));
        }
        let sort_by = |item: &Value| {
            let field = match item {
                Value::Object(fields) if fields.len() == 1 => fields.iter().next(),
                _ => None,
            };
            let (name, direction) = field.ok_or_else(|| refused(shape))?;
            let field = parse::field(subject, name)
                .map_err(|problem| refused(&format!("at {}: {problem}", parse::shown(name))))?;
            let direction = match direction.as_f64() {
                Some(1.0) => Direction::Ascending,
                Some(-1.0) => Direction::Descending,
                _ => {
                    return Err(refused(&format!(
                        "at {}: the direction must be 1 or -1",
                        parse::shown(name)
                    )));
                }
            };
            Ok(SortBy { field, direction })
        };
        items.iter().map(sort_by).collect::<Result<_>>().map(Self)
    }

    /// Adopts what the service has declared, as a filter does.
    pub fn settle(&mut self, declared: &[Declared]) {
        for by in &mut self.0 {
            by.field.settle(declared);
        }
    }

    /// The resource's place in this order.
    #[must_use]
    pub fn place(&self, document: &impl Document) -> Vec<SortKey> {
        self.0
            .iter()
            .map(|by| SortKey::of(&document.find(&by.field)))
            .collect()
    }
}
