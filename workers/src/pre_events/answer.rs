//! What the reply to a call about a pre-event means.

use hubbub_core::pre_events::Answer;
use serde_json::Value;

use crate::outbound::Reply;

/// Twilio's rules. 2xx allows: with an `application/json` object, with its changes. 4xx and 5xx reject; a `message` in
/// a JSON object is for the user. What cannot be understood is no answer: whoever must not let things pass unseen has
/// chosen to have them refused then.
pub(super) fn of(reply: &Reply) -> Answer {
    let silent = |why: String| Answer::Silent { why };
    match reply.status {
        200..=299 => {
            if reply.body_start.trim_ascii().is_empty() || !is_json(reply) {
                return Answer::Allowed;
            }
            if reply.truncated {
                return silent("the answer is too long".to_owned());
            }
            match serde_json::from_slice(&reply.body_start) {
                Ok(Value::Object(fields)) if fields.is_empty() => Answer::Allowed,
                Ok(Value::Object(fields)) => Answer::Amended { fields },
                Ok(_) => silent("the answer is no JSON object".to_owned()),
                Err(cause) => silent(format!("the answer is no JSON: {cause}")),
            }
        }
        400..=599 => {
            let message = match serde_json::from_slice(&reply.body_start) {
                Ok(Value::Object(mut fields)) => match fields.remove("message") {
                    Some(Value::String(message)) => Some(message),
                    _ => None,
                },
                _ => None,
            };
            Answer::Rejected { message }
        }
        status => silent(format!("answered with status {status}")),
    }
}

fn is_json(reply: &Reply) -> bool {
    reply.content_type.as_deref().is_some_and(|kind| {
        let kind = kind.split(';').next().unwrap_or_default().trim();
        kind.eq_ignore_ascii_case("application/json")
    })
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use serde_json::json;

    use super::*;

    fn reply(status: u16, content_type: Option<&str>, body: &str) -> Reply {
        Reply {
            status,
            content_type: content_type.map(str::to_owned),
            retry_after: None,
            body_start: Bytes::copy_from_slice(body.as_bytes()),
            truncated: false,
        }
    }

    const JSON: Option<&str> = Some("application/json; charset=utf-8");

    #[test]
    fn what_says_nothing_allows() {
        for silent in [
            reply(200, None, ""),
            reply(204, None, ""),
            reply(200, JSON, " \n"),
            reply(200, JSON, "{}"),
            reply(200, Some("text/html"), "<p>OK</p>"),
        ] {
            assert_eq!(of(&silent), Answer::Allowed, "{silent:?}");
        }
    }

    #[test]
    fn a_json_object_changes_and_an_error_rejects_with_its_message() {
        let Answer::Amended { fields } = of(&reply(200, JSON, r#"{"body":"b"}"#)) else {
            panic!("not amended");
        };
        assert_eq!(Value::Object(fields), json!({"body": "b"}));
        let rejected = |message: Option<&str>| Answer::Rejected {
            message: message.map(str::to_owned),
        };
        assert_eq!(of(&reply(403, JSON, r#"{"message":"no"}"#)), rejected(Some("no")));
        assert_eq!(of(&reply(500, JSON, r#"{"message":7}"#)), rejected(None));
        assert_eq!(of(&reply(400, None, "no")), rejected(None));
    }

    #[test]
    fn what_cannot_be_understood_is_no_answer() {
        let cut = Reply {
            truncated: true,
            ..reply(200, JSON, r#"{"body":"#)
        };
        for nonsense in [
            reply(200, JSON, "{"),
            reply(200, JSON, "[]"),
            reply(302, None, ""),
            cut,
        ] {
            assert!(matches!(of(&nonsense), Answer::Silent { .. }), "{nonsense:?}");
        }
    }
}
