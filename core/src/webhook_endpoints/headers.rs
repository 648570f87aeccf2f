//! Headers of an endpoint's own, such as a token that its server asks for. They are sealed at rest and only their names
//! are shown.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::{
    entities::webhook_endpoint,
    error::{Error, Result},
    secrets::{Secret, Vault},
    sid::WebhookEndpointSid,
};

/// The most headers.
const MOST: usize = 20;
/// The longest name, in characters.
const NAME_CHARACTERS: usize = 128;
/// The most characters of all names and values.
const CHARACTERS: usize = 8192;
/// What belongs to the connection or says what the body is, and what signs it.
const OURS: [&str; 14] = [
    "connection",
    "expect",
    "host",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "x-twilio-signature",
    "webhook-id",
    "webhook-timestamp",
];
/// What such names begin with.
const OUR_PREFIXES: [&str; 2] = ["content-", "webhook-signature"];

/// Names and values; names are unique whatever their case.
type Headers = BTreeMap<String, String>;

/// Checks a JSON object of headers.
pub(super) fn parse(object: &Map<String, Value>) -> Result<Headers> {
    let refused = |problem: &str| Error::parameter("Headers", problem);
    if object.len() > MOST {
        return Err(refused(&format!(
            "has {} headers, at most {MOST} are allowed",
            object.len()
        )));
    }
    let mut headers = Headers::new();
    let mut characters = 0;
    for (name, value) in object {
        check_name(name)?;
        let Value::String(value) = value else {
            return Err(refused(&format!("has a value of '{name}' that is no text")));
        };
        check_value(name, value)?;
        characters += name.len() + value.len();
        if headers.keys().any(|known| known.eq_ignore_ascii_case(name)) {
            return Err(refused(&format!("names '{name}' twice, in upper and lower case")));
        }
        headers.insert(name.clone(), value.clone());
    }
    if characters > CHARACTERS {
        return Err(refused(&format!(
            "has {characters} characters in names and values, at most {CHARACTERS} are allowed"
        )));
    }
    Ok(headers)
}

fn check_name(name: &str) -> Result<()> {
    let shown: String = name.chars().take(80).collect();
    let refused = |problem: &str| Err(Error::parameter("Headers", &format!("{problem}: '{shown}'")));
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    if name.is_empty() || name.len() > NAME_CHARACTERS || !name.bytes().all(is_token) {
        return refused(
            "has a name that is none of a header (1 to 128 letters, digits or one of !#$%&'*+-.^_`|~)",
        );
    }
    let lower = name.to_ascii_lowercase();
    if OURS.contains(&lower.as_str()) || OUR_PREFIXES.iter().any(|prefix| lower.starts_with(prefix)) {
        return refused("has a name that is set by each call itself; leave it out");
    }
    Ok(())
}

fn check_value(name: &str, value: &str) -> Result<()> {
    let is_plain = value.bytes().all(|byte| matches!(byte, b'\t' | b' '..=b'~'));
    if is_plain && value.trim_ascii() == value {
        return Ok(());
    }
    Err(Error::parameter(
        "Headers",
        &format!(
            "has a value of '{name}' with other than visible ASCII characters, or with blanks at its ends; encode it"
        ),
    ))
}

fn context(id: WebhookEndpointSid) -> String {
    format!("{id} headers")
}

pub(super) fn seal(vault: &Vault, id: WebhookEndpointSid, headers: &Headers) -> Result<Vec<u8>> {
    let text = serde_json::to_string(headers).map_err(Error::internal)?;
    vault.seal(&Secret::new(text), &context(id))
}

/// The endpoint's own headers.
///
/// # Errors
/// When they were sealed under another master key.
pub fn headers(vault: &Vault, endpoint: &webhook_endpoint::Model) -> Result<BTreeMap<String, String>> {
    let text = vault.open(&endpoint.headers, &context(endpoint.id))?;
    serde_json::from_str(text.expose()).map_err(Error::internal)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn parse(object: &Value) -> Result<Headers> {
        super::parse(object.as_object().unwrap())
    }

    #[test]
    fn what_belongs_to_the_call_itself_is_refused_by_its_name() {
        for name in [
            "Host",
            "content-length",
            "Content-Type",
            "CONTENT-ENCODING",
            "Transfer-Encoding",
            "Connection",
            "TE",
            "Upgrade",
            "Expect",
            "X-Twilio-Signature",
            "Webhook-Id",
            "webhook-timestamp",
            "webhook-signature",
        ] {
            let refused = parse(&json!({ name: "x" })).unwrap_err();
            assert!(refused.message().contains(name), "{refused}");
            assert!(refused.message().starts_with("Headers"), "{refused}");
        }
    }

    #[test]
    fn names_and_values_that_would_break_a_request_are_refused() {
        for wrong in [
            json!({ "": "x" }),
            json!({ "a b": "x" }),
            json!({ "a\r\nb": "x" }),
            json!({ "a:": "x" }),
            json!({ "ä": "x" }),
            json!({ "x".repeat(129): "x" }),
            json!({ "a": "x\r\nEvil: 1" }),
            json!({ "a": "ü" }),
            json!({ "a": " x" }),
            json!({ "a": 5 }),
            json!({ "a": "x", "A": "y" }),
            json!({ "a": "x".repeat(CHARACTERS) }),
            json!(
                (0..=MOST)
                    .map(|n| (format!("x{n}"), json!("v")))
                    .collect::<Map<_, _>>()
            ),
        ] {
            assert_eq!(parse(&wrong).unwrap_err().code().code(), 20001, "{wrong}");
        }
    }

    #[test]
    fn headers_are_sealed_for_their_endpoint() {
        let vault = Vault::new([7; 32]);
        let id = WebhookEndpointSid::generate();
        let given = parse(&json!({ "Authorization": "Bearer t", "X-Empty": "" })).unwrap();
        let sealed = seal(&vault, id, &given).unwrap();
        assert!(vault.open(&sealed, &context(id)).is_ok());
        assert!(vault.open(&sealed, &id.to_string()).is_err());
    }
}
