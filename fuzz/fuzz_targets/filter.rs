//! The query language: whatever is accepted means something, its negation the opposite, and written anew it is the same
//! filter. Places in an order, as databases compare them, agree with the order of the values.
//!
//! An input is three texts, each on a line of its own: a filter or sort, and the attributes of two resources.

#![no_main]

use hubbub_core::{
    Timestamp,
    attribute_indexes::Declared,
    attributes::{self, Found, Scalar, SortKey},
    filter::{
        CHANNELS, Condition, Document, Field, Filter, Kind, MEMBERS, MESSAGES, Node, OwnField, Relation,
        Sort, Subject, Test, USER_CHANNELS, USERS,
    },
    sid::AttributeIndexSid,
};
use libfuzzer_sys::fuzz_target;
use serde_json::{Value, json};

static SUBJECTS: [&Subject; 5] = [&CHANNELS, &MEMBERS, &USERS, &MESSAGES, &USER_CHANNELS];

/// A resource that has its own fields among its attributes too.
struct Anything(Value);

impl Document for Anything {
    fn own(&self, field: &OwnField) -> Option<Scalar> {
        let value = self.0.get(field.name)?;
        let scalar = Scalar::of(value, field.kind == Kind::Date)?;
        let fits = matches!(
            (field.kind, &scalar),
            (Kind::Text | Kind::Sid(_), Scalar::Text(_))
                | (Kind::Number, Scalar::Number(_))
                | (Kind::Truth, Scalar::Bool(_))
                | (Kind::Date, Scalar::Instant(_))
        );
        fits.then_some(scalar)
    }

    fn attributes(&self) -> &Value {
        &self.0
    }
}

/// The JSON of a scalar; `None` for a number of whose notation nothing is known any more.
fn scalar(scalar: &Scalar) -> Option<Value> {
    match scalar {
        Scalar::Bool(truth) => Some((*truth).into()),
        Scalar::Text(text) => Some(text.as_str().into()),
        Scalar::Instant(moment) => {
            let text = moment.to_millis_text();
            (Timestamp::parse(&text) == Some(*moment)).then(|| text.into())
        }
        Scalar::Number(number) => {
            let (floor, _) = number.floor();
            let key = SortKey::from(scalar);
            let double = || {
                let ordered = u64::from_be_bytes(key.key[1..9].try_into().expect("eight bytes"));
                f64::from_bits(if ordered >> 63 == 0 {
                    !ordered
                } else {
                    ordered & !(1 << 63)
                })
            };
            [
                i64::try_from(floor).ok().map(Value::from),
                u64::try_from(floor).ok().map(Value::from),
                Some(double().into()),
            ]
            .into_iter()
            .flatten()
            .find(|value| Scalar::of(value, false).as_ref() == Some(scalar))
        }
    }
}

fn operand(operand: &Option<Scalar>) -> Option<Value> {
    operand.as_ref().map_or(Some(Value::Null), scalar)
}

fn condition(Condition { field, test }: &Condition) -> Option<Value> {
    let (operator, value) = match test {
        Test::Equals(value) => ("$eq", operand(value)?),
        Test::OneOf(values) => (
            "$in",
            values.iter().map(operand).collect::<Option<Vec<_>>>()?.into(),
        ),
        Test::Compares(relation, value) => {
            let operator = match relation {
                Relation::Less => "$lt",
                Relation::AtMost => "$lte",
                Relation::Greater => "$gt",
                Relation::AtLeast => "$gte",
            };
            (operator, scalar(value)?)
        }
        Test::Exists => ("$exists", true.into()),
        Test::StartsWith(prefix) => ("$prefix", prefix.as_str().into()),
        Test::Contains(value) => ("$contains", scalar(value)?),
    };
    Some(json!({ field.name(): { operator: value } }))
}

/// The filter of a tree, and how deep it is nested.
fn written(node: &Node) -> Option<(Value, usize)> {
    let list = |nodes: &[Node]| {
        let nodes = nodes.iter().map(written).collect::<Option<Vec<_>>>()?;
        let depth = nodes.iter().map(|(_, depth)| depth + 1).max().unwrap_or(0);
        let nodes: Vec<Value> = nodes.into_iter().map(|(node, _)| node).collect();
        Some((nodes, depth))
    };
    match node {
        Node::All(nodes) if nodes.is_empty() => Some((json!({}), 0)),
        Node::All(nodes) => list(nodes).map(|(nodes, depth)| (json!({ "$and": nodes }), depth)),
        Node::Any(nodes) => list(nodes).map(|(nodes, depth)| (json!({ "$or": nodes }), depth)),
        Node::Not(node) => written(node).map(|(node, depth)| (json!({ "$not": node }), depth + 1)),
        Node::Is(is) => condition(is).map(|condition| (condition, 0)),
    }
}

/// Declares an index of type `datetime` over every path.
fn declared(filter: &Filter) -> Vec<Declared> {
    let mut declared = Vec::new();
    filter.conditions(&mut |condition| {
        if let Field::Attribute { path, .. } = &condition.field {
            declared.push(Declared {
                id: AttributeIndexSid::generate(),
                path: path.clone(),
                instants: true,
                ready: true,
            });
        }
    });
    declared
}

/// Every value in it.
fn values<'v>(value: &'v Value, found: &mut Vec<&'v Value>) {
    found.push(value);
    match value {
        Value::Array(elements) => elements.iter().for_each(|element| values(element, found)),
        Value::Object(fields) => fields.values().for_each(|field| values(field, found)),
        _ => {}
    }
}

fn check_order(one: &Value, other: &Value) {
    for instants in [false, true] {
        let (one, other) = (Found::of(one, instants), Found::of(other, instants));
        let (key, other_key) = (SortKey::of(&one), SortKey::of(&other));
        if let (Found::Scalar(one), Found::Scalar(other)) = (&one, &other) {
            assert_eq!(key.cmp(&other_key), one.cmp(other), "{one:?} {other:?}");
            assert_eq!(
                one.compare(other).is_some(),
                key.type_byte() == other_key.type_byte()
            );
        }
        if let Found::Scalar(scalar) = &one {
            assert_eq!(key.to_scalar().as_ref(), Some(scalar));
            assert!(key.is_placed());
        }
    }
}

fn check(text: &str, subject: &'static Subject, documents: &[Anything; 2]) {
    if let Ok(mut sort) = Sort::parse(text, subject) {
        assert!((1..=3).contains(&sort.0.len()));
        let places = documents.each_ref().map(|document| sort.place(document));
        assert_eq!(places[0].len(), sort.0.len());
        sort.settle(&[]);
        assert_eq!(documents.each_ref().map(|document| sort.place(document)), places);
    }
    let Ok(mut filter) = Filter::parse(text, subject) else {
        return;
    };
    if let Some((again, depth)) = written(filter.root())
        && depth <= 5
    {
        let again = Filter::parse(&again.to_string(), subject);
        assert_eq!(again.as_ref().ok(), Some(&filter), "{again:?}");
    }
    // One level more may be one too many.
    let mut opposite = Filter::parse(&format!("{{\"$not\":{text}}}"), subject).ok();
    for declared in [Vec::new(), declared(&filter)] {
        filter.settle(&declared);
        if let Some(opposite) = &mut opposite {
            opposite.settle(&declared);
        }
        for document in documents {
            let matches = filter.matches(document);
            if let Some(opposite) = &opposite {
                assert_ne!(opposite.matches(document), matches);
            }
        }
    }
}

fuzz_target!(|input: &str| {
    let mut lines = input.splitn(3, '\n');
    let text = lines.next().unwrap_or_default();
    let documents = [(); 2].map(|()| Anything(attributes::read(lines.next().unwrap_or_default())));
    for subject in SUBJECTS {
        check(text, subject, &documents);
    }
    let mut found = Vec::new();
    for document in &documents {
        values(&document.0, &mut found);
    }
    found.truncate(30);
    for one in &found {
        for other in &found {
            check_order(one, other);
        }
    }
});
