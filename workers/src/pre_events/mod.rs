//! Calls about pre-events: made at once, while somebody waits. They have a lane of their own, apart from deliveries; a
//! target that keeps silent is not asked for a while, and none has more than its share.

mod answer;
mod breaker;

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use async_trait::async_trait;
use bytes::Bytes;
use hubbub_core::{
    Core, Result, Timestamp,
    broker::Answerer,
    entities::webhook_attempt,
    pre_events::{Answer, Call, Hooks, Question},
    sid::{ServiceSid, WebhookEndpointSid},
    webhook_endpoints,
    webhooks::{deliveries, ledger},
};
use parking_lot::Mutex;
use serde_json::{Map, Value, json};

use self::breaker::Breaker;
use crate::{
    calls::{Body, Signer},
    outbound::{CallError, Client, Reply},
};

/// How many calls a process makes at a time.
pub(crate) const AT_ONCE: u16 = 8192;
/// How many of them about one target. Further ones get no answer at once.
const SHARE: usize = 2048;
/// So many targets that keep silent are remembered.
const REMEMBERED: usize = 10_000;
/// How long each further attempt waits after the one before: the whole must fit into the time of one.
const PAUSES: [Duration; 3] = [
    Duration::from_millis(200),
    Duration::from_millis(500),
    Duration::from_millis(1000),
];
/// How much of an answer the ledger keeps, in bytes.
const KEPT: usize = 1024;

/// A service's `PreWebhookUrl`, or an endpoint.
type TargetKey = (ServiceSid, Option<WebhookEndpointSid>);

/// Makes the calls.
pub(crate) struct Interceptor {
    core: Arc<Core>,
    client: Client,
    targets: Mutex<HashMap<TargetKey, Standing>>,
}

/// How a target fares.
#[derive(Default)]
struct Standing {
    breaker: Breaker,
    in_flight: usize,
}

#[async_trait]
impl Answerer for Interceptor {
    async fn reply(&self, question: Bytes) -> Bytes {
        let answer = match serde_json::from_slice::<Question>(&question) {
            Ok(question) => self.answer(&question).await.unwrap_or_else(|error| {
                tracing::warn!(?error, "a pre-event could not be asked about");
                Answer::Silent {
                    why: error.to_string(),
                }
            }),
            Err(cause) => Answer::Silent {
                why: format!("not a question of this version: {cause}"),
            },
        };
        serde_json::to_vec(&answer).unwrap_or_default().into()
    }
}

impl Interceptor {
    pub(crate) fn new(core: Arc<Core>, client: Client) -> Arc<Self> {
        Arc::new(Self {
            core,
            client,
            targets: Mutex::default(),
        })
    }

    async fn answer(&self, question: &Question) -> Result<Answer> {
        let began = Instant::now();
        let hooks = self
            .core
            .lookups
            .hooks(question.account, question.service)
            .await?;
        let Some(hooks) = hooks.filter(|hooks| is_wanted(question, hooks)) else {
            // Whoever was to be asked is gone meanwhile.
            return Ok(Answer::Allowed);
        };
        let mut call = Call::of(question, &hooks);
        let key = (question.service, question.endpoint);
        let answer = match self.enter(key) {
            Err(why) => Answer::Silent { why: why.to_owned() },
            Ok(mut pass) => {
                let answer = self.make(question, &hooks, &mut call, began).await?;
                pass.was_silent = matches!(answer, Answer::Silent { .. });
                answer
            }
        };
        call.delivery.date_updated = Timestamp::now();
        if let Answer::Silent { why } = &answer {
            call.delivery.last_error = Some(why.clone());
        } else {
            ledger::DELIVERED.clone_into(&mut call.delivery.status);
        }
        self.core.recorder.record(call);
        Ok(answer)
    }

    /// Lets a call in, or says why there is none.
    fn enter(&self, key: TargetKey) -> std::result::Result<Pass<'_>, &'static str> {
        let mut targets = self.targets.lock();
        if targets.len() >= REMEMBERED && !targets.contains_key(&key) {
            // Among them are some that are long gone.
            targets.retain(|_, standing| standing.in_flight > 0);
        }
        let standing = targets.entry(key).or_default();
        if standing.in_flight >= SHARE {
            return Err("not called: too many calls to it are under way");
        }
        if !standing.breaker.lets_through(Instant::now()) {
            return Err("not called: it has not answered several times, and is left alone for a while");
        }
        standing.in_flight += 1;
        Ok(Pass {
            interceptor: self,
            key,
            was_silent: true,
        })
    }

    fn leave(&self, key: TargetKey, was_silent: bool) {
        let mut targets = self.targets.lock();
        let Some(standing) = targets.get_mut(&key) else {
            return;
        };
        standing.in_flight -= 1;
        if standing.breaker.ended(was_silent, Instant::now()) {
            tracing::warn!(service = %key.0, "a pre-event webhook of service {} keeps silent and is left alone for a while", key.0);
        }
        if standing.in_flight == 0 && standing.breaker.is_new() {
            targets.remove(&key);
        }
    }

    /// Makes the call, again when it may and there is time.
    async fn make(
        &self,
        question: &Question,
        hooks: &Hooks,
        call: &mut Call,
        began: Instant,
    ) -> Result<Answer> {
        let silent = |why: &str| Answer::Silent { why: why.to_owned() };
        let (signer, retries) = match question.endpoint.and_then(|id| hooks.endpoint(id)) {
            Some(endpoint) => (Signer::of_endpoint(&self.core, endpoint).await?, 0),
            None => (
                Signer::of_service(&self.core, question.account, question.service).await?,
                usize::try_from(hooks.service.pre_webhook_retry_count).unwrap_or_default(),
            ),
        };
        let Some(signer) = signer else {
            return Ok(silent("the account is gone"));
        };
        let id = deliveries::webhook_id(question.delivery);
        let until = began + Duration::from_millis(question.budget_ms);
        for number in 0.. {
            let body = body(question, hooks, number);
            let signed = signer.sign(&id, &call.delivery.method, &call.delivery.url, body);
            let mut signed = match signed {
                Ok(signed) => signed,
                Err(why) => return Ok(Answer::Silent { why }),
            };
            signed.deadline = until.saturating_duration_since(Instant::now());
            let (at, start) = (Timestamp::now(), Instant::now());
            let outcome = self.client.call(signed).await;
            note(call, at, start.elapsed(), &outcome);
            let again = match &outcome {
                Ok(reply) => matches!(reply.status, 429 | 503 | 504),
                Err(error) => error.counts_as_timeout(),
            };
            let pause = PAUSES.get(number).filter(|_| again && number < retries);
            match pause.map(|pause| Instant::now() + *pause) {
                Some(next) if next < until => tokio::time::sleep_until(next.into()).await,
                _ => {
                    return Ok(match outcome {
                        Ok(reply) => answer::of(&reply),
                        Err(error) => silent(&error.to_string()),
                    });
                }
            }
        }
        Ok(silent("it was not called"))
    }
}

/// A call under way. What ends in any other way than with an answer was silent.
struct Pass<'i> {
    interceptor: &'i Interceptor,
    key: TargetKey,
    was_silent: bool,
}

impl Drop for Pass<'_> {
    fn drop(&mut self) {
        self.interceptor.leave(self.key, self.was_silent);
    }
}

/// Whether the target is still to be asked.
fn is_wanted(question: &Question, hooks: &Hooks) -> bool {
    match question.endpoint {
        Some(id) => hooks.endpoint(id).is_some(),
        None => hooks.service.pre_webhook_url.is_some(),
    }
}

/// Twilio's parameters, or the envelope with them in it.
fn body(question: &Question, hooks: &Hooks, attempt: usize) -> Body {
    let is_json = question
        .endpoint
        .and_then(|id| hooks.endpoint(id))
        .is_some_and(|endpoint| endpoint.format == webhook_endpoints::JSON);
    if is_json {
        Body::Json(envelope(question).to_string())
    } else {
        let mut pairs = question.parameters.clone();
        pairs.push(("RetryCount".to_owned(), attempt.to_string()));
        Body::Form(pairs)
    }
}

/// The envelope of an event that has not happened yet: what it is about stands under `data`, since there is no resource.
fn envelope(question: &Question) -> Value {
    let mut envelope = json!({
        "id": question.event,
        "type": question.name,
        "account_sid": question.account,
        "service_sid": question.service,
        "identity": question.actor,
        "timestamp": question.at.to_millis_text(),
    });
    if let Some(channel) = question.channel {
        envelope["channel_sid"] = json!(channel);
    }
    let mut data = Map::new();
    for (name, value) in &question.parameters {
        match name.as_str() {
            "EventType" | "AccountSid" | "InstanceSid" | "ChannelSid" | "ClientIdentity" => {}
            "Source" => envelope["source"] = json!(value),
            _ => {
                data.insert(snake_case(name), json!(value));
            }
        }
    }
    envelope["data"] = Value::Object(data);
    envelope
}

/// `DateCreated` as `date_created`.
fn snake_case(name: &str) -> String {
    let mut snake = String::with_capacity(name.len() + 2);
    for (place, character) in name.char_indices() {
        if place > 0 && character.is_ascii_uppercase() {
            snake.push('_');
        }
        snake.push(character.to_ascii_lowercase());
    }
    snake
}

/// Notes an attempt that was made.
fn note(call: &mut Call, at: Timestamp, took: Duration, outcome: &std::result::Result<Reply, CallError>) {
    let delivery = &mut call.delivery;
    delivery.attempts += 1;
    let (status, start, error) = match outcome {
        Ok(reply) => {
            let kept = &reply.body_start[..reply.body_start.len().min(KEPT)];
            // Postgres keeps no NUL in a text.
            let start = String::from_utf8_lossy(kept).replace('\0', "\u{fffd}");
            (Some(i32::from(reply.status)), Some(start), None)
        }
        Err(error) => (None, None, Some(error.to_string())),
    };
    delivery.response_status = status;
    delivery.response_start.clone_from(&start);
    call.attempts.push(webhook_attempt::Model {
        service_id: delivery.service_id,
        delivery_id: delivery.id,
        number: delivery.attempts,
        at,
        duration_ms: i32::try_from(took.as_millis()).unwrap_or(i32::MAX),
        response_status: status,
        response_start: start,
        error,
        next_attempt_at: None,
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_snake_case() {
        for (name, snake) in [
            ("Body", "body"),
            ("DateCreated", "date_created"),
            ("MessageSid", "message_sid"),
            ("IsOnline", "is_online"),
        ] {
            assert_eq!(snake_case(name), snake);
        }
    }
}
