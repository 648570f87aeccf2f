//! Trials of providers: the one message that somebody waits for and nothing records.

use std::{sync::Arc, time::Instant};

use async_trait::async_trait;
use bytes::Bytes;
use hubbub_core::{
    Error, Result,
    broker::Answerer,
    providers::{self, Kind, Outcome, Trial, address},
};
use uuid::Uuid;

use super::{Letter, Mail, Post, Sms, Text, Verdict};

/// How many are made at a time.
pub(crate) const AT_ONCE: u16 = 16;
/// The subject of a letter.
const SUBJECT: &str = "Test";

/// Makes trials.
pub(crate) struct Tester(Arc<Post>);

impl Tester {
    pub(crate) fn new(post: &Arc<Post>) -> Arc<Self> {
        Arc::new(Self(Arc::clone(post)))
    }

    /// What came of it; `None` when the provider is gone.
    async fn make(&self, question: &[u8]) -> Result<Option<Outcome>> {
        let trial: Trial = serde_json::from_slice(question).map_err(Error::internal)?;
        let post = &*self.0;
        let Some(kind) = Kind::parse(&trial.kind) else {
            return Ok(None);
        };
        let Some(provider) = providers::find(post.core.db.reader(), trial.service, kind).await? else {
            return Ok(None);
        };
        let began = Instant::now();
        let verdict = match kind {
            Kind::Sms => {
                let text = Text {
                    to: trial.to,
                    from: None,
                    body: trial.body,
                    status_callback: None,
                };
                Sms::of(&post.core, &provider)?.send(post, &text).await
            }
            Kind::Email => match address::mailbox(&trial.to) {
                Some(to) => {
                    let letter = Letter {
                        to,
                        from: None,
                        subject: SUBJECT.to_owned(),
                        body: trial.body,
                        id: format!("test.{}", Uuid::now_v7().simple()),
                    };
                    Mail::of(post, &provider)?.send(post, &letter).await
                }
                None => Verdict::refused("To is no mailbox"),
            },
        };
        let (status, provider_sid, error) = match verdict {
            Verdict::Taken { sid } => ("sent", sid, None),
            Verdict::Refused { sid, error } => ("failed", sid, Some(error)),
            Verdict::Busy { error, .. } => ("failed", None, Some(error)),
            Verdict::Unknown { error } => ("unknown", None, Some(error)),
        };
        Ok(Some(Outcome {
            status: status.to_owned(),
            provider_sid,
            error,
            duration_ms: u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX),
        }))
    }
}

#[async_trait]
impl Answerer for Tester {
    async fn reply(&self, question: Bytes) -> Bytes {
        let outcome = self.make(&question).await.unwrap_or_else(|error| {
            tracing::error!(?error, "a trial of a provider could not be made");
            None
        });
        serde_json::to_vec(&outcome).unwrap_or_default().into()
    }
}
