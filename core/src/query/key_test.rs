//! Conditions on the entries of declared indexes.

use sea_orm::Value;

use crate::{
    attributes::{KEY_BYTES, MISSING_KEY, Scalar, SortKey},
    filter::{Operand, Relation},
    sql::Sql,
};

/// A condition on an entry.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum KeyTest {
    Key(&'static str, Vec<u8>),
    Rest(&'static str, Vec<u8>),
    OneOf(Vec<Vec<u8>>),
    Present(bool),
    /// One of these, each of which is all of its own.
    Any(Vec<Vec<KeyTest>>),
}

impl KeyTest {
    /// The value itself.
    pub(super) fn is(key: &SortKey) -> Vec<Self> {
        let mut tests = vec![Self::Key(" = ", key.key.clone())];
        // A shorter key has no rest.
        if key.key.len() == KEY_BYTES {
            tests.push(Self::Rest(" = ", key.rest.clone()));
        }
        tests
    }

    /// Neither a value nor an array or object.
    pub(super) fn missing() -> Vec<Self> {
        vec![Self::Key(" = ", MISSING_KEY.to_vec()), Self::Present(false)]
    }

    /// Values of the operand's type that stand in the relation to it.
    pub(super) fn compares(relation: Relation, operand: &Scalar) -> Vec<Self> {
        let place = SortKey::from(operand);
        let kind = place.type_byte();
        let (to, strict, or_equal) = match relation {
            Relation::Less => (vec![Self::Key(" >= ", vec![kind])], " < ", " < "),
            Relation::AtMost => (vec![Self::Key(" >= ", vec![kind])], " < ", " <= "),
            Relation::Greater => (vec![Self::Key(" < ", vec![kind + 1])], " > ", " > "),
            Relation::AtLeast => (vec![Self::Key(" < ", vec![kind + 1])], " > ", " >= "),
        };
        let mut tests = to;
        if place.key.len() < KEY_BYTES {
            tests.push(Self::Key(or_equal, place.key));
        } else {
            let inclusive = if strict == " < " { " <= " } else { " >= " };
            tests.push(Self::Key(inclusive, place.key.clone()));
            tests.push(Self::Any(vec![
                vec![Self::Key(strict, place.key)],
                vec![Self::Rest(or_equal, place.rest)],
            ]));
        }
        tests
    }

    /// Texts that begin with this one.
    pub(super) fn starts_with(prefix: &str) -> Vec<Self> {
        let mut place = SortKey::from(&Scalar::Text(prefix.to_owned()));
        if place.rest.is_empty() {
            let mut tests = vec![Self::Key(" < ", behind(&place.key))];
            tests.push(Self::Key(" >= ", std::mem::take(&mut place.key)));
            tests
        } else {
            vec![
                Self::Key(" = ", place.key),
                Self::Rest(" < ", behind(&place.rest)),
                Self::Rest(" >= ", place.rest),
            ]
        }
    }

    pub(super) fn one_of(operands: &[Operand]) -> Vec<Self> {
        let keys: Vec<SortKey> = operands.iter().flatten().map(SortKey::from).collect();
        let missing = operands.contains(&None);
        let mut stretches: Vec<Vec<u8>> = keys.iter().map(|key| key.key.clone()).collect();
        if missing {
            stretches.push(MISSING_KEY.to_vec());
        }
        let exact = !missing && keys.iter().all(|key| key.key.len() < KEY_BYTES);
        let mut tests = vec![Self::OneOf(stretches)];
        if !exact {
            let mut choices: Vec<Vec<Self>> = keys.iter().map(Self::is).collect();
            if missing {
                choices.push(Self::missing());
            }
            tests.push(Self::Any(choices));
        }
        tests
    }

    fn write(&self, sql: &mut Sql, alias: &str) {
        let (column, sign, bytes) = match self {
            Self::Key(sign, key) => ("key", sign, key),
            Self::Rest(sign, rest) => ("rest", sign, rest),
            Self::Present(present) => {
                sql.push(if *present { "" } else { "NOT " })
                    .push(alias)
                    .push(".present");
                return;
            }
            Self::OneOf(keys) => {
                sql.push(alias)
                    .push(".key IN (")
                    .list(keys.iter().map(|key| Value::from(key.clone())))
                    .push(")");
                return;
            }
            Self::Any(choices) => {
                for (number, choice) in choices.iter().enumerate() {
                    sql.push(if number == 0 { "((" } else { ") OR (" });
                    write_tests(choice, sql, alias);
                }
                sql.push("))");
                return;
            }
        };
        sql.push(alias)
            .push(".")
            .push(column)
            .push(sign)
            .bind(bytes.clone());
    }

    /// Whether it narrows the index to a stretch.
    pub(super) fn narrows(&self) -> bool {
        matches!(self, Self::Key(..) | Self::OneOf(_))
    }
}

/// The first bytes behind all that begin with these, which end in no 0xff: they are UTF-8 behind a type's byte.
fn behind(bytes: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    if let Some(last) = bytes.last_mut() {
        *last = last.saturating_add(1);
    }
    bytes
}

/// Writes that the entry `alias` answers to all of these.
pub(super) fn write_tests(tests: &[KeyTest], sql: &mut Sql, alias: &str) {
    for (number, test) in tests.iter().enumerate() {
        if number > 0 {
            sql.push(" AND ");
        }
        test.write(sql, alias);
    }
}
