//! What of a filter the database can tell: from the items' own rows, and from declared indexes that are ready.

use super::term::Term;
use crate::{
    attribute_indexes::Declared,
    attributes::AttributePath,
    filter::{Condition, Field, Filter, Node, Test},
};

/// As much of a filter as the database can tell.
pub(super) struct Served {
    /// What every item that is meant answers to; `None` when nothing narrows them.
    pub(super) term: Option<Term>,
    /// Whether an item that answers to it is meant.
    pub(super) exact: bool,
}

impl Served {
    /// Reads the filter.
    pub(super) fn of(filter: &Filter, declared: &[Declared]) -> Self {
        node(filter.root(), false, &|condition| leaf(condition, declared))
    }

    /// Reads what the filter asks of attributes; of fields of the items' own nothing is told.
    pub(super) fn of_attributes(filter: &Filter, declared: &[Declared]) -> Self {
        node(filter.root(), false, &|condition| match condition.field {
            Field::Own(_) => None,
            Field::Attribute { .. } => leaf(condition, declared),
        })
    }

    fn everything() -> Self {
        Self {
            term: None,
            exact: true,
        }
    }

    fn unknown() -> Self {
        Self {
            term: None,
            exact: false,
        }
    }

    fn exactly(term: Term) -> Self {
        Self {
            term: Some(term),
            exact: true,
        }
    }
}

/// The index that answers for this path.
pub(super) fn ready<'d>(declared: &'d [Declared], path: &AttributePath) -> Option<&'d Declared> {
    declared.iter().find(|index| index.ready && index.path == *path)
}

/// What tells a condition.
type Leaf<'l> = dyn Fn(&Condition) -> Option<Term> + 'l;

/// Whether the database can tell the condition.
pub(super) fn is_told(condition: &Condition, declared: &[Declared]) -> bool {
    leaf(condition, declared).is_some()
}

/// The negation goes down to the conditions: of what is not all of several things, and of what is none of several,
/// more can be told than of a negation as a whole.
fn node(of: &Node, negated: bool, leaf: &Leaf<'_>) -> Served {
    match of {
        Node::Not(inner) => node(inner, !negated, leaf),
        Node::All(nodes) if !negated => all(nodes, negated, leaf),
        Node::Any(nodes) if negated => all(nodes, negated, leaf),
        Node::All(nodes) | Node::Any(nodes) => any(nodes, negated, leaf),
        Node::Is(condition) => match leaf(condition) {
            Some(term) if negated => Served::exactly(Term::Not(Box::new(term))),
            Some(term) => Served::exactly(term),
            None => Served::unknown(),
        },
    }
}

fn all(nodes: &[Node], negated: bool, leaf: &Leaf<'_>) -> Served {
    let mut served = Served::everything();
    let mut terms = Vec::new();
    for of in nodes {
        let part = node(of, negated, leaf);
        served.exact &= part.exact;
        terms.extend(part.term);
    }
    served.term = (!terms.is_empty()).then_some(Term::All(terms));
    served
}

fn any(nodes: &[Node], negated: bool, leaf: &Leaf<'_>) -> Served {
    let mut terms = Vec::new();
    let (mut exact, mut open) = (true, None);
    for of in nodes {
        let part = node(of, negated, leaf);
        exact &= part.exact;
        match part.term {
            Some(term) => terms.push(term),
            // One that is always true is enough; one that nothing is known of spoils what is known of the others.
            None if part.exact => return Served::everything(),
            None => open = Some(Served::unknown()),
        }
    }
    open.unwrap_or(Served {
        term: Some(Term::Any(terms)),
        exact,
    })
}

fn leaf(condition: &Condition, declared: &[Declared]) -> Option<Term> {
    match &condition.field {
        Field::Own(field) => {
            let term = Term::Own(super::own::OwnTerm::of(field, &condition.test));
            Some(match &condition.test {
                Test::OneOf(operands) if operands.contains(&None) => {
                    Term::Any(vec![term, Term::Own(super::own::OwnTerm::null(field, true))])
                }
                _ => term,
            })
        }
        Field::Attribute { path, instants } => {
            let index = ready(declared, path)?;
            Term::of_entry(index.id, *instants, &condition.test)
        }
    }
}
