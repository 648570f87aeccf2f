//! The order that was asked for, taken apart: one key after the other, each in stretches.

use super::{
    key_test::KeyTest,
    own::OwnTerm,
    table::{Place, Table},
    term::Term,
};
use crate::{
    attribute_indexes::Declared,
    attributes::{KEY_BYTES, MISSING_KEY, SortKey},
    filter::{Direction, Field, OwnField, Relation, Sort, SortBy, Test},
    sid::AttributeIndexSid,
};

/// Where the database has a key of the order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum By {
    Own(&'static OwnField),
    Entry(AttributeIndexSid),
}

/// A key of the order, and its direction as the page reads it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) by: By,
    pub(super) descending: bool,
}

/// The order that a page is read in.
pub(super) struct Order {
    pub(super) parts: Vec<Part>,
    pub(super) backward: bool,
}

/// How far items of one group are ordered already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// By nothing of this key yet.
    Key(usize),
    /// By the beginning of a long text, not by its rest.
    Rest(usize),
    /// By every key.
    Tie,
}

/// A stretch of a key's values.
pub(super) enum Stretch {
    /// Values that are to be ordered.
    Ordered(Vec<Term>),
    /// One group: nothing in it differs at this key.
    Group(Vec<Term>, Step),
}

impl Order {
    /// The order as the database can read it; `None` when there is no ready index over some path.
    pub(super) fn of(sort: &Sort, declared: &[Declared], backward: bool) -> Option<Self> {
        let part = |sort: &SortBy| {
            let by = match &sort.field {
                Field::Own(field) => By::Own(field),
                Field::Attribute { path, .. } => By::Entry(super::served::ready(declared, path)?.id),
            };
            Some(Part {
                by,
                descending: (sort.direction == Direction::Descending) != backward,
            })
        };
        Some(Self {
            parts: sort.0.iter().map(part).collect::<Option<_>>()?,
            backward,
        })
    }

    /// No order of the database's: items are put in order in memory.
    pub(super) fn in_memory(backward: bool) -> Self {
        Self {
            parts: Vec::new(),
            backward,
        }
    }

    /// The declared indexes that it reads.
    pub(super) fn indexes(&self, into: &mut Vec<AttributeIndexSid>) {
        into.extend(self.parts.iter().filter_map(|part| match part.by {
            By::Own(_) => None,
            By::Entry(index) => Some(index),
        }));
    }

    /// Where it begins.
    pub(super) fn first(&self) -> Step {
        self.at(0)
    }

    fn at(&self, number: usize) -> Step {
        if number < self.parts.len() {
            Step::Key(number)
        } else {
            Step::Tie
        }
    }

    fn group_of(&self, number: usize, key: &SortKey) -> Stretch {
        let next = self.at(number + 1);
        match self.parts[number].by {
            By::Own(field) => Stretch::Group(vec![equal(field, key)], next),
            By::Entry(index) if key.is_placed() => {
                let tests = vec![KeyTest::Key(" = ", key.key.clone())];
                let next = if key.key.len() == KEY_BYTES {
                    Step::Rest(number)
                } else {
                    next
                };
                Stretch::Group(vec![Term::Entry(index, tests)], next)
            }
            By::Entry(index) => Stretch::Group(vec![behind_all(index)], next),
        }
    }

    /// The group that the item at this place is in.
    pub(super) fn group(&self, step: Step, place: &Place) -> Option<Stretch> {
        match step {
            Step::Key(number) => Some(self.group_of(number, &place.keys[number])),
            Step::Rest(number) => {
                let key = &place.keys[number];
                let By::Entry(index) = self.parts[number].by else {
                    return None;
                };
                let tests = KeyTest::is(key);
                Some(Stretch::Group(
                    vec![Term::Entry(index, tests)],
                    self.at(number + 1),
                ))
            }
            Step::Tie => None,
        }
    }

    /// Whether two places are in one group.
    pub(super) fn same_group(&self, step: Step, one: &Place, other: &Place) -> bool {
        match step {
            Step::Key(number) => {
                let (one, other) = (&one.keys[number], &other.keys[number]);
                match self.parts[number].by {
                    By::Own(_) => one == other,
                    By::Entry(_) => one.key == other.key,
                }
            }
            Step::Rest(number) => one.keys[number] == other.keys[number],
            Step::Tie => false,
        }
    }

    /// The stretches in their order, from the beginning or behind the group of a place.
    pub(super) fn stretches(&self, step: Step, behind: Option<&Place>) -> Vec<Stretch> {
        let (number, rest) = match step {
            Step::Key(number) => (number, false),
            Step::Rest(number) => (number, true),
            Step::Tie => return Vec::new(),
        };
        let Part { by, descending } = self.parts[number];
        let behind = behind.map(|place| &place.keys[number]);
        if rest {
            let By::Entry(index) = by else { return Vec::new() };
            let sign = if descending { " < " } else { " > " };
            let tests = behind.map(|key| KeyTest::Rest(sign, key.rest.clone()));
            return vec![Stretch::Ordered(vec![Term::Entry(
                index,
                tests.into_iter().collect(),
            )])];
        }
        let missing = match by {
            By::Own(field) if field.nullable => Some(Term::Own(OwnTerm::null(field, true))),
            By::Own(_) => None,
            By::Entry(index) => Some(behind_all(index)),
        }
        .map(|term| Stretch::Group(vec![term], self.at(number + 1)));
        let ordered = |terms| Some(Stretch::Ordered(terms));
        let (first, second) = match behind {
            Some(key) if key.is_placed() => {
                let rest = ordered(vec![beyond(by, key, descending)]);
                if self.backward {
                    (rest, None)
                } else {
                    (rest, missing)
                }
            }
            Some(_) if self.backward => (ordered(vec![placed(by)]), None),
            Some(_) => (None, None),
            None if self.backward => (missing, ordered(vec![placed(by)])),
            None => (ordered(vec![placed(by)]), missing),
        };
        first.into_iter().chain(second).collect()
    }

    /// What lies behind the group of an item that has a place, in the stretch that the item is in.
    pub(super) fn behind_group(&self, step: Step, place: &Place) -> Vec<Term> {
        match step {
            Step::Key(number) => {
                let Part { by, descending } = self.parts[number];
                vec![beyond(by, &place.keys[number], descending)]
            }
            Step::Rest(_) | Step::Tie => Vec::new(),
        }
    }

    /// Whether a group of this step is ordered by further keys.
    pub(super) fn has_more_keys(&self, step: Step) -> bool {
        matches!(step, Step::Key(number) if number + 1 < self.parts.len())
    }

    /// Whether an index of the database has the items in the order of this step.
    pub(super) fn is_walkable(&self, step: Step) -> bool {
        match step {
            Step::Key(number) => match self.parts[number].by {
                By::Own(field) => field.indexed,
                By::Entry(_) => true,
            },
            Step::Rest(_) => false,
            Step::Tie => true,
        }
    }

    /// What was asked, as `Explain` tells it.
    pub(super) fn told(&self, table: &Table) -> String {
        let parts: Vec<String> = self
            .parts
            .iter()
            .map(|part| match part.by {
                By::Own(field) if field.indexed => format!("index over {}", field.name),
                By::Own(field) => format!("{} in the database", field.name),
                By::Entry(index) => index.to_string(),
            })
            .collect();
        if parts.is_empty() {
            match table.tie {
                "id" => "sid".to_owned(),
                _ => "index".to_owned(),
            }
        } else {
            parts.join(", ")
        }
    }
}

fn equal(field: &'static OwnField, key: &SortKey) -> Term {
    Term::Own(OwnTerm::of(field, &Test::Equals(key.to_scalar())))
}

/// Missing values, arrays and objects.
fn behind_all(index: AttributeIndexSid) -> Term {
    Term::Entry(index, vec![KeyTest::Key(" = ", MISSING_KEY.to_vec())])
}

/// Whatever has a place.
fn placed(by: By) -> Term {
    match by {
        By::Own(field) => Term::Own(OwnTerm::null(field, false)),
        By::Entry(index) => Term::Entry(index, vec![KeyTest::Key(" < ", MISSING_KEY.to_vec())]),
    }
}

/// Whatever has a place further on.
fn beyond(by: By, key: &SortKey, descending: bool) -> Term {
    match by {
        By::Own(field) => {
            let relation = if descending {
                Relation::Less
            } else {
                Relation::Greater
            };
            key.to_scalar().map_or_else(Term::never, |value| {
                Term::Own(OwnTerm::of(field, &Test::Compares(relation, value)))
            })
        }
        By::Entry(index) if descending => Term::Entry(index, vec![KeyTest::Key(" < ", key.key.clone())]),
        By::Entry(index) => Term::Entry(
            index,
            vec![
                KeyTest::Key(" > ", key.key.clone()),
                KeyTest::Key(" < ", MISSING_KEY.to_vec()),
            ],
        ),
    }
}
