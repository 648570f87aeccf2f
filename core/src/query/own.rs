//! Conditions on a resource's own fields, as SQL over the columns of its table. They are always exact.

use sea_orm::Value;
use uuid::Uuid;

use crate::{
    attributes::{Number, Scalar},
    filter::{Kind, Operand, OwnField, Relation, Test},
    timestamp::Timestamp,
};

/// A second, as times are kept.
pub(super) const SECOND: i64 = 1_000_000;

/// A condition on one column.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct OwnTerm {
    pub(super) field: &'static OwnField,
    pub(super) is: Is,
}

/// What a column must be.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Is {
    /// Whatever it is, or never.
    Anything(bool),
    Null(bool),
    /// One of these; of dates, within a second that begins with one of these.
    OneOf(Vec<Value>),
    /// At or above the first, below the second.
    Within(Option<Value>, Option<Value>),
    /// A SID whose text has this order to another text.
    SidText(&'static str, String),
    /// A text with this order to another text.
    Ordered(&'static str, String),
}

const NEVER: Is = Is::Anything(false);

fn sign(relation: Relation) -> &'static str {
    match relation {
        Relation::Less => " < ",
        Relation::AtMost => " <= ",
        Relation::Greater => " > ",
        Relation::AtLeast => " >= ",
    }
}

impl OwnTerm {
    /// The test of a filter. Of an `$in`, null among the choices is not looked at.
    pub(super) fn of(field: &'static OwnField, test: &Test) -> Self {
        let is = match test {
            Test::Equals(None) => null(field),
            Test::Equals(Some(operand)) => match equals(field, operand) {
                Some(Value::BigInt(Some(from))) if field.kind == Kind::Date => {
                    Is::Within(Some(from.into()), Some(from.saturating_add(SECOND).into()))
                }
                Some(value) => Is::OneOf(vec![value]),
                None => NEVER,
            },
            Test::OneOf(operands) => return Self::one_of(field, operands),
            Test::Compares(relation, operand) => compares(field, *relation, operand),
            Test::Exists if field.nullable => Is::Null(false),
            Test::Exists => Is::Anything(true),
            Test::StartsWith(prefix) => starts_with(field, prefix),
            Test::Contains(_) => NEVER,
        };
        Self { field, is }
    }

    /// Null, or not.
    pub(super) fn null(field: &'static OwnField, null: bool) -> Self {
        let is = if field.nullable {
            Is::Null(null)
        } else {
            Is::Anything(!null)
        };
        Self { field, is }
    }

    fn one_of(field: &'static OwnField, operands: &[Operand]) -> Self {
        let values: Vec<Value> = operands
            .iter()
            .flatten()
            .filter_map(|operand| equals(field, operand))
            .collect();
        let is = if values.is_empty() {
            NEVER
        } else {
            Is::OneOf(values)
        };
        Self { field, is }
    }

    /// Whether it finds its resources by an index: few of them, or in order.
    pub(super) fn seeks(&self) -> bool {
        let unique = matches!(self.field.name, "unique_name" | "identity");
        match &self.is {
            Is::OneOf(_) => (unique || self.field.indexed) && self.field.kind != Kind::Date,
            Is::Within(..) | Is::Ordered(..) => self.field.indexed,
            Is::Anything(_) | Is::Null(_) | Is::SidText(..) => false,
        }
    }
}

fn null(field: &OwnField) -> Is {
    if field.nullable { Is::Null(true) } else { NEVER }
}

/// The one value of the column that is equal to the operand, if there can be one. Of a date it is the beginning of
/// the second.
fn equals(field: &OwnField, operand: &Scalar) -> Option<Value> {
    match (field.kind, operand) {
        (Kind::Text, Scalar::Text(text)) => (!text.contains('\0')).then(|| text.as_str().into()),
        (Kind::Sid(prefix), Scalar::Text(text)) => sid(prefix, text).map(Value::from),
        (Kind::Number, Scalar::Number(number)) => match number.floor() {
            (whole, true) => i64::try_from(whole).ok().map(Value::from),
            _ => None,
        },
        (Kind::Truth, Scalar::Bool(truth)) => Some((*truth).into()),
        (Kind::Date, Scalar::Instant(moment)) => (moment.0.rem_euclid(SECOND) == 0).then(|| moment.0.into()),
        _ => None,
    }
}

/// SIDs with this order to one: their UUIDs have the same order.
fn compares_id(relation: Relation, id: Uuid) -> Is {
    let next = id
        .as_u128()
        .checked_add(1)
        .map(|next| Value::from(Uuid::from_u128(next)));
    match (relation, next) {
        (Relation::Less, _) => Is::Within(None, Some(id.into())),
        (Relation::AtLeast, _) => Is::Within(Some(id.into()), None),
        (Relation::AtMost, Some(next)) => Is::Within(None, Some(next)),
        (Relation::Greater, Some(next)) => Is::Within(Some(next), None),
        (Relation::AtMost, None) => Is::Anything(true),
        (Relation::Greater, None) => NEVER,
    }
}

/// The UUID of a SID in the letters in which answers show it.
fn sid(prefix: &str, text: &str) -> Option<Uuid> {
    let digits = text.strip_prefix(prefix)?;
    let fits = digits.len() == 32
        && digits
            .bytes()
            .all(|digit| digit.is_ascii_digit() || (b'a'..=b'f').contains(&digit));
    fits.then(|| Uuid::try_parse(digits).ok()).flatten()
}

fn compares(field: &OwnField, relation: Relation, operand: &Scalar) -> Is {
    match (field.kind, operand) {
        (Kind::Text, Scalar::Text(text)) => {
            let (sign, text) = without_nul(relation, text);
            Is::Ordered(sign, text)
        }
        (Kind::Sid(prefix), Scalar::Text(text)) => match sid(prefix, text) {
            Some(id) => compares_id(relation, id),
            None => {
                let (sign, text) = without_nul(relation, text);
                Is::SidText(sign, text)
            }
        },
        (Kind::Truth, Scalar::Bool(operand)) => {
            let right = [false, true]
                .into_iter()
                .filter(|value| relation.admits(value.cmp(operand)));
            match right.map(Value::from).collect::<Vec<_>>() {
                none if none.is_empty() => NEVER,
                some => Is::OneOf(some),
            }
        }
        (Kind::Number, Scalar::Number(number)) => threshold(relation, whole_threshold(relation, *number)),
        (Kind::Date, Scalar::Instant(moment)) => {
            threshold(relation, second_threshold(relation, *moment).into())
        }
        _ => NEVER,
    }
}

/// No column has a NUL character: a text with one compares as what stands before it, and is more than that.
fn without_nul(relation: Relation, text: &str) -> (&'static str, String) {
    match (text.split_once('\0'), relation) {
        (None, relation) => (sign(relation), text.to_owned()),
        (Some((before, _)), Relation::Greater | Relation::AtLeast) => (" > ", before.to_owned()),
        (Some((before, _)), Relation::Less | Relation::AtMost) => (" <= ", before.to_owned()),
    }
}

/// The whole number such that what is below it is less, and the rest more, than the operand.
fn whole_threshold(relation: Relation, number: Number) -> i128 {
    let (floor, whole) = number.floor();
    match relation {
        // At the number itself the sides differ.
        Relation::AtLeast | Relation::Less if whole => floor,
        _ => floor.saturating_add(1),
    }
}

/// The same for times, which have whole seconds.
fn second_threshold(relation: Relation, moment: Timestamp) -> i64 {
    let floor = moment.0.div_euclid(SECOND) * SECOND;
    match relation {
        Relation::AtLeast | Relation::Less if floor == moment.0 => floor,
        _ => floor.saturating_add(SECOND),
    }
}

fn threshold(relation: Relation, at: i128) -> Is {
    let below = matches!(relation, Relation::Less | Relation::AtMost);
    match i64::try_from(at) {
        Ok(at) if below => Is::Within(None, Some(at.into())),
        Ok(at) => Is::Within(Some(at.into()), None),
        // Every number of the database is on one side; null is on none.
        Err(_) if (at > 0) == below => Is::Within(Some(i64::MIN.into()), None),
        Err(_) => NEVER,
    }
}

fn starts_with(field: &OwnField, prefix: &str) -> Is {
    match field.kind {
        _ if prefix.contains('\0') => NEVER,
        Kind::Text => Is::Within(Some(prefix.into()), behind(prefix).map(Value::from)),
        // The texts of SIDs are ASCII: what is behind every one with the prefix has it followed by the last character.
        Kind::Sid(letters) if letters.starts_with(prefix) => Is::Anything(true),
        Kind::Sid(letters) => match prefix.strip_prefix(letters) {
            Some(digits) => sid_range(digits),
            None => NEVER,
        },
        Kind::Number | Kind::Truth | Kind::Date => NEVER,
    }
}

/// The UUIDs whose digits begin with these.
fn sid_range(digits: &str) -> Is {
    let fits = digits.len() <= 32
        && digits
            .bytes()
            .all(|digit| digit.is_ascii_digit() || (b'a'..=b'f').contains(&digit));
    let filled = |with: &str| Uuid::try_parse(&format!("{digits}{}", with.repeat(32 - digits.len())));
    match fits.then(|| (filled("0"), filled("f"))) {
        Some((Ok(first), Ok(last))) => {
            let behind = last
                .as_u128()
                .checked_add(1)
                .map(|next| Uuid::from_u128(next).into());
            Is::Within(Some(first.into()), behind)
        }
        _ => NEVER,
    }
}

/// The first text behind every text that begins with this one; `None` when there is none.
fn behind(prefix: &str) -> Option<String> {
    let mut text: Vec<char> = prefix.chars().collect();
    while let Some(last) = text.pop() {
        let next = match last {
            '\u{d7ff}' => Some('\u{e000}'),
            last => char::from_u32(u32::from(last) + 1),
        };
        if let Some(next) = next {
            text.push(next);
            return Some(text.into_iter().collect());
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thresholds_are_exact_on_both_sides() {
        let number = |json: &str| match Scalar::of(&serde_json::from_str(json).unwrap(), false) {
            Some(Scalar::Number(number)) => number,
            _ => panic!("{json} is a number"),
        };
        for (json, less, at_most) in [("2", 2, 3), ("2.5", 3, 3), ("-2.5", -2, -2), ("-3", -3, -2)] {
            let number = number(json);
            assert_eq!(whole_threshold(Relation::Less, number), less, "{json}");
            assert_eq!(whole_threshold(Relation::AtLeast, number), less, "{json}");
            assert_eq!(whole_threshold(Relation::AtMost, number), at_most, "{json}");
            assert_eq!(whole_threshold(Relation::Greater, number), at_most, "{json}");
        }
        let far = whole_threshold(Relation::Less, number("1e300"));
        assert_eq!(
            threshold(Relation::Less, far),
            Is::Within(Some(i64::MIN.into()), None)
        );
        assert_eq!(threshold(Relation::Greater, far), NEVER);
        let far = whole_threshold(Relation::Less, number("-1e300"));
        assert_eq!(threshold(Relation::Less, far), NEVER);
    }

    #[test]
    fn the_first_text_behind_a_prefix_is_found_at_the_ends_of_the_alphabet() {
        assert_eq!(behind("ab").as_deref(), Some("ac"));
        assert_eq!(behind("a\u{d7ff}").as_deref(), Some("a\u{e000}"));
        assert_eq!(behind("a\u{10ffff}").as_deref(), Some("b"));
        assert_eq!(behind("\u{10ffff}"), None);
        assert_eq!(behind(""), None);
    }
}
