//! What a channel's webhook calls, and when: which parts belong to which type.

use serde_json::{Value, json};

use crate::{
    ctx::Core,
    entities::channel_webhook,
    error::{Error, ErrorCode, Result},
    sid::looks_like,
    webhooks::{
        POST_EVENTS,
        target::{self, URL_CHARACTERS},
    },
};

/// Calls a URL after the events that its filters name.
pub const WEBHOOK: &str = "webhook";
/// Calls a URL when a message has one of its keywords.
pub const TRIGGER: &str = "trigger";
/// Starts a Studio flow.
pub const STUDIO: &str = "studio";

/// The most keywords of a trigger.
const MOST_TRIGGERS: usize = 5;
/// The longest keyword, in characters.
const TRIGGER_CHARACTERS: usize = 256;

/// Parts of a configuration; `None` leaves one as it is. Those that do not belong to the webhook's type are ignored.
#[derive(Debug, Clone, Default)]
pub struct Configuration {
    /// Where to call: for `webhook` and `trigger`.
    pub url: Option<String>,
    /// `GET` or `POST`: for `webhook` and `trigger`.
    pub method: Option<String>,
    /// Names of post-events: for `webhook`, and optional for `studio`.
    pub filters: Option<Vec<String>>,
    /// Keywords: for `trigger`.
    pub triggers: Option<Vec<String>>,
    /// A Studio flow: for `studio`.
    pub flow_sid: Option<String>,
    /// 0 to 3.
    pub retry_count: Option<i64>,
}

/// Reads a type.
pub(super) fn kind(text: &str) -> Result<&'static str> {
    match text {
        WEBHOOK => Ok(WEBHOOK),
        TRIGGER => Ok(TRIGGER),
        STUDIO => Ok(STUDIO),
        "" => Err(ErrorCode::ChannelWebhookTypeMissing.into()),
        _ => Err(ErrorCode::ChannelWebhookType.into()),
    }
}

/// Sets the parts that are given, and checks that none is missing then.
pub(super) fn apply(core: &Core, row: &mut channel_webhook::Model, given: Configuration) -> Result<()> {
    let Configuration {
        url,
        method,
        filters,
        triggers,
        flow_sid,
        retry_count,
    } = given;
    if let Some(count) = retry_count {
        row.retry_count = match i32::try_from(count) {
            Ok(count @ 0..=3) => count,
            _ => {
                return Err(Error::with(
                    ErrorCode::WebhookRetryCount,
                    "Configuration.RetryCount must be a whole number, 0 to 3",
                ));
            }
        };
    }
    if row.kind == STUDIO {
        if let Some(sid) = flow_sid {
            row.flow_sid = Some(flow(sid)?);
        }
        if let Some(names) = filters {
            row.filters = events(&names)?;
        }
        return match row.flow_sid {
            Some(_) => Ok(()),
            None => Err(Error::with(
                ErrorCode::ChannelWebhookFlowSid,
                "Configuration.FlowSid is missing: FW and 32 hexadecimal digits",
            )),
        };
    }
    if let Some(text) = url {
        row.url = address(core, text)?;
    }
    if let Some(method) = method {
        row.method = match method.to_ascii_uppercase().as_str() {
            "" => "POST".to_owned(),
            method @ ("GET" | "POST") => method.to_owned(),
            _ => {
                return Err(Error::with(
                    ErrorCode::WebhookMethod,
                    "Configuration.Method must be GET or POST",
                ));
            }
        };
    }
    if row.url.is_none() {
        return Err(ErrorCode::ChannelWebhookUrlMissing.into());
    }
    if row.kind == TRIGGER {
        if let Some(words) = triggers {
            row.triggers = keywords(&words)?;
        }
        row.triggers
            .as_ref()
            .map(|_| ())
            .ok_or_else(|| ErrorCode::ChannelWebhookTriggerMissing.into())
    } else {
        if let Some(names) = filters {
            row.filters = events(&names)?;
        }
        row.filters
            .as_ref()
            .map(|_| ())
            .ok_or_else(|| ErrorCode::ChannelWebhookFilterMissing.into())
    }
}

fn address(core: &Core, text: String) -> Result<Option<String>> {
    if text.is_empty() {
        return Ok(None);
    }
    if text.chars().count() > URL_CHARACTERS {
        return Err(ErrorCode::ChannelWebhookUrlTooLong.into());
    }
    target::check(core, "Configuration.Url", &text)?;
    Ok(Some(text))
}

fn flow(sid: String) -> Result<String> {
    if looks_like("FW", &sid) {
        Ok(sid)
    } else {
        Err(ErrorCode::ChannelWebhookFlowSid.into())
    }
}

/// A list of post-events; `None` when it is empty, or a single empty text, which is how a form says so.
fn events(names: &[String]) -> Result<Option<Value>> {
    if names.iter().all(String::is_empty) {
        return Ok(None);
    }
    match names.iter().find(|name| !POST_EVENTS.contains(&name.as_str())) {
        Some(unknown) => Err(Error::with(
            ErrorCode::ChannelWebhookFilter,
            format!(
                "Configuration.Filters must name post-events, '{}' is none",
                shorten(unknown)
            ),
        )),
        None => Ok(Some(json!(once_each(names)))),
    }
}

/// A list of keywords; `None` when it is empty.
fn keywords(words: &[String]) -> Result<Option<Value>> {
    if words.iter().all(String::is_empty) {
        return Ok(None);
    }
    if words.len() > MOST_TRIGGERS {
        return Err(ErrorCode::TooManyTriggers.into());
    }
    let wrong = |word: &&String| word.trim().is_empty() || word.chars().count() > TRIGGER_CHARACTERS;
    match words.iter().find(wrong) {
        Some(wrong) => Err(Error::with(
            ErrorCode::ChannelWebhookTrigger,
            format!(
                "Configuration.Triggers must be keywords of 1 to {TRIGGER_CHARACTERS} characters, '{}' is none",
                shorten(wrong)
            ),
        )),
        None => Ok(Some(json!(once_each(words)))),
    }
}

fn once_each(texts: &[String]) -> Vec<&String> {
    let mut kept: Vec<&String> = Vec::with_capacity(texts.len());
    for text in texts {
        if !kept.contains(&text) {
            kept.push(text);
        }
    }
    kept
}

fn shorten(text: &str) -> String {
    text.chars().take(80).collect()
}
