//! What came of attempts, written down many at a time.

use std::time::Duration;

use sea_orm::{ConnectionTrait, Value};

use super::ledger::{DEAD, DELIVERED, PENDING};
use crate::{
    db::Db,
    entities::webhook_delivery,
    error::Result,
    sid::{DeliverySid, ServiceSid},
    sql::{Sql, portions},
    timestamp::Timestamp,
};

/// What came of an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// What follows.
    pub verdict: Verdict,
    /// When it began.
    pub at: Timestamp,
    /// How long it took.
    pub took: Duration,
    /// The HTTP status, if there was an answer.
    pub response_status: Option<u16>,
    /// The first bytes of the answer, as text.
    pub response_start: Option<String>,
    /// Why it failed.
    pub error: Option<String>,
}

/// What follows an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing: it was taken.
    Delivered,
    /// Another attempt at this time.
    RetryAt(Timestamp),
    /// Nothing: it failed for good.
    Dead,
}

/// An attempt that was made.
#[derive(Debug, Clone)]
pub struct Outcome {
    service: ServiceSid,
    delivery: DeliverySid,
    /// Which of the delivery's attempts it was, from 1.
    number: i32,
    attempt: Attempt,
}

impl Outcome {
    /// The attempt at this delivery, as it was before.
    #[must_use]
    pub fn of(delivery: &webhook_delivery::Model, attempt: Attempt) -> Self {
        Self {
            service: delivery.service_id,
            delivery: delivery.id,
            number: delivery.attempts.saturating_add(1),
            attempt,
        }
    }

    /// What was to be delivered.
    #[must_use]
    pub fn delivery(&self) -> DeliverySid {
        self.delivery
    }

    fn next(&self) -> Option<Timestamp> {
        match self.attempt.verdict {
            Verdict::RetryAt(moment) => Some(moment),
            Verdict::Delivered | Verdict::Dead => None,
        }
    }

    fn status(&self) -> &'static str {
        match self.attempt.verdict {
            Verdict::Delivered => DELIVERED,
            Verdict::RetryAt(_) => PENDING,
            Verdict::Dead => DEAD,
        }
    }

    fn response_status(&self) -> Value {
        self.attempt.response_status.map(i32::from).into()
    }

    fn response_start(&self) -> Value {
        self.attempt.response_start.as_deref().map(text).into()
    }

    fn error(&self) -> Value {
        self.attempt.error.as_deref().map(text).into()
    }
}

/// Postgres keeps no NUL in a text.
fn text(text: &str) -> String {
    text.replace('\0', "\u{fffd}")
}

/// Writes down what came of attempts, in one transaction; they count from now on. What is gone meanwhile, cancelled or
/// attempted by somebody else is left as it is.
///
/// # Errors
/// Whatever the database refuses; nothing is written then.
pub async fn record(db: &Db, outcomes: &[Outcome]) -> Result<()> {
    let tx = db.begin().await?;
    for portion in portions(outcomes) {
        settle(&tx, portion).await?;
        note(&tx, portion).await?;
    }
    tx.commit().await?;
    Ok(())
}

async fn settle(tx: &impl ConnectionTrait, outcomes: &[Outcome]) -> Result<()> {
    let mut sql = Sql::new(
        "WITH made(service_id, id, number, status, next_attempt_at, response_status, response_start, error) AS \
         (VALUES ",
    );
    sql.rows(outcomes.iter().map(|outcome| {
        [
            outcome.service.into(),
            outcome.delivery.into(),
            outcome.number.into(),
            outcome.status().into(),
            outcome.next().into(),
            outcome.response_status(),
            outcome.response_start(),
            outcome.error(),
        ]
    }));
    sql.push(
        ") UPDATE webhook_deliveries SET attempts = made.number, status = made.status, \
         next_attempt_at = made.next_attempt_at, response_status = made.response_status, \
         response_start = made.response_start, last_error = made.error, date_updated = ",
    )
    .bind(Timestamp::now());
    sql.push(
        " FROM made WHERE webhook_deliveries.service_id = made.service_id AND webhook_deliveries.id = made.id \
         AND webhook_deliveries.status = 'pending' AND webhook_deliveries.attempts = made.number - 1",
    );
    sql.execute(tx).await?;
    Ok(())
}

async fn note(tx: &impl ConnectionTrait, outcomes: &[Outcome]) -> Result<()> {
    let mut sql = Sql::new(
        "INSERT INTO webhook_attempts (service_id, delivery_id, number, at, duration_ms, response_status, \
         response_start, error, next_attempt_at) VALUES ",
    );
    sql.rows(outcomes.iter().map(|outcome| {
        [
            outcome.service.into(),
            outcome.delivery.into(),
            outcome.number.into(),
            outcome.attempt.at.into(),
            i32::try_from(outcome.attempt.took.as_millis())
                .unwrap_or(i32::MAX)
                .into(),
            outcome.response_status(),
            outcome.response_start(),
            outcome.error(),
            outcome.next().into(),
        ]
    }));
    sql.push(" ON CONFLICT DO NOTHING");
    sql.execute(tx).await?;
    Ok(())
}
