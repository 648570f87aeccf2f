//! What can be asked of an item in SQL, with exactly the meaning that the filter has: of its row, of its entries in
//! declared indexes, and of the elements of its arrays.

use super::{key_test::KeyTest, own::OwnTerm, table::Tie};
use crate::{attributes::SortKey, filter::Test, sid::AttributeIndexSid};

/// A condition on an item.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Term {
    /// On its own row.
    Own(OwnTerm),
    /// On its entry in an index: all of these.
    Entry(AttributeIndexSid, Vec<KeyTest>),
    /// Its array has this element.
    Element(AttributeIndexSid, SortKey),
    /// The user is a member of it, a channel.
    Joined(String),
    /// Its place in the list without `Sort` has this order to another.
    Tie(&'static str, Tie),
    All(Vec<Term>),
    Any(Vec<Term>),
    Not(Box<Term>),
}

impl Term {
    /// What never holds.
    pub(super) fn never() -> Self {
        Self::Any(Vec::new())
    }

    /// The test of a filter on a declared index; `None` when the index cannot tell.
    pub(super) fn of_entry(index: AttributeIndexSid, instants: bool, test: &Test) -> Option<Self> {
        Some(match test {
            Test::Equals(None) => Self::Entry(index, KeyTest::missing()),
            Test::Equals(Some(operand)) => Self::Entry(index, KeyTest::is(&operand.into())),
            Test::OneOf(operands) => Self::Entry(index, KeyTest::one_of(operands)),
            Test::Compares(relation, operand) => Self::Entry(index, KeyTest::compares(*relation, operand)),
            Test::Exists => Self::Entry(index, vec![KeyTest::Present(true)]),
            // To the index, a text that is a date is a point in time.
            Test::StartsWith(_) if instants => return None,
            Test::StartsWith(prefix) => Self::Entry(index, KeyTest::starts_with(prefix)),
            Test::Contains(operand) => Self::Element(index, operand.into()),
        })
    }

    /// Whether it finds its items by an index of the database.
    pub(super) fn seeks(&self) -> bool {
        match self {
            Self::Own(own) => own.seeks(),
            Self::Entry(_, tests) => tests.iter().any(KeyTest::narrows),
            Self::Element(..) => true,
            Self::Joined(_) | Self::Tie(..) | Self::All(_) | Self::Any(_) | Self::Not(_) => false,
        }
    }

    /// Whether it is about one value, so that an index has its items in the order of their ids.
    pub(super) fn is_one_value(&self) -> bool {
        match self {
            Self::Entry(_, tests) => tests.iter().any(|test| matches!(test, KeyTest::Key(" = ", _))),
            Self::Element(..) => true,
            _ => false,
        }
    }

    /// Whether the item's own row is enough to tell.
    pub(super) fn is_own(&self) -> bool {
        match self {
            Self::Own(_) | Self::Joined(_) | Self::Tie(..) => true,
            Self::Entry(..) | Self::Element(..) => false,
            Self::All(terms) | Self::Any(terms) => terms.iter().all(Self::is_own),
            Self::Not(term) => term.is_own(),
        }
    }

    /// The declared indexes that it reads.
    pub(super) fn indexes(&self, into: &mut Vec<AttributeIndexSid>) {
        match self {
            Self::Own(_) | Self::Joined(_) | Self::Tie(..) => {}
            Self::Entry(index, _) | Self::Element(index, _) => into.push(*index),
            Self::All(terms) | Self::Any(terms) => terms.iter().for_each(|term| term.indexes(into)),
            Self::Not(term) => term.indexes(into),
        }
    }
}

/// The terms of a conjunction one by one, those of one index put together so that they are one stretch of it.
pub(super) fn conjuncts(term: Option<Term>) -> Vec<Term> {
    let mut flat = Vec::new();
    let mut waiting: Vec<Term> = term.into_iter().collect();
    while let Some(term) = waiting.pop() {
        match term {
            Term::All(inner) => waiting.extend(inner),
            term => add(&mut flat, term),
        }
    }
    flat
}

/// Adds a term to a conjunction.
pub(super) fn add(conjuncts: &mut Vec<Term>, term: Term) {
    if let Term::Entry(index, tests) = term {
        if tests.is_empty() {
            return;
        }
        let known = conjuncts.iter_mut().find_map(|known| match known {
            Term::Entry(of, known) if *of == index => Some(known),
            _ => None,
        });
        match known {
            Some(known) => known.extend(tests),
            None => conjuncts.push(Term::Entry(index, tests)),
        }
    } else {
        conjuncts.push(term);
    }
}
