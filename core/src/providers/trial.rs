//! Trying a provider out: one message, sent by a worker, since only workers call what tenants name.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Kind, address};
use crate::{
    broker::AskClass,
    ctx::Ctx,
    error::{Error, ErrorCode, Result},
    input,
    sid::ServiceSid,
};

/// How long a trial may take, the way to the worker and back included.
const PATIENCE: Duration = Duration::from_secs(45);
/// What is said when nothing else is asked for.
const SAMPLE: &str = "This is a test message. The provider works.";

/// What a worker is asked to send.
#[derive(Debug, Serialize, Deserialize)]
pub struct Trial {
    /// The provider's service.
    pub service: ServiceSid,
    /// `sms` or `email`.
    pub kind: String,
    /// To whom.
    pub to: String,
    /// What.
    pub body: String,
}

/// What came of a trial.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = ProviderTest)]
pub struct Outcome {
    /// `sent`: the provider has taken it; `failed`: it has not; `unknown`: there was no answer in time.
    pub status: String,
    /// The provider's own id of the message, if it said one.
    pub provider_sid: Option<String>,
    /// Why it was not taken.
    pub error: Option<String>,
    /// How long it took, in milliseconds.
    pub duration_ms: u64,
}

/// Has a worker send one real message through the provider, and answers with what came of it. It is in no ledger and
/// not sent again.
///
/// # Errors
/// 20404; 20001 naming `To` or `Body`; 20503 when no worker could be asked; 20006 for users and for whom may only read.
pub async fn test(ctx: &Ctx, kind: Kind, to: &str, body: Option<&str>) -> Result<Outcome> {
    ctx.caller.may_write()?;
    super::get(ctx, kind).await?;
    let to = match kind {
        Kind::Sms => address::phone(to)
            .ok_or_else(|| Error::parameter("To", "must be a phone number such as +15017122661"))?,
        Kind::Email => address::mailbox(to)
            .ok_or_else(|| Error::parameter("To", "must be an address such as ada@example.com"))?
            .to_string(),
    };
    let trial = Trial {
        service: ctx.scope(),
        kind: kind.name().to_owned(),
        to,
        body: input::body(body.filter(|body| !body.is_empty()).unwrap_or(SAMPLE))?,
    };
    let question = serde_json::to_vec(&trial).map_err(Error::internal)?;
    let reply = ctx
        .core
        .asks
        .ask(AskClass::Provider, question.into(), PATIENCE)
        .await
        .map_err(|cause| {
            tracing::warn!(%cause, "no worker told what came of the trial of a provider");
            Error::with(
                ErrorCode::Unavailable,
                "Service unavailable: no worker answered in time; the message may have been sent",
            )
        })?;
    serde_json::from_slice::<Option<Outcome>>(&reply)
        .map_err(Error::internal)?
        .ok_or_else(|| ErrorCode::Unavailable.into())
}
