use serde_json::json;

use super::*;

fn attributes() -> Value {
    json!({
        "city": "Berlin", "age": 42, "price": 2.5, "vip": true, "none": null, "empty": "", "tags": ["a", 1],
        "address": {"street": "Allee \"1\""}, "braces": "{{user.identity}}", "größe": "xl",
    })
}

fn render(text: &str) -> std::result::Result<String, String> {
    let attributes = attributes();
    let person = Person {
        identity: "alice",
        friendly_name: Some("Alice"),
        attributes: &attributes,
    };
    let template = Template::parse("Body", text).map_err(|refused| refused.message().to_owned())?;
    template.render(&person).map_err(|missing| missing.to_string())
}

#[test]
fn fields_are_filled_in_and_everything_else_stands_for_itself() {
    for (text, expected) in [
        ("", ""),
        ("plain } text { | }} here", "plain } text { | }} here"),
        ("{{user.identity}}", "alice"),
        ("Dear {{ user.friendly_name }},", "Dear Alice,"),
        ("{{user.attributes.city}}-{{user.attributes.age}}", "Berlin-42"),
        ("{{user.attributes.price}} {{user.attributes.vip}}", "2.5 true"),
        ("{{user.attributes.tags}}", "[\"a\",1]"),
        ("{{user.attributes.address.street}}", "Allee \"1\""),
        ("{{user.attributes.empty|x}}", ""),
        ("{{user.attributes.größe}}", "xl"),
        ("{{user.attributes.none|nothing}}", "nothing"),
        ("{{user.attributes.nowhere|}}", ""),
        ("{{ user.attributes.nowhere | two words }}", "two words"),
        ("{{user.attributes.nowhere|a|b}}", "a|b"),
        ("{{user.attributes.city.inner|no object}}", "no object"),
        // What a field holds is text, whatever it looks like.
        ("{{user.attributes.braces}}", "{{user.identity}}"),
        ("{{user.attributes.city}}}", "Berlin}"),
    ] {
        assert_eq!(render(text).as_deref(), Ok(expected), "{text}");
    }
}

#[test]
fn what_is_missing_is_named() {
    for name in [
        "user.attributes.nowhere",
        "user.attributes.none",
        "user.attributes.city.inner",
    ] {
        let missing = render(&format!("a {{{{{name}}}}}")).unwrap_err();
        assert!(missing.starts_with(name), "{missing}");
    }
    let nobody = Person {
        identity: "bob",
        friendly_name: None,
        attributes: &Value::Null,
    };
    let missing = Template::parse("Body", "{{user.friendly_name}}")
        .unwrap()
        .render(&nobody)
        .unwrap_err();
    assert_eq!(missing.name, "user.friendly_name");
}

#[test]
fn what_cannot_be_filled_in_is_refused_by_its_place() {
    for (text, place, names) in [
        ("{{user.identity", "character 1", "}}"),
        ("ü {{ ", "character 3", "}}"),
        ("a{{name}}", "character 2", "'name'"),
        ("{{}}", "character 1", "''"),
        ("{{user.role}}", "character 1", "user.friendly_name"),
        ("{{user.attributes}}", "character 1", "user.attributes"),
        ("{{user.attributes.}}", "character 1", "path"),
        ("{{user.attributes.a b}}", "character 1", "path"),
        (
            "{{user.identity}} {{User.identity}}",
            "character 19",
            "User.identity",
        ),
        ("{{{user.identity}}}", "character 1", "{user.identity"),
        ("{{|x}}", "character 1", "''"),
    ] {
        let refused = render(text).unwrap_err();
        assert!(refused.starts_with("Body "), "{refused}");
        assert!(
            refused.contains(place) && refused.contains(names),
            "{text}: {refused}"
        );
    }
}

#[test]
fn a_document_keeps_its_form_whatever_is_filled_in() {
    let given = r#"{ "b": 1.50,  "{{name}}": "{{user.attributes.address.street}}", "a":["x\"{{ user.identity }}", "p\u00fcr"] }"#;
    let template = DocumentTemplate::parse("Attributes", given).unwrap();
    assert!(!template.is_constant());
    let hostile = json!({"address": {"street": "\", \"admin\": true, \"x\": \"\\"}});
    let person = Person {
        identity: "\"}{{",
        friendly_name: None,
        attributes: &hostile,
    };
    let rendered = template.render(&person).unwrap();
    assert!(
        rendered.starts_with("{ \"b\": 1.50,  \"{{name}}\": ") && rendered.ends_with(r#""p\u00fcr"] }"#),
        "{rendered}"
    );
    let read: Value = serde_json::from_str(&rendered).unwrap();
    assert_eq!(
        read,
        json!({"b": 1.5, "{{name}}": "\", \"admin\": true, \"x\": \"\\", "a": ["x\"\"}{{", "pür"]})
    );
    for constant in [
        "{}",
        "[1, \"a\"]",
        "\"x\"",
        " null ",
        r#"{"{{user.identity}}": 1}"#,
    ] {
        let template = DocumentTemplate::parse("Attributes", constant).unwrap();
        assert!(template.is_constant(), "{constant}");
        assert_eq!(template.render(&person).unwrap(), constant);
    }
    for wrong in ["{", r#"{"a": "{{user.x}}"}"#, r#"["{{"]"#] {
        let refused = DocumentTemplate::parse("Attributes", wrong).unwrap_err();
        assert!(refused.message().starts_with("Attributes "), "{refused}");
    }
}

/// Texts of few signs, put together in every way that a counter tells.
fn texts(signs: &[&str], length: usize) -> impl Iterator<Item = String> {
    let count = signs.len().pow(u32::try_from(length).unwrap());
    (0..count).map(move |number| {
        let mut left = number;
        (0..length)
            .map(|_| {
                let sign = signs[left % signs.len()];
                left /= signs.len();
                sign
            })
            .collect()
    })
}

#[test]
fn whatever_is_given_is_refused_by_name_or_rendered() {
    let (attributes, signs) = (
        attributes(),
        ["{{", "}}", "{", "}", "|", "user.identity", " ", "ü"],
    );
    let person = Person {
        identity: "alice",
        friendly_name: None,
        attributes: &attributes,
    };
    for text in texts(&signs, 5) {
        match Template::parse("Body", &text) {
            Ok(template) => {
                let rendered = template.render(&person).unwrap();
                // Without a field it is what was given, and a field is what braces around a name are.
                assert_eq!(template.is_constant(), !text.contains("{{"), "{text}");
                if template.is_constant() {
                    assert_eq!(rendered, text);
                } else {
                    assert!(rendered.contains("alice"), "{text}: {rendered}");
                }
            }
            Err(refused) => assert!(refused.message().starts_with("Body "), "{text}"),
        }
    }
}

#[test]
fn whatever_a_person_is_a_document_stays_one() {
    let template = DocumentTemplate::parse(
        "Attributes",
        r#"{"a": "<{{user.identity}}>", "b": ["{{user.identity}}"]}"#,
    );
    let template = template.unwrap();
    for identity in texts(&["\"", "\\", "}", ",", "\n", "\u{7f}", "ü", "{{"], 4) {
        let person = Person {
            identity: &identity,
            friendly_name: None,
            attributes: &Value::Null,
        };
        let read: Value = serde_json::from_str(&template.render(&person).unwrap()).unwrap();
        assert_eq!(read, json!({"a": format!("<{identity}>"), "b": [identity]}));
    }
}
