//! One attempt to deliver one event: sign, call, judge, write down.

use std::time::Duration;

use bytes::Bytes;
use hubbub_core::{
    Core, Error, Result, Secret, Timestamp, accounts,
    entities::webhook_delivery,
    services,
    webhooks::{
        deliveries,
        ledger::{self, Attempt, Verdict},
    },
};
use rand::RngExt;
use reqwest::{
    Method,
    header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue},
};
use url::Url;

use crate::{
    outbound::{Call, CallError, Client, DEADLINE, Reply},
    signing::{standard, twilio},
};

/// How long each further attempt waits after the one before.
const LADDER: [Duration; 3] = [
    Duration::from_secs(1),
    Duration::from_secs(5),
    Duration::from_secs(30),
];
/// How far the waits vary, so that failures do not march in step.
const JITTER: f64 = 0.2;
/// How much of an answer the ledger keeps, in bytes.
const KEPT: usize = 1024;

/// What signs the calls of one service, read once for a run of deliveries.
pub(super) struct Signer {
    auth_token: Secret,
    secrets: Vec<standard::Secret>,
}

impl Signer {
    /// Reads the service's secrets; `None` when the service is gone.
    ///
    /// # Errors
    /// When the database is away, or a secret was sealed under another master key.
    pub(super) async fn of(core: &Core, delivery: &webhook_delivery::Model) -> Result<Option<Self>> {
        let Some(account) = accounts::find(core.db.reader(), delivery.account_id).await? else {
            return Ok(None);
        };
        let service = services::find(core.db.reader(), delivery.account_id, delivery.service_id).await?;
        let Some(service) = service else { return Ok(None) };
        let secrets = services::webhook_secrets(core, &service)?
            .iter()
            .map(|secret| standard::Secret::parse(secret.expose()))
            .collect::<std::result::Result<_, _>>()
            .map_err(|_| Error::internal("a service's webhook secret is damaged"))?;
        Ok(Some(Self {
            auth_token: accounts::auth_token(&core.vault, &account)?,
            secrets,
        }))
    }
}

/// Makes the attempt and writes down what came of it.
///
/// # Errors
/// When the database is away; the delivery's lease then runs out, and the attempt is made again.
pub(super) async fn run(
    core: &Core,
    client: &Client,
    signer: &Signer,
    delivery: &webhook_delivery::Model,
) -> Result<()> {
    let outcome = match prepare(signer, delivery) {
        Ok(call) => judge(delivery, client.call(call).await),
        Err(problem) => Attempt {
            verdict: Verdict::Dead,
            response_status: None,
            response_start: None,
            error: Some(problem),
        },
    };
    tracing::debug!(delivery = %delivery.id, event = delivery.event_type, ?outcome, "attempted delivery {}", delivery.id);
    ledger::finish(&core.db, delivery, outcome).await
}

/// The signed call, or why there can be none.
fn prepare(signer: &Signer, delivery: &webhook_delivery::Model) -> std::result::Result<Call, String> {
    let mut parameters: Vec<(String, String)> = serde_json::from_value(delivery.parameters.clone())
        .map_err(|cause| format!("its parameters are damaged: {cause}"))?;
    parameters.push(("RetryCount".to_owned(), delivery.attempts.to_string()));
    sign(delivery, signer, &parameters)
}

fn sign(
    delivery: &webhook_delivery::Model,
    signer: &Signer,
    parameters: &[(String, String)],
) -> std::result::Result<Call, String> {
    let mut url = Url::parse(&delivery.url).map_err(|cause| format!("its URL is wrong: {cause}"))?;
    let form = serde_urlencoded::to_string(parameters).map_err(|cause| cause.to_string())?;
    let mut headers = HeaderMap::new();
    let (method, body, twilio_signature) = if delivery.method == "GET" {
        let query = match url.query() {
            Some(query) if !query.is_empty() => format!("{query}&{form}"),
            _ => form,
        };
        url.set_query(Some(&query));
        (
            Method::GET,
            Bytes::new(),
            twilio::sign(signer.auth_token.expose(), url.as_str()),
        )
    } else {
        headers.insert(
            CONTENT_TYPE,
            HeaderValue::from_static("application/x-www-form-urlencoded; charset=UTF-8"),
        );
        let pairs = parameters
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()));
        (
            Method::POST,
            Bytes::from(form),
            twilio::sign_form(signer.auth_token.expose(), url.as_str(), pairs),
        )
    };
    let id = deliveries::webhook_id(delivery.id);
    let now = Timestamp::now().unix_seconds();
    // For GET the query string stands in for the body.
    let signed: &[u8] = if method == Method::GET {
        url.query().unwrap_or_default().as_bytes()
    } else {
        &body
    };
    let signature = standard::sign(&signer.secrets, &id, now, signed);
    for (name, value) in [
        (twilio::HEADER, twilio_signature),
        (standard::ID_HEADER, id),
        (standard::TIMESTAMP_HEADER, now.to_string()),
        (standard::SIGNATURE_HEADER, signature),
    ] {
        let name = HeaderName::try_from(name).map_err(|cause| cause.to_string())?;
        headers.insert(
            name,
            HeaderValue::try_from(value).map_err(|cause| cause.to_string())?,
        );
    }
    Ok(Call {
        method,
        url,
        headers,
        body,
        deadline: DEADLINE,
    })
}

/// Twilio's rules: 2xx is taken; time-outs, 429, 503 and 504 are tried again as often as the setting allows.
fn judge(delivery: &webhook_delivery::Model, outcome: std::result::Result<Reply, CallError>) -> Attempt {
    let (status, start, again, error) = match outcome {
        Ok(reply) if reply.is_success() => {
            let start = start_of(&reply);
            return Attempt {
                verdict: Verdict::Delivered,
                response_status: Some(reply.status),
                response_start: Some(start),
                error: None,
            };
        }
        Ok(reply) => {
            let again = matches!(reply.status, 429 | 503 | 504);
            (
                Some(reply.status),
                Some(start_of(&reply)),
                again,
                format!("answered with status {}", reply.status),
            )
        }
        Err(error) => (None, None, error.counts_as_timeout(), error.to_string()),
    };
    let verdict = if again && delivery.attempts < delivery.retry_count {
        Verdict::RetryAt(Timestamp::now().plus(wait(delivery.attempts)))
    } else {
        Verdict::Dead
    };
    Attempt {
        verdict,
        response_status: status,
        response_start: start,
        error: Some(error),
    }
}

fn start_of(reply: &Reply) -> String {
    String::from_utf8_lossy(&reply.body_start[..reply.body_start.len().min(KEPT)]).into_owned()
}

fn wait(attempts: i32) -> Duration {
    let rung = usize::try_from(attempts).unwrap_or(0).min(LADDER.len() - 1);
    LADDER[rung].mul_f64(rand::rng().random_range(1.0 - JITTER..=1.0 + JITTER))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_waits_climb_the_ladder_with_jitter() {
        for (attempts, seconds) in [(0, 1.0), (1, 5.0), (2, 30.0), (7, 30.0)] {
            let wait = wait(attempts).as_secs_f64();
            assert!(
                (seconds * 0.8..=seconds * 1.2).contains(&wait),
                "{attempts}: {wait}"
            );
        }
    }
}
