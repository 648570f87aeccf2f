use serde_json::json;

use super::*;
use crate::{attributes::Number, sid::AttributeIndexSid, timestamp::Timestamp};

struct Channel {
    attributes: Value,
}

impl Document for Channel {
    fn own(&self, field: &OwnField) -> Option<Scalar> {
        match field.name {
            "sid" => Some(Scalar::Text("CH01".to_owned())),
            "type" => Some(Scalar::Text("private".to_owned())),
            "members_count" => Some(Scalar::Number(Number::of(&3.into()))),
            "date_created" => Timestamp::parse("2026-01-02T03:04:05Z").map(Scalar::Instant),
            _ => None,
        }
    }

    fn attributes(&self) -> &Value {
        &self.attributes
    }
}

fn filter(value: &Value) -> Result<Filter, String> {
    Filter::parse(&value.to_string(), &CHANNELS).map_err(|refused| {
        assert_eq!(refused.code().code(), 20001);
        refused.message().to_owned()
    })
}

fn matches(value: &Value, attributes: &Value) -> bool {
    let document = Channel {
        attributes: attributes.clone(),
    };
    filter(value).unwrap().matches(&document)
}

#[test]
fn each_operator_means_what_the_contract_says() {
    let document = json!({
        "n": 5, "f": 2.5, "s": "abc", "t": true, "z": null, "l": [1, "a", true, [2], null], "o": {"p": {"q": "x"}},
    });
    let at = |path: &str, test: Value| matches(&json!({ format!("attributes.{path}"): test }), &document);
    for (path, test) in [
        ("n", json!(5)),
        ("n", json!(5.0)),
        ("n", json!({"$eq": 5e0})),
        ("n", json!({"$gt": 4, "$lt": 6})),
        ("n", json!({"$gte": 5, "$lte": 5})),
        ("n", json!({"$in": ["5", 5]})),
        ("n", json!({"$nin": ["5", true]})),
        ("n", json!({"$not": {"$gt": 5}})),
        ("n", json!({"$ne": "5"})),
        ("f", json!({"$gt": 2})),
        ("s", json!({"$prefix": "ab"})),
        ("s", json!({"$prefix": ""})),
        ("s", json!({"$gt": "abb"})),
        ("s", json!({"$lt": "b"})),
        ("t", json!(true)),
        ("z", json!(null)),
        ("z", json!({"$exists": false})),
        ("l", json!({"$exists": true})),
        ("l", json!({"$contains": 1})),
        ("l", json!({"$contains": true})),
        ("l", json!({"$ne": 1})),
        ("o.p.q", json!("x")),
        ("o.p.q.r", json!({"$eq": null})),
        ("nowhere", json!({"$nin": [1]})),
        ("nowhere", json!({"$not": {"$gt": 1}})),
        ("nowhere", json!({"$in": [1, null]})),
    ] {
        assert!(at(path, test.clone()), "{path} {test}");
    }
    for (path, test) in [
        ("n", json!("5")),
        ("n", json!({"$gt": "4"})),
        ("n", json!({"$prefix": "5"})),
        ("n", json!({"$contains": 5})),
        ("s", json!("ABC")),
        ("s", json!({"$prefix": "a%"})),
        ("s", json!({"$contains": "a"})),
        ("t", json!(1)),
        ("z", json!({"$exists": true})),
        ("z", json!({"$ne": null})),
        ("l", json!(null)),
        ("l", json!(1)),
        ("l", json!({"$contains": 2})),
        ("l", json!({"$contains": "1"})),
        ("o", json!({"$contains": "p"})),
        ("nowhere", json!({"$gt": 1})),
        ("nowhere", json!({"$lte": 1})),
    ] {
        assert!(!at(path, test.clone()), "{path} {test}");
    }
}

#[test]
fn opposites_are_exact_complements() {
    let documents = [
        json!({}),
        json!({"a": null}),
        json!({"a": 1}),
        json!({"a": "1"}),
        json!({"a": [1]}),
        json!({"a": {"b": 1}}),
    ];
    for document in &documents {
        for (test, opposite) in [
            (json!({"$eq": 1}), json!({"$ne": 1})),
            (json!({"$eq": null}), json!({"$ne": null})),
            (json!({"$in": [1, "1"]}), json!({"$nin": [1, "1"]})),
            (json!({"$gt": 0}), json!({"$not": {"$gt": 0}})),
            (json!({"$exists": true}), json!({"$exists": false})),
            (json!({"$contains": 1}), json!({"$not": {"$contains": 1}})),
        ] {
            let (test, opposite) = (json!({"attributes.a": test}), json!({"attributes.a": opposite}));
            assert_ne!(
                matches(&test, document),
                matches(&opposite, document),
                "{test} {document}"
            );
            assert_ne!(
                matches(&test, document),
                matches(&json!({"$not": test}), document)
            );
        }
    }
}

#[test]
fn own_fields_have_types_and_dates_are_points_in_time() {
    let nothing = json!({});
    for right in [
        json!({"type": "private", "members_count": {"$gte": 3}}),
        json!({"unique_name": null, "sid": {"$prefix": "CH"}}),
        json!({"date_created": "2026-01-02T04:04:05+01:00"}),
        json!({"date_created": {"$gt": "2026-01-02T03:04:04.5Z", "$lt": "2026-01-02T03:04:05.5Z"}}),
        json!({"$or": [{"type": "public"}, {"members_count": 3}]}),
        json!({"$and": [{"type": "private"}, {"$not": {"members_count": 4}}]}),
        json!({"members_count": {"$ne": "3"}}),
        json!({}),
    ] {
        assert!(matches(&right, &nothing), "{right}");
    }
    for wrong in [
        json!({"members_count": "3"}),
        json!({"date_created": 5}),
        json!({"type": {"$in": ["public", "Private"]}}),
    ] {
        assert!(!matches(&wrong, &nothing), "{wrong}");
    }
}

#[test]
fn a_datetime_index_makes_its_path_compare_as_points_in_time_and_nothing_else() {
    let declared = [Declared {
        id: AttributeIndexSid::generate(),
        path: "due".parse().unwrap(),
        instants: true,
        ready: false,
    }];
    let ask = |test: Value, declared: &[Declared]| {
        let mut asked = filter(&json!({ "attributes.due": test })).unwrap();
        asked.settle(declared);
        asked.matches(&Channel {
            attributes: json!({"due": "2026-01-01T01:00:00+01:00"}),
        })
    };
    for (test, as_text, as_instant) in [
        (json!("2026-01-01T00:00:00Z"), false, true),
        (json!({"$gt": "2026-01-01T00:30:00Z"}), true, false),
        (json!({"$in": ["2026-01-01T00:00:00.000Z"]}), false, true),
        (json!({"$prefix": "2026-01-01T01"}), true, true),
        (json!({"$gt": "2026"}), true, false),
        (json!({"$exists": true}), true, true),
    ] {
        assert_eq!(ask(test.clone(), &[]), as_text, "{test}");
        assert_eq!(ask(test.clone(), &declared), as_instant, "{test}");
    }
}

fn nested(levels: usize) -> Value {
    (0..levels).fold(json!({"type": "public"}), |inner, level| match level % 3 {
        0 => json!({"$not": inner}),
        1 => json!({"$and": [inner]}),
        _ => json!({"$or": [inner, {}]}),
    })
}

#[test]
fn every_bound_is_kept_and_named() {
    assert!(filter(&nested(5)).is_ok());
    let conditions = |count: usize| {
        let all: Vec<Value> = (0..count)
            .map(|number| json!({ format!("attributes.a{number}"): number }))
            .collect();
        json!({ "$and": all })
    };
    assert!(filter(&conditions(100)).is_ok());
    let choices = |count: usize| json!({"attributes.a": {"$in": (0..count).collect::<Vec<_>>()}});
    assert!(filter(&choices(100)).is_ok());
    let deep = ["x"; 9].join(".");
    for (value, names) in [
        (nested(6), "5 levels"),
        (conditions(101), "attributes.a"),
        (choices(101), "attributes.a"),
        (choices(0), "attributes.a"),
        (json!([]), "JSON object"),
        (json!({"$and": []}), "$and"),
        (json!({"$or": {}}), "$or"),
        (json!({"$and": [1]}), "$and"),
        (json!({"$not": [{}]}), "$not"),
        (json!({"$nor": [{}]}), "$nor"),
        (json!({"$gt": 1}), "$gt"),
        (json!({"color": 1}), "color"),
        (json!({"attributes": 1}), "attributes"),
        (json!({"attributes.": 1}), "attributes."),
        (json!({"attributes.a b": 1}), "attributes.a b"),
        (json!({"attributes.a..b": 1}), "attributes.a..b"),
        (json!({"attributes.'; DROP TABLE channels; --": 1}), "DROP TABLE"),
        (json!({ format!("attributes.{deep}"): 1 }), "8 segments"),
        (json!({"attributes.a": {}}), "attributes.a"),
        (json!({"attributes.a": [1]}), "attributes.a"),
        (json!({"attributes.a": {"b": 1}}), "attributes.a"),
        (json!({"attributes.a": {"$eq": [1]}}), "attributes.a"),
        (json!({"attributes.a": {"$eq": {}}}), "attributes.a"),
        (json!({"attributes.a": {"$gt": true}}), "attributes.a"),
        (json!({"attributes.a": {"$gt": null}}), "attributes.a"),
        (json!({"attributes.a": {"$lte": [1]}}), "attributes.a"),
        (json!({"attributes.a": {"$in": 1}}), "attributes.a"),
        (json!({"attributes.a": {"$in": [[1]]}}), "attributes.a"),
        (json!({"attributes.a": {"$exists": 1}}), "attributes.a"),
        (json!({"attributes.a": {"$prefix": 1}}), "attributes.a"),
        (json!({"attributes.a": {"$contains": [1]}}), "attributes.a"),
        (json!({"attributes.a": {"$contains": null}}), "attributes.a"),
        (json!({"attributes.a": {"$not": 1}}), "attributes.a"),
        (json!({"attributes.a": {"$regex": "x"}}), "$regex"),
        (json!({"date_created": "soon"}), "date_created"),
        (json!({"date_created": {"$prefix": "2026"}}), "date_created"),
    ] {
        let message = filter(&value).unwrap_err();
        assert!(
            message.contains("Filter") && message.contains(names),
            "{value}: {message}"
        );
    }
    let broken = Filter::parse("{\"a\"", &CHANNELS).unwrap_err();
    assert!(broken.message().starts_with("Filter"), "{broken}");
}

#[test]
fn a_sort_is_a_list_of_one_to_three_fields() {
    let sort = |text: &str| Sort::parse(text, &CHANNELS);
    let two = sort(r#"[{"attributes.ticket.priority": -1}, {"date_updated": 1}]"#).unwrap();
    assert_eq!(two.0.len(), 2);
    assert_eq!(two.0[0].field.name(), "attributes.ticket.priority");
    assert_eq!(two.0[0].direction, Direction::Descending);
    assert_eq!(two.0[1].direction, Direction::Ascending);
    for wrong in [
        "",
        "{}",
        "[]",
        "[1]",
        "[{}]",
        r#"[{"type": 1, "sid": 1}]"#,
        r#"[{"type": "asc"}]"#,
        r#"[{"type": 0}]"#,
        r#"[{"type": true}]"#,
        r#"[{"color": 1}]"#,
        r#"[{"attributes.a'b": 1}]"#,
        r#"[{"type": 1}, {"sid": 1}, {"created_by": 1}, {"members_count": 1}]"#,
    ] {
        let refused = sort(wrong).unwrap_err();
        assert_eq!(refused.code().code(), 20001);
        assert!(refused.message().starts_with("Sort"), "{wrong}: {refused}");
    }
}
