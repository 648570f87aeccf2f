//! Pre-events: before an action is done, whom its tenant wants asked may allow it, change it or reject it.
//!
//! A domain function that can be intercepted asks [`due`] first, which costs nothing where nobody is to be asked. When
//! somebody is, it rehearses: the action is done in a transaction that is rolled back, so whoever may not do it, or does
//! it wrongly, is refused without a call to the tenant. Then the targets are asked one after the other ([`Due::ask`]), and
//! the action is done for good with what they have made of it, under the same rules.
//!
//! The workers make the calls; here is waited for the broker's reply and nothing else.

mod event;
mod hooks;
mod question;
mod recorder;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use serde_json::{Map, Value};

pub(crate) use event::{
    CHANNEL_ADD, CHANNEL_DESTROY, CHANNEL_UPDATE, MEMBER_ADD, MEMBER_REMOVE, MEMBER_UPDATE, MESSAGE_REMOVE,
    MESSAGE_SEND, MESSAGE_UPDATE, PreEvent, USER_UPDATE,
};
pub use hooks::Hooks;
pub(crate) use hooks::{changed, changes};
pub use question::{Answer, Question};
pub use recorder::{Call, Recorder};

use self::hooks::Target;
use crate::{
    broker::AskClass,
    ctx::{Core, Ctx},
    error::{Error, ErrorCode, Result},
    sid::{DeliverySid, EventSid},
    timestamp::Timestamp,
};

/// How long the service's `PreWebhookUrl` has for its answer.
const BUDGET_MS: u64 = 5_000;
/// How long all who are asked about one action have together.
const CHAIN: Duration = Duration::from_secs(10);
/// How much longer the worker's reply is waited for than the call may take.
const GRACE: Duration = Duration::from_millis(250);
/// The longest message for the user that is passed on, in characters.
const MESSAGE_CHARACTERS: usize = 500;

/// Who is to be asked about an action.
#[derive(Debug, Clone)]
pub struct Due {
    targets: Vec<Target>,
}

/// Who is to be asked before the caller does this; `None` when it is nobody.
///
/// # Errors
/// Whatever the database refuses.
pub(crate) async fn due(ctx: &Ctx, event: &str) -> Result<Option<Due>> {
    let hooks = ctx.core.lookups.hooks(ctx.account(), ctx.scope()).await?;
    let Some(hooks) = hooks else { return Ok(None) };
    let targets = hooks.targets(event, ctx.caller.identity().is_some());
    Ok((!targets.is_empty()).then_some(Due { targets }))
}

impl Due {
    /// Asks one after the other; each sees what those before it have changed. Answers the changes.
    ///
    /// # Errors
    /// 50056 when one rejects it; 50076 when one gives no answer that must; 20001 when one changes a field to something
    /// that is no text.
    pub(crate) async fn ask(self, ctx: &Ctx, mut event: PreEvent) -> Result<Amendments> {
        let deadline = Instant::now() + CHAIN;
        let mut amendments = Amendments::default();
        for target in self.targets {
            let left = deadline.saturating_duration_since(Instant::now());
            let budget = left.min(Duration::from_millis(target.budget_ms));
            let question = question(ctx, target, &event, budget)?;
            if target.shadow {
                let core = Arc::clone(&ctx.core);
                tokio::spawn(async move { put(&core, question, budget).await });
                continue;
            }
            match put(&ctx.core, question, budget).await {
                Answer::Allowed => {}
                Answer::Amended { fields } => amendments.take(&mut event, fields)?,
                Answer::Rejected { message } => return Err(rejected(message)),
                Answer::Silent { why } if target.closed => {
                    tracing::warn!(code = 50076, service = %ctx.scope(), event = event.name, why, "a pre-event got no answer and is refused (50076)");
                    return Err(ErrorCode::PreEventSilent.into());
                }
                Answer::Silent { why } => {
                    tracing::warn!(code = 50076, service = %ctx.scope(), event = event.name, why, "a pre-event got no answer and goes on (50076)");
                }
            }
        }
        Ok(amendments)
    }
}

/// The question as it crosses the broker. Nothing else is kept while it is waited for.
fn question(ctx: &Ctx, target: Target, event: &PreEvent, budget: Duration) -> Result<bytes::Bytes> {
    let question = Question {
        account: ctx.account(),
        service: ctx.scope(),
        endpoint: target.endpoint,
        delivery: DeliverySid::generate(),
        event: EventSid::generate(),
        name: event.name.to_owned(),
        actor: ctx.caller.actor().to_owned(),
        channel: event.channel,
        parameters: event
            .parameters
            .iter()
            .map(|(name, value)| ((*name).to_owned(), value.clone()))
            .collect(),
        at: Timestamp::now(),
        budget_ms: u64::try_from(budget.as_millis()).unwrap_or(BUDGET_MS),
    };
    Ok(serde_json::to_vec(&question).map_err(Error::internal)?.into())
}

/// Asks a worker. What it does not reply to is put into the ledger here; a call that it made is put there by itself.
async fn put(core: &Core, question: bytes::Bytes, budget: Duration) -> Answer {
    if budget.is_zero() {
        let why = "those who were asked before it took all the time".to_owned();
        core.recorder.not_called(core, &question, &why).await;
        return Answer::Silent { why };
    }
    let reply = core
        .asks
        .ask(AskClass::PreEvent, question.clone(), budget + GRACE)
        .await;
    match reply {
        Ok(reply) => serde_json::from_slice(&reply).unwrap_or_else(|cause| Answer::Silent {
            why: format!("the worker's reply cannot be read: {cause}"),
        }),
        Err(error) => {
            let why = error.to_string();
            core.recorder.not_called(core, &question, &why).await;
            Answer::Silent { why }
        }
    }
}

fn rejected(message: Option<String>) -> Error {
    let message = message.filter(|message| !message.trim().is_empty());
    match message {
        None => ErrorCode::PreEventRejected.into(),
        Some(message) => {
            let message: String = message
                .chars()
                .filter(|character| !character.is_control())
                .take(MESSAGE_CHARACTERS)
                .collect();
            Error::with(ErrorCode::PreEventRejected, message)
        }
    }
}

/// What those who were asked have changed.
#[derive(Debug, Default)]
pub(crate) struct Amendments {
    fields: Vec<(&'static str, String)>,
}

impl Amendments {
    /// Takes the fields that can be changed; null leaves one as it is.
    fn take(&mut self, event: &mut PreEvent, mut fields: Map<String, Value>) -> Result<()> {
        for field in event.modifiable() {
            let text = match fields.remove(*field) {
                None | Some(Value::Null) => continue,
                Some(Value::String(text)) => text,
                Some(_) => {
                    return Err(Error::parameter(
                        field,
                        "in the answer of a pre-event webhook must be a text",
                    ));
                }
            };
            event.amend(field, &text);
            self.fields.retain(|(known, _)| known != field);
            self.fields.push((field, text));
        }
        Ok(())
    }

    /// Puts the field's new value into its slot, if it has one.
    pub(crate) fn put(&self, field: &str, slot: &mut Option<String>) {
        if let Some((_, value)) = self.fields.iter().find(|(known, _)| *known == field) {
            *slot = Some(value.clone());
        }
    }
}
