//! The language of `Filter` and `Sort`: what is asked of a list, and whether a resource is meant by it.
//!
//! Nothing here knows the database. A filter is evaluated on one resource, with exactly one meaning; whatever the
//! database does to find candidates sooner must agree with it.

mod own;
mod parse;
mod sort;

use std::cmp::Ordering;

use serde_json::Value;

pub use own::{CHANNELS, Kind, MEMBERS, MESSAGES, OwnField, Subject, USER_CHANNELS, USERS};
pub use sort::{Direction, Sort, SortBy};

use crate::{
    attribute_indexes::Declared,
    attributes::{AttributePath, Found, Scalar},
};

/// Where a condition or a sort looks.
#[derive(Debug, Clone, PartialEq)]
pub enum Field {
    /// A field of the resource's own.
    Own(&'static OwnField),
    /// A path into its attributes.
    Attribute {
        /// The path.
        path: AttributePath,
        /// Whether texts that are dates are points in time there: an index of type `datetime` is declared over it.
        instants: bool,
    },
}

impl Field {
    /// The name in filters.
    #[must_use]
    pub fn name(&self) -> String {
        match self {
            Self::Own(field) => field.name.to_owned(),
            Self::Attribute { path, .. } => format!("{}{path}", parse::ATTRIBUTES),
        }
    }

    /// Whether texts that are dates are points in time there.
    fn settle(&mut self, declared: &[Declared]) -> bool {
        match self {
            Self::Own(_) => false,
            Self::Attribute { path, instants } => {
                *instants = declared.iter().any(|index| index.instants && index.path == *path);
                *instants
            }
        }
    }
}

/// A resource as a filter sees it.
pub trait Document {
    /// The value of a field of its own; null is none.
    fn own(&self, field: &OwnField) -> Option<Scalar>;

    /// Its attributes.
    fn attributes(&self) -> &Value;

    /// What lies at the field.
    fn find(&self, field: &Field) -> Found<'_> {
        match field {
            Field::Own(field) => self.own(field).map_or(Found::Missing, Found::Scalar),
            Field::Attribute { path, instants } => path.find(self.attributes(), *instants),
        }
    }
}

/// What is compared with: a value, or `None` for null, which is equal to what is missing.
pub type Operand = Option<Scalar>;

/// An order that two values of one type must have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Relation {
    /// `$lt`
    Less,
    /// `$lte`
    AtMost,
    /// `$gt`
    Greater,
    /// `$gte`
    AtLeast,
}

impl Relation {
    /// Whether a value that has this order to another stands in the relation.
    #[must_use]
    pub fn admits(self, order: Ordering) -> bool {
        match self {
            Self::Less => order.is_lt(),
            Self::AtMost => order.is_le(),
            Self::Greater => order.is_gt(),
            Self::AtLeast => order.is_ge(),
        }
    }
}

/// What is asked of the value at a field.
#[derive(Debug, Clone, PartialEq)]
pub enum Test {
    /// `$eq`
    Equals(Operand),
    /// `$in`
    OneOf(Vec<Operand>),
    /// `$lt`, `$lte`, `$gt`, `$gte`
    Compares(Relation, Scalar),
    /// `$exists`
    Exists,
    /// `$prefix`
    StartsWith(String),
    /// `$contains`
    Contains(Scalar),
}

/// One test of one field.
#[derive(Debug, Clone, PartialEq)]
pub struct Condition {
    /// Where.
    pub field: Field,
    /// What.
    pub test: Test,
}

/// A filter's tree. `$ne`, `$nin` and `$exists: false` are negations of their opposites, so they are exact complements.
#[derive(Debug, Clone, PartialEq)]
pub enum Node {
    /// Every one of them; none of them is always true.
    All(Vec<Node>),
    /// At least one of them.
    Any(Vec<Node>),
    /// The opposite.
    Not(Box<Node>),
    /// A condition.
    Is(Condition),
}

/// What `Filter` asks.
#[derive(Debug, Clone, PartialEq)]
pub struct Filter {
    root: Node,
}

impl Filter {
    /// The filter that everything matches.
    #[must_use]
    pub fn everything() -> Self {
        Self {
            root: Node::All(Vec::new()),
        }
    }

    /// The tree.
    #[must_use]
    pub fn root(&self) -> &Node {
        &self.root
    }

    /// Adopts what the service has declared: over a path with an index of type `datetime`, dates are points in time.
    pub fn settle(&mut self, declared: &[Declared]) {
        self.root.visit_mut(&mut |condition| {
            if condition.field.settle(declared) {
                condition.test.with_instants();
            }
        });
    }

    /// Whether the resource is meant.
    #[must_use]
    pub fn matches(&self, document: &impl Document) -> bool {
        self.root.matches(document)
    }

    /// Every condition, from left to right.
    pub fn conditions(&self, visit: &mut impl FnMut(&Condition)) {
        self.root.visit(visit);
    }
}

impl Node {
    fn visit(&self, visit: &mut impl FnMut(&Condition)) {
        match self {
            Self::All(nodes) | Self::Any(nodes) => nodes.iter().for_each(|node| node.visit(visit)),
            Self::Not(node) => node.visit(visit),
            Self::Is(condition) => visit(condition),
        }
    }

    fn visit_mut(&mut self, visit: &mut impl FnMut(&mut Condition)) {
        match self {
            Self::All(nodes) | Self::Any(nodes) => nodes.iter_mut().for_each(|node| node.visit_mut(visit)),
            Self::Not(node) => node.visit_mut(visit),
            Self::Is(condition) => visit(condition),
        }
    }

    fn matches(&self, document: &impl Document) -> bool {
        match self {
            Self::All(nodes) => nodes.iter().all(|node| node.matches(document)),
            Self::Any(nodes) => nodes.iter().any(|node| node.matches(document)),
            Self::Not(node) => !node.matches(document),
            Self::Is(condition) => condition.matches(document),
        }
    }
}

impl Condition {
    fn matches(&self, document: &impl Document) -> bool {
        let instants = matches!(&self.field, Field::Attribute { instants: true, .. });
        let found = document.find(&self.field);
        match &self.test {
            Test::Equals(operand) => equals(&found, operand),
            Test::OneOf(operands) => operands.iter().any(|operand| equals(&found, operand)),
            Test::Compares(relation, operand) => match &found {
                Found::Scalar(scalar) => scalar
                    .compare(operand)
                    .is_some_and(|order| relation.admits(order)),
                Found::Missing | Found::Composite(_) => false,
            },
            Test::Exists => found != Found::Missing,
            // A date is still the text that it is written as.
            Test::StartsWith(prefix) if instants => {
                let plain = match &self.field {
                    Field::Attribute { path, .. } => path.find(document.attributes(), false),
                    Field::Own(_) => found,
                };
                starts_with(&plain, prefix)
            }
            Test::StartsWith(prefix) => starts_with(&found, prefix),
            Test::Contains(operand) => match found {
                Found::Composite(Value::Array(elements)) => elements
                    .iter()
                    .any(|element| Scalar::of(element, instants).as_ref() == Some(operand)),
                _ => false,
            },
        }
    }
}

fn equals(found: &Found<'_>, operand: &Operand) -> bool {
    match (found, operand) {
        (Found::Missing, None) => true,
        (Found::Scalar(scalar), Some(operand)) => scalar == operand,
        _ => false,
    }
}

fn starts_with(found: &Found<'_>, prefix: &str) -> bool {
    matches!(found, Found::Scalar(Scalar::Text(text)) if text.starts_with(prefix))
}

impl Test {
    /// Takes texts that are dates for points in time.
    fn with_instants(&mut self) {
        let settle = |operand: &mut Scalar| {
            if let Scalar::Text(text) = operand
                && let Some(moment) = crate::timestamp::Timestamp::parse(text)
            {
                *operand = Scalar::Instant(moment);
            }
        };
        match self {
            Self::Equals(operand) => operand.iter_mut().for_each(settle),
            Self::OneOf(operands) => operands.iter_mut().flatten().for_each(settle),
            Self::Compares(_, operand) | Self::Contains(operand) => settle(operand),
            Self::Exists | Self::StartsWith(_) => {}
        }
    }

    /// The values that it compares with.
    pub fn operands(&self) -> impl Iterator<Item = &Scalar> {
        let (one, many): (Option<&Scalar>, &[Operand]) = match self {
            Self::Equals(operand) => (operand.as_ref(), &[]),
            Self::OneOf(operands) => (None, operands),
            Self::Compares(_, operand) | Self::Contains(operand) => (Some(operand), &[]),
            Self::Exists | Self::StartsWith(_) => (None, &[]),
        };
        one.into_iter().chain(many.iter().flatten())
    }
}

#[cfg(test)]
mod tests;
