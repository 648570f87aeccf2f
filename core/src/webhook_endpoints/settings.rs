//! What an endpoint may be set to: every field optional, every wrong one named.

use serde_json::{Map, Value, json};

use super::{CLOSED, DISABLED, ED25519, ENABLED, FORM, HMAC, JSON, OPEN, PAUSED, headers};
use crate::{
    ctx::Core,
    entities::webhook_endpoint,
    error::{Error, Result},
    webhooks::{POST_EVENTS, PRE_EVENTS, target},
};

/// How long a call may take, in milliseconds.
const TIMEOUTS: std::ops::RangeInclusive<i64> = 100..=30_000;

/// What to set; `None` leaves a setting as it is.
#[derive(Default)]
pub struct EndpointSettings {
    /// Where to call.
    pub url: Option<String>,
    /// Names of post- and pre-events; none, or a single empty one, means all post-events.
    pub events: Option<Vec<String>>,
    /// `form` or `json`.
    pub format: Option<String>,
    /// Whether an event of a channel waits until the one before it is delivered or dead.
    pub ordered: Option<bool>,
    /// A JSON object of texts, in place of what was there.
    pub headers: Option<Map<String, Value>>,
    /// `open` or `closed`.
    pub failure_policy: Option<String>,
    /// 100 to 30000.
    pub timeout_ms: Option<i64>,
    /// Whether its answers to pre-events are noted and not obeyed.
    pub shadow: Option<bool>,
    /// Whether it is asked before REST actions too.
    pub pre_events_on_rest: Option<bool>,
    /// `enabled`, `paused` or `disabled`.
    pub status: Option<String>,
    /// `hmac-sha256` or `ed25519`.
    pub signing: Option<String>,
}

/// Sets what is given.
pub(super) fn apply(core: &Core, row: &mut webhook_endpoint::Model, given: EndpointSettings) -> Result<()> {
    if let Some(url) = given.url {
        if url.is_empty() {
            return Err(Error::parameter(
                "Url",
                "is missing: an absolute http or https URL",
            ));
        }
        target::check(core, "Url", &url)?;
        row.url = url;
    }
    if let Some(names) = given.events {
        row.events = events(&names)?;
    }
    if let Some(object) = given.headers {
        row.headers = headers::seal(&core.vault, row.id, &headers::parse(&object)?)?;
    }
    if let Some(timeout) = given.timeout_ms {
        row.timeout_ms = match i32::try_from(timeout) {
            Ok(milliseconds) if TIMEOUTS.contains(&timeout) => milliseconds,
            _ => {
                return Err(Error::parameter(
                    "TimeoutMs",
                    &format!(
                        "must be a whole number of milliseconds, {} to {}",
                        TIMEOUTS.start(),
                        TIMEOUTS.end()
                    ),
                ));
            }
        };
    }
    for (slot, given) in [
        (&mut row.ordered, given.ordered),
        (&mut row.shadow, given.shadow),
        (&mut row.pre_events_on_rest, given.pre_events_on_rest),
    ] {
        if let Some(value) = given {
            *slot = value;
        }
    }
    choose("Format", &[FORM, JSON], &mut row.format, given.format.as_deref())?;
    choose(
        "FailurePolicy",
        &[OPEN, CLOSED],
        &mut row.failure_policy,
        given.failure_policy.as_deref(),
    )?;
    choose(
        "Signing",
        &[HMAC, ED25519],
        &mut row.signing,
        given.signing.as_deref(),
    )?;
    choose(
        "Status",
        &[ENABLED, PAUSED, DISABLED],
        &mut row.status,
        given.status.as_deref(),
    )
}

fn choose(field: &str, choices: &[&str], slot: &mut String, given: Option<&str>) -> Result<()> {
    let Some(given) = given else { return Ok(()) };
    match choices.iter().find(|choice| **choice == given) {
        Some(choice) => {
            (*choice).clone_into(slot);
            Ok(())
        }
        None => Err(Error::parameter(
            field,
            &format!("must be {}", choices.join(" or ")),
        )),
    }
}

/// A list of events, each once; all post-events when none is named.
pub(super) fn events(names: &[String]) -> Result<Value> {
    if names.iter().all(String::is_empty) {
        return Ok(json!(POST_EVENTS));
    }
    let mut kept: Vec<&str> = Vec::with_capacity(names.len());
    for name in names {
        if !POST_EVENTS.contains(&name.as_str()) && !PRE_EVENTS.contains(&name.as_str()) {
            let shown: String = name.chars().take(80).collect();
            return Err(Error::parameter(
                "Events",
                &format!(
                    "names the unknown event '{shown}'; name post-events such as onMessageSent or pre-events such as \
                     onMessageSend, or leave it out for all post-events"
                ),
            ));
        }
        if !kept.contains(&name.as_str()) {
            kept.push(name);
        }
    }
    Ok(json!(kept))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn no_events_mean_all_post_events_and_each_is_kept_once() {
        assert_eq!(events(&[]).unwrap(), json!(POST_EVENTS));
        assert_eq!(events(&texts(&[""])).unwrap(), json!(POST_EVENTS));
        assert_eq!(
            events(&texts(&["onMessageSent", "onMessageSend", "onMessageSent"])).unwrap(),
            json!(["onMessageSent", "onMessageSend"])
        );
        let refused = events(&texts(&["onMessageSent", "*"])).unwrap_err();
        assert!(refused.message().contains("'*'"), "{refused}");
    }

    #[test]
    fn a_wrong_choice_is_told_what_there_is_to_choose() {
        let mut slot = FORM.to_owned();
        choose("Format", &[FORM, JSON], &mut slot, Some("json")).unwrap();
        assert_eq!(slot, JSON);
        let refused = choose("Format", &[FORM, JSON], &mut slot, Some("xml")).unwrap_err();
        assert_eq!(refused.message(), "Format must be form or json");
        assert_eq!(slot, JSON);
    }
}
