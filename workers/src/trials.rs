//! Trials of endpoints: the one call that somebody waits for and nothing records.

use std::{sync::Arc, time::Instant};

use async_trait::async_trait;
use bytes::Bytes;
use hubbub_core::{
    Core, Error, Result,
    broker::Answerer,
    webhook_endpoints::{self, Outcome, Trial},
};

use crate::{
    calls::{Body, Signer},
    outbound::Client,
};

/// How many are made at a time.
pub(crate) const AT_ONCE: u16 = 16;
/// How much of an answer is told, in bytes.
const TOLD: usize = 1024;

/// Makes trials.
pub(crate) struct Tester {
    core: Arc<Core>,
    client: Client,
}

impl Tester {
    pub(crate) fn new(core: Arc<Core>, client: Client) -> Arc<Self> {
        Arc::new(Self { core, client })
    }

    /// What came of it; `None` when the endpoint is gone.
    async fn make(&self, question: &[u8]) -> Result<Option<Outcome>> {
        let trial: Trial = serde_json::from_slice(question).map_err(Error::internal)?;
        let db = self.core.db.reader();
        let Some(endpoint) = webhook_endpoints::find(db, trial.service, trial.endpoint).await? else {
            return Ok(None);
        };
        let Some(signer) = Signer::of_endpoint(&self.core, &endpoint).await? else {
            return Ok(None);
        };
        let signed = Body::recorded(&trial.says, 0)
            .and_then(|body| signer.sign(&trial.id, "POST", &endpoint.url, body));
        let began = Instant::now();
        let answer = match signed {
            Ok(call) => self.client.call(call).await.map_err(|error| error.to_string()),
            Err(problem) => Err(problem),
        };
        let duration_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
        Ok(Some(match answer {
            Ok(reply) => Outcome {
                webhook_id: trial.id,
                status: Some(reply.status),
                duration_ms,
                error: (!reply.is_success()).then(|| format!("answered with status {}", reply.status)),
                response_start: Some(
                    String::from_utf8_lossy(&reply.body_start[..reply.body_start.len().min(TOLD)])
                        .into_owned(),
                ),
            },
            Err(error) => Outcome {
                webhook_id: trial.id,
                status: None,
                duration_ms,
                response_start: None,
                error: Some(error),
            },
        }))
    }
}

#[async_trait]
impl Answerer for Tester {
    async fn reply(&self, question: Bytes) -> Bytes {
        let outcome = self.make(&question).await.unwrap_or_else(|error| {
            tracing::error!(?error, "a trial of an endpoint could not be made");
            None
        });
        serde_json::to_vec(&outcome).unwrap_or_default().into()
    }
}
