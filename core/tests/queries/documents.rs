//! Documents and questions at random, the same ones every time.

use hubbub_core::{
    attributes::{self, Scalar, SortKey},
    entities::{channel, member, message, user},
    filter::{Direction, Document, Filter, OwnField, Sort},
    timestamp::Timestamp,
};
use serde_json::{Value, json};
use uuid::Uuid;

/// Numbers that look random (xorshift64*).
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub(crate) fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let drawn = (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize;
        drawn % bound
    }

    pub(crate) fn one<'t, T>(&mut self, of: &'t [T]) -> &'t T {
        &of[self.below(of.len())]
    }

    fn chance(&mut self, in_ten: usize) -> bool {
        self.below(10) < in_ten
    }
}

pub(crate) const PATHS: [&str; 5] = ["a", "b", "c.d", "when", "größe"];

fn scalars() -> Vec<Value> {
    let long = "x".repeat(300);
    vec![
        json!(false),
        json!(true),
        json!(0),
        serde_json::from_str("-0.0").unwrap(),
        json!(1),
        json!(1.0),
        json!(2),
        json!(2.5),
        serde_json::from_str("1e2").unwrap(),
        json!(100),
        json!(9_007_199_254_740_992_i64),
        json!(9_007_199_254_740_993_i64),
        json!(u64::MAX),
        json!(-7),
        json!(""),
        json!("1"),
        json!("a"),
        json!("A"),
        json!("ab"),
        json!("é"),
        json!("🙂"),
        json!("a\u{0}b"),
        json!("%_'\"$"),
        json!(long.clone()),
        json!(format!("{long}y")),
        json!(format!("{long}z")),
        json!("2026-01-01T00:00:00Z"),
        json!("2026-01-01T01:00:00+01:00"),
        json!("2026-01-02T00:00:00.5Z"),
        json!("soon"),
    ]
}

fn scalar(dice: &mut Dice) -> Value {
    // Few values are frequent, so that there are ties and groups of all sizes.
    if dice.chance(5) {
        dice.one(&[json!(1), json!("a"), json!("b"), json!(2)]).clone()
    } else {
        dice.one(&scalars()).clone()
    }
}

/// Attributes: values of all sorts at the paths, or nothing.
pub(crate) fn attributes_text(dice: &mut Dice) -> String {
    let value = |dice: &mut Dice| match dice.below(12) {
        0 => Value::Null,
        1 => json!([scalar(dice), scalar(dice), null, [1]]),
        2 => json!({"d": scalar(dice)}),
        3 => json!([]),
        _ => scalar(dice),
    };
    let mut object = serde_json::Map::new();
    for name in ["a", "b", "when", "größe"] {
        if dice.chance(8) {
            object.insert(name.to_owned(), value(dice));
        }
    }
    match dice.below(10) {
        0 => {}
        1 => {
            object.insert("c".to_owned(), value(dice));
        }
        _ => {
            object.insert("c".to_owned(), json!({"d": value(dice)}));
        }
    }
    match dice.below(30) {
        0 => "[1, 2]".to_owned(),
        1 => "\"a\"".to_owned(),
        2 => "null".to_owned(),
        _ => Value::Object(object).to_string(),
    }
}

fn condition(dice: &mut Dice, own: &[(&str, Vec<Value>)]) -> Value {
    let (field, operand, other) = if !own.is_empty() && dice.chance(4) {
        let (field, values) = dice.one(own);
        (
            (*field).to_owned(),
            dice.one(values).clone(),
            dice.one(values).clone(),
        )
    } else {
        let path = dice.one(&PATHS);
        (format!("attributes.{path}"), scalar(dice), scalar(dice))
    };
    let of_date = field.starts_with("date_") || field.ends_with("_timestamp");
    let orderable = |value: &Value| value.is_number() || value.is_string();
    let test = loop {
        let test = match dice.below(13) {
            0 | 1 => operand.clone(),
            2 => json!({"$ne": operand}),
            3 if orderable(&operand) => json!({"$gt": operand}),
            4 if orderable(&operand) => json!({"$gte": operand}),
            5 if orderable(&operand) && orderable(&other) => json!({"$lt": operand, "$gte": other}),
            6 if orderable(&operand) => json!({"$lte": operand}),
            7 => json!({"$in": [operand, other]}),
            8 => json!({"$nin": [operand, null]}),
            9 => json!({"$exists": dice.chance(5)}),
            10 if !of_date => json!({"$prefix": dice.one(&["", "a", "x", "2026-01-01", "CH", "é"])}),
            11 if !operand.is_null() => json!({"$contains": operand}),
            12 => json!({"$not": {"$eq": operand}}),
            _ => continue,
        };
        break test;
    };
    json!({ field: test })
}

/// A filter over the paths and these fields of the resource's own.
pub(crate) fn filter(dice: &mut Dice, own: &[(&str, Vec<Value>)]) -> Value {
    let nested = |dice: &mut Dice| match dice.below(6) {
        0 => json!({"$or": [condition(dice, own), condition(dice, own)]}),
        1 => json!({"$not": {"$or": [condition(dice, own), condition(dice, own)]}}),
        2 => {
            json!({"$not": {"$and": [condition(dice, own), {"$or": [condition(dice, own), condition(dice, own)]}]}})
        }
        _ => condition(dice, own),
    };
    match dice.below(8) {
        0 => json!({}),
        1 => json!({"$and": [nested(dice), nested(dice)]}),
        2 => json!({"$and": [condition(dice, own), condition(dice, own), nested(dice)]}),
        _ => nested(dice),
    }
}

/// A sort over the paths and these fields.
pub(crate) fn sort(dice: &mut Dice, own: &[&str]) -> Option<Value> {
    let count = dice.below(4);
    let by = |dice: &mut Dice| {
        let field = if !own.is_empty() && dice.chance(4) {
            (*dice.one(own)).to_owned()
        } else {
            format!("attributes.{}", dice.one(&PATHS))
        };
        json!({ field: if dice.chance(5) { 1 } else { -1 } })
    };
    (count > 0).then(|| (0..count).map(|_| by(dice)).collect())
}

/// A row as a loop over all of them sees it.
pub(crate) trait Plain: Clone {
    fn id(&self) -> Uuid;
    fn attributes_text(&self) -> &str;
    fn own(&self, name: &str) -> Option<Scalar>;
    fn tie(&self) -> (i64, Uuid) {
        (0, self.id())
    }
}

fn text(text: &(impl ToString + ?Sized)) -> Option<Scalar> {
    Some(Scalar::Text(text.to_string()))
}

fn date(moment: Timestamp) -> Option<Scalar> {
    Timestamp::parse(&moment.to_seconds_text()).map(Scalar::Instant)
}

fn whole(number: impl Into<i64>) -> Option<Scalar> {
    Scalar::of(&json!(number.into()), false)
}

macro_rules! plain {
    ($model:ty, $($tie:ident)?; $($name:literal => $value:expr,)*) => {
        impl Plain for $model {
            fn id(&self) -> Uuid {
                self.id.0
            }
            fn attributes_text(&self) -> &str {
                &self.attributes
            }
            fn own(&self, name: &str) -> Option<Scalar> {
                let value: fn(&Self) -> Option<Scalar> = match name {
                    $($name => $value,)*
                    _ => panic!("{name} is no field"),
                };
                value(self)
            }
            $(fn tie(&self) -> (i64, Uuid) {
                (self.$tie, Uuid::nil())
            })?
        }
    };
}

plain! { channel::Model, ;
    "sid" => |row| text(&row.id),
    "unique_name" => |row| row.unique_name.as_deref().and_then(text),
    "friendly_name" => |row| row.friendly_name.as_deref().and_then(text),
    "type" => |row| text(&row.kind),
    "created_by" => |row| text(&row.created_by),
    "members_count" => |row| whole(row.members_count),
    "messages_count" => |row| whole(row.messages_count),
    "date_created" => |row| date(row.date_created),
    "date_updated" => |row| date(row.date_updated),
}

plain! { message::Model, idx;
    "sid" => |row| text(&row.id),
    "index" => |row| whole(row.idx),
    "from" => |row| text(&row.author),
    "body" => |row| row.body.as_deref().and_then(text),
    "type" => |_| text("text"),
    "last_updated_by" => |row| row.last_updated_by.as_deref().and_then(text),
    "was_edited" => |row| Some(Scalar::Bool(row.was_edited)),
    "date_created" => |row| date(row.date_created),
    "date_updated" => |row| date(row.date_updated),
}

plain! { member::Model, ;
    "sid" => |row| text(&row.id),
    "identity" => |row| text(&row.identity),
    "role_sid" => |row| text(&row.role_id),
    "last_consumed_message_index" => |row| row.last_consumed_message_index.and_then(whole),
    "last_consumption_timestamp" => |row| row.last_consumption_timestamp.and_then(date),
    "date_created" => |row| date(row.date_created),
    "date_updated" => |row| date(row.date_updated),
}

plain! { user::Model, ;
    "sid" => |row| text(&row.id),
    "identity" => |row| text(&row.identity),
    "friendly_name" => |row| row.friendly_name.as_deref().and_then(text),
    "role_sid" => |row| text(&row.role_id),
    "joined_channels_count" => |row| whole(row.joined_channels_count),
    "date_created" => |row| date(row.date_created),
    "date_updated" => |row| date(row.date_updated),
}

struct Seen<'r, T> {
    row: &'r T,
    attributes: Value,
}

impl<T: Plain> Document for Seen<'_, T> {
    fn own(&self, field: &OwnField) -> Option<Scalar> {
        self.row.own(field.name)
    }

    fn attributes(&self) -> &Value {
        &self.attributes
    }
}

/// What a plain loop answers.
pub(crate) fn expected<T: Plain>(rows: &[T], filter: &Filter, sort: &Sort) -> Vec<Uuid> {
    let mut found: Vec<(Vec<SortKey>, (i64, Uuid), Uuid)> = rows
        .iter()
        .map(|row| Seen {
            row,
            attributes: attributes::read(row.attributes_text()),
        })
        .filter(|seen| filter.matches(seen))
        .map(|seen| (sort.place(&seen), seen.row.tie(), seen.row.id()))
        .collect();
    found.sort_by(|one, other| {
        let mut keys = one.0.iter().zip(&other.0).zip(&sort.0);
        keys.find_map(|((one, other), by)| {
            let order = match (one.is_placed(), other.is_placed()) {
                (true, true) if by.direction == Direction::Descending => other.cmp(one),
                (true, true) => one.cmp(other),
                (one, other) => other.cmp(&one),
            };
            order.is_ne().then_some(order)
        })
        .unwrap_or_else(|| one.1.cmp(&other.1))
    });
    found.into_iter().map(|(.., id)| id).collect()
}
