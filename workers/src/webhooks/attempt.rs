//! One attempt to deliver one event: sign, call, judge, write down.

use std::time::Duration;

use hubbub_core::{
    Core, Result, Timestamp,
    entities::webhook_delivery,
    webhooks::{
        deliveries,
        ledger::{self, Attempt, Verdict},
    },
};
use rand::RngExt;

use crate::{
    calls::{Body, Signer},
    outbound::{Call, CallError, Client, Reply},
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
    let body = Body::recorded(&delivery.parameters, delivery.attempts)?;
    let id = deliveries::webhook_id(delivery.id);
    signer.sign(&id, &delivery.method, &delivery.url, body)
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
