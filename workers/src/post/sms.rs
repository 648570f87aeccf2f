//! SMS through an HTTP API of the shape of Twilio's `Messages.json`.

use std::time::Duration;

use base64::{Engine, prelude::BASE64_STANDARD};
use bytes::Bytes;
use hubbub_core::{Core, Error, Result, Secret, Timestamp, entities::provider, providers};
use reqwest::{
    Method,
    header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue},
};
use serde::Deserialize;
use time::OffsetDateTime;
use url::Url;

use super::{Post, Verdict};
use crate::outbound::{Call, CallError, Reply};

/// For a whole call.
const DEADLINE: Duration = Duration::from_secs(10);
/// How many messages of a list are looked through.
const LISTED: &str = "20";
/// How much older than its handing over a message may seem by the provider's clock.
const CLOCKS: Duration = Duration::from_secs(120);
/// How much of a provider's own words is kept, in characters.
const QUOTED: usize = 300;

/// A service's SMS provider, ready to be called.
pub(crate) struct Sms {
    url: Url,
    authorization: HeaderValue,
    sender: String,
}

/// One SMS.
#[derive(Debug, Clone)]
pub(crate) struct Text {
    /// In E.164.
    pub(crate) to: String,
    /// Who it is from, unless it is the provider's own sender.
    pub(crate) from: Option<String>,
    /// What it says.
    pub(crate) body: String,
    /// Where the provider is to report what becomes of it.
    pub(crate) status_callback: Option<String>,
}

/// A message as the provider shows it.
#[derive(Deserialize)]
struct Shown {
    sid: Option<String>,
    status: Option<String>,
    to: Option<String>,
    body: Option<String>,
    date_created: Option<String>,
    error_code: Option<serde_json::Value>,
    error_message: Option<String>,
}

impl Shown {
    fn verdict(self) -> Verdict {
        match self.status.as_deref() {
            Some("failed" | "undelivered" | "canceled") => Verdict::Refused {
                error: said(
                    self.error_code.as_ref(),
                    self.error_message.as_deref().or(self.status.as_deref()),
                ),
                sid: self.sid,
            },
            _ => Verdict::Taken { sid: self.sid },
        }
    }
}

#[derive(Deserialize)]
struct List {
    messages: Vec<Shown>,
}

/// What a refusal looks like.
#[derive(Deserialize)]
struct Refusal {
    code: Option<serde_json::Value>,
    message: Option<String>,
}

fn said(code: Option<&serde_json::Value>, message: Option<&str>) -> String {
    let message: String = message
        .unwrap_or("refused without a reason")
        .chars()
        .take(QUOTED)
        .collect();
    match code {
        Some(serde_json::Value::Number(code)) => format!("{code}: {message}"),
        Some(serde_json::Value::String(code)) => format!("{code}: {message}"),
        _ => message,
    }
}

impl Sms {
    /// The provider of these settings.
    ///
    /// # Errors
    /// When its secret was sealed under another master key, or the settings are damaged.
    pub(crate) fn of(core: &Core, provider: &provider::Model) -> Result<Self> {
        let url = provider.url.as_deref().unwrap_or_default();
        let token = providers::secret(&core.vault, provider)?.unwrap_or_else(|| Secret::new(""));
        let login = provider.login.as_deref().unwrap_or_default();
        let pair = BASE64_STANDARD.encode(format!("{login}:{}", token.expose()));
        let mut authorization = HeaderValue::try_from(format!("Basic {pair}")).map_err(Error::internal)?;
        authorization.set_sensitive(true);
        Ok(Self {
            url: Url::parse(url).map_err(Error::internal)?,
            authorization,
            sender: provider.sender.clone(),
        })
    }

    /// Who an SMS is from.
    pub(crate) fn sender<'a>(&'a self, text: &'a Text) -> &'a str {
        text.from.as_deref().unwrap_or(&self.sender)
    }

    /// Hands one SMS to the provider, once.
    pub(crate) async fn send(&self, post: &Post, text: &Text) -> Verdict {
        let mut pairs = vec![
            ("To", text.to.as_str()),
            ("From", self.sender(text)),
            ("Body", text.body.as_str()),
        ];
        if let Some(callback) = &text.status_callback {
            pairs.push(("StatusCallback", callback));
        }
        let body = match serde_urlencoded::to_string(&pairs) {
            Ok(body) => body,
            Err(cause) => return Verdict::refused(cause.to_string()),
        };
        let mut headers = self.headers();
        headers.insert(
            CONTENT_TYPE,
            HeaderValue::from_static("application/x-www-form-urlencoded"),
        );
        let call = Call {
            method: Method::POST,
            url: self.url.clone(),
            headers,
            body: body.into(),
            deadline: DEADLINE,
        };
        match post.client.call(call).await {
            Ok(reply) => judge(&reply),
            Err(error @ CallError::Refused(_)) => Verdict::refused(error.to_string()),
            // The handshake comes before the call.
            Err(error @ (CallError::Unreached(_) | CallError::Tls(_))) => Verdict::busy(error.to_string()),
            Err(error @ (CallError::Timeout | CallError::Connection(_))) => Verdict::Unknown {
                error: error.to_string(),
            },
        }
    }

    /// Looks for an SMS that may have been taken at this time or later, and that is not somebody else's: `known` says
    /// which of some identifiers are. `None` when the provider does not list it.
    ///
    /// # Errors
    /// Why the provider could not be asked.
    pub(crate) async fn look_up<F>(
        &self,
        post: &Post,
        text: &Text,
        since: Timestamp,
        known: impl Fn(Vec<String>) -> F,
    ) -> std::result::Result<Option<Verdict>, String>
    where
        F: Future<Output = Vec<String>>,
    {
        let since = since.minus(CLOCKS);
        let day = since.to_seconds_text();
        let day = day.get(..10).unwrap_or_default();
        // What waits at the provider has no date of sending yet.
        for dated in [true, false] {
            let mut url = self.url.clone();
            {
                let mut query = url.query_pairs_mut();
                query
                    .append_pair("To", &text.to)
                    .append_pair("From", self.sender(text))
                    .append_pair("PageSize", LISTED);
                if dated {
                    query.append_pair("DateSent>", day);
                }
            }
            let call = Call {
                method: Method::GET,
                url,
                headers: self.headers(),
                body: Bytes::new(),
                deadline: DEADLINE,
            };
            let reply = post.client.call(call).await.map_err(|error| error.to_string())?;
            if !reply.is_success() {
                return Err(format!("the list was answered with status {}", reply.status));
            }
            let list: List = serde_json::from_slice(&reply.body_start)
                .map_err(|_| "the list that it answered with cannot be read".to_owned())?;
            let alike: Vec<Shown> = list
                .messages
                .into_iter()
                .filter(|shown| {
                    let created = shown.date_created.as_deref().and_then(Timestamp::parse_rfc2822);
                    shown.to.as_deref() == Some(text.to.as_str())
                        && shown.body.as_deref() == Some(text.body.as_str())
                        && created.is_none_or(|created| created >= since)
                })
                .collect();
            let others = known(alike.iter().filter_map(|shown| shown.sid.clone()).collect()).await;
            let found = alike
                .into_iter()
                .find(|shown| !shown.sid.as_ref().is_some_and(|sid| others.contains(sid)));
            if let Some(found) = found {
                return Ok(Some(found.verdict()));
            }
        }
        Ok(None)
    }

    fn headers(&self) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(AUTHORIZATION, self.authorization.clone());
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        headers
    }
}

/// What an answer means. A gateway that says that it lost its own way (502, 504) may have passed the message on.
fn judge(reply: &Reply) -> Verdict {
    let refusal: Option<Refusal> = serde_json::from_slice(&reply.body_start).ok();
    let error = || {
        let words = refusal
            .as_ref()
            .filter(|refusal| refusal.message.is_some())
            .map(|refusal| said(refusal.code.as_ref(), refusal.message.as_deref()));
        words.unwrap_or_else(|| format!("answered with status {}", reply.status))
    };
    match reply.status {
        200..300 => serde_json::from_slice::<Shown>(&reply.body_start)
            .map_or(Verdict::Taken { sid: None }, Shown::verdict),
        429 | 500 | 503 => Verdict::Busy {
            error: error(),
            after: reply.retry_after(OffsetDateTime::now_utc()),
        },
        501.. => Verdict::Unknown { error: error() },
        _ => Verdict::refused(error()),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    fn reply(status: u16, body: &str) -> Reply {
        Reply {
            status,
            content_type: None,
            retry_after: (status == 429).then(|| "7".to_owned()),
            body_start: body.to_owned().into(),
            truncated: false,
        }
    }

    #[test]
    fn answers_are_told_apart_by_whether_the_message_was_taken() {
        let taken = |sid: Option<&str>| Verdict::Taken {
            sid: sid.map(str::to_owned),
        };
        assert_eq!(
            judge(&reply(201, r#"{"sid":"SM1","status":"queued"}"#)),
            taken(Some("SM1"))
        );
        assert_eq!(judge(&reply(200, "thanks")), taken(None));
        assert_eq!(
            judge(&reply(
                400,
                r#"{"code":21211,"message":"The 'To' number is not valid","status":400}"#
            )),
            Verdict::refused("21211: The 'To' number is not valid")
        );
        assert_eq!(
            judge(&reply(302, "")),
            Verdict::refused("answered with status 302")
        );
        assert_eq!(
            judge(&reply(429, r#"{"code":20429,"message":"Too many"}"#)),
            Verdict::Busy {
                error: "20429: Too many".to_owned(),
                after: Some(Duration::from_secs(7)),
            }
        );
        assert!(matches!(judge(&reply(503, "<html>")), Verdict::Busy { .. }));
        for status in [502, 504] {
            assert!(
                matches!(judge(&reply(status, "")), Verdict::Unknown { .. }),
                "{status}"
            );
        }
        assert_eq!(
            judge(&reply(
                201,
                r#"{"sid":"SM2","status":"failed","error_code":30003,"error_message":"Unreachable"}"#
            )),
            Verdict::Refused {
                sid: Some("SM2".to_owned()),
                error: "30003: Unreachable".to_owned(),
            }
        );
    }
}
