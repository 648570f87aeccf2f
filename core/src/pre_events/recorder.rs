//! Pre-events in the ledger: written down after the answer, many at a time, so that nobody waits for it.

use sea_orm::{EntityTrait, IntoActiveModel, sea_query::OnConflict};
use serde_json::json;
use tokio::sync::mpsc;

use super::{Hooks, Question, hooks::in_the_ledger};
use crate::{
    ctx::Core,
    db::Db,
    entities::{webhook_attempt, webhook_delivery},
    error::Result,
    timestamp::Timestamp,
    webhooks::ledger,
};

/// How many calls may wait to be written down. When the database is away for longer, further ones are lost to the ledger.
const BACKLOG: usize = 16_384;
/// How many one statement writes down.
const BATCH: usize = 100;

/// A call about a pre-event: its place in the ledger, and the attempts that were made.
#[derive(Debug, Clone)]
pub struct Call {
    /// The delivery, finished.
    pub delivery: webhook_delivery::Model,
    /// Its attempts, in order.
    pub attempts: Vec<webhook_attempt::Model>,
}

impl Call {
    /// The call that the question asks for, not yet made.
    #[must_use]
    pub fn of(question: &Question, hooks: &Hooks) -> Self {
        let endpoint = question.endpoint.and_then(|id| hooks.endpoint(id));
        let (target_kind, target_id) = in_the_ledger(question.service, question.endpoint);
        let url = match endpoint {
            Some(endpoint) => endpoint.url.clone(),
            None => hooks.service.pre_webhook_url.clone().unwrap_or_default(),
        };
        let method = match (&endpoint, &hooks.service.webhook_method) {
            (None, Some(method)) => method.clone(),
            _ => "POST".to_owned(),
        };
        let delivery = webhook_delivery::Model {
            service_id: question.service,
            id: question.delivery,
            account_id: question.account,
            event_id: question.event,
            event_type: question.name.clone(),
            channel_id: question.channel,
            seq: None,
            target_kind: target_kind.to_owned(),
            target_id,
            url,
            method,
            parameters: json!(question.parameters),
            status: ledger::DEAD.to_owned(),
            attempts: 0,
            attempts_before: 0,
            retry_count: 0,
            next_attempt_at: None,
            response_status: None,
            response_start: None,
            last_error: None,
            date_created: question.at,
            date_updated: Timestamp::now(),
        };
        Self {
            delivery,
            attempts: Vec::new(),
        }
    }
}

/// Writes calls about pre-events down.
pub struct Recorder {
    calls: mpsc::Sender<Call>,
}

impl Recorder {
    /// Starts the task that writes. Must be called inside a tokio runtime.
    pub(crate) fn start(db: &Db) -> Self {
        let (calls, waiting) = mpsc::channel(BACKLOG);
        tokio::spawn(run(db.clone(), waiting));
        Self { calls }
    }

    /// Has a call written down, soon.
    pub fn record(&self, call: Call) {
        if let Err(lost) = self.calls.try_send(call) {
            let call = lost.into_inner();
            tracing::error!(delivery = %call.delivery.id, "a pre-event's call is not in the ledger: too many wait to be written down");
        }
    }

    /// Has it written down that there was no call, or that nobody knows what came of it.
    pub(super) async fn not_called(&self, core: &Core, question: &[u8], why: &str) {
        let Ok(question) = serde_json::from_slice::<Question>(question) else {
            return;
        };
        let hooks = core.lookups.hooks(question.account, question.service).await;
        if let Ok(Some(hooks)) = hooks {
            let mut call = Call::of(&question, &hooks);
            call.delivery.last_error = Some(why.to_owned());
            self.record(call);
        }
    }
}

async fn run(db: Db, mut waiting: mpsc::Receiver<Call>) {
    let mut calls = Vec::with_capacity(BATCH);
    while waiting.recv_many(&mut calls, BATCH).await > 0 {
        if let Err(error) = store(&db, &calls).await {
            tracing::error!(
                ?error,
                calls = calls.len(),
                "calls about pre-events are not in the ledger"
            );
        }
        calls.clear();
    }
}

async fn store(db: &Db, calls: &[Call]) -> Result<()> {
    use webhook_attempt::Column as Attempt;
    use webhook_delivery::Column as Delivery;
    // Who asked and who called may both write the same call down.
    let deliveries = calls.iter().map(|call| call.delivery.clone().into_active_model());
    webhook_delivery::Entity::insert_many(deliveries)
        .on_conflict(
            OnConflict::columns([Delivery::ServiceId, Delivery::Id])
                .do_nothing()
                .to_owned(),
        )
        .exec_without_returning(db.writer())
        .await?;
    let attempts: Vec<_> = calls
        .iter()
        .flat_map(|call| &call.attempts)
        .map(|attempt| attempt.clone().into_active_model())
        .collect();
    if attempts.is_empty() {
        return Ok(());
    }
    webhook_attempt::Entity::insert_many(attempts)
        .on_conflict(
            OnConflict::columns([Attempt::ServiceId, Attempt::DeliveryId, Attempt::Number])
                .do_nothing()
                .to_owned(),
        )
        .exec_without_returning(db.writer())
        .await?;
    Ok(())
}
