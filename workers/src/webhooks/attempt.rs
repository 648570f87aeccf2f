//! One attempt to deliver one event: sign, call, judge.

use std::time::{Duration, Instant};

use hubbub_core::{Timestamp, entities::webhook_delivery, webhooks::deliveries};

use super::verdict::{self, Judged};
use crate::{
    calls::{Body, Signer},
    outbound::{Call, Client},
};

/// Makes the attempt and judges it.
pub(super) async fn run(
    client: &Client,
    signer: &Signer,
    delivery: &webhook_delivery::Model,
    ladder: &[Duration],
) -> Judged {
    let at = Timestamp::now();
    let began = Instant::now();
    let judged = match prepare(signer, delivery) {
        Ok(call) => {
            let outcome = client.call(call).await;
            verdict::judge(delivery, ladder, at, began.elapsed(), outcome)
        }
        Err(problem) => verdict::impossible(at, problem),
    };
    tracing::debug!(
        delivery = %delivery.id,
        event = delivery.event_type,
        outcome = ?judged.attempt,
        "attempted delivery {}",
        delivery.id
    );
    judged
}

/// The signed call, or why there can be none.
fn prepare(signer: &Signer, delivery: &webhook_delivery::Model) -> std::result::Result<Call, String> {
    let body = Body::recorded(&delivery.parameters, delivery.attempts)?;
    let id = deliveries::webhook_id(delivery.id);
    signer.sign(&id, &delivery.method, &delivery.url, body)
}
