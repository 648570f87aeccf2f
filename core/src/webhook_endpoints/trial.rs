//! Trying an endpoint out: a sample event, sent by a worker, since only workers call tenants' addresses.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::JSON;
use crate::{
    broker::AskClass,
    ctx::Ctx,
    entities::message,
    error::{Error, ErrorCode, Result},
    events::Event,
    input::SYSTEM,
    sid::{ChannelSid, DeliverySid, MessageSid, ServiceSid, WebhookEndpointSid},
    timestamp::Timestamp,
    webhooks::{deliveries, parameters, post_event},
};

/// How much longer than the call itself the way to the worker and back may take.
const WAY: Duration = Duration::from_secs(3);

/// What a worker is asked to send.
#[derive(Debug, Serialize, Deserialize)]
pub struct Trial {
    /// The endpoint's service.
    pub service: ServiceSid,
    /// The endpoint.
    pub endpoint: WebhookEndpointSid,
    /// The `webhook-id`.
    pub id: String,
    /// What the call says: a list of [name, value] pairs, or JSON text.
    pub says: Value,
}

/// What came of a trial.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = WebhookEndpointTest)]
pub struct Outcome {
    /// The `webhook-id` of the call.
    pub webhook_id: String,
    /// The HTTP status of the answer, if there was one.
    pub status: Option<u16>,
    /// How long the call took, in milliseconds.
    pub duration_ms: u64,
    /// The first bytes of the answer.
    pub response_start: Option<String>,
    /// Why there was no answer, or that its status was not 2xx.
    pub error: Option<String>,
}

/// Has a worker send the endpoint a sample event, whatever its status, and answers with what came back. Nothing of it is
/// recorded.
///
/// # Errors
/// 20404; 20503 when no worker could be asked; 20006 for users and for whom may only read.
pub async fn test(ctx: &Ctx, id: WebhookEndpointSid) -> Result<Outcome> {
    ctx.caller.may_write()?;
    let endpoint = super::get(ctx, id).await?;
    let event = sample(ctx);
    let says = if endpoint.format == JSON {
        Value::String(event.render(&ctx.core.settings.base(), event.kind))
    } else {
        json!(parameters(
            post_event(&event).unwrap_or_default(),
            &ctx.caller.origin(),
            &event
        ))
    };
    let trial = Trial {
        service: ctx.scope(),
        endpoint: id,
        id: deliveries::webhook_id(DeliverySid::generate()),
        says,
    };
    let question = serde_json::to_vec(&trial).map_err(Error::internal)?;
    let patience = Duration::from_millis(u64::try_from(endpoint.timeout_ms).unwrap_or_default()) + WAY;
    let reply = ctx
        .core
        .asks
        .ask(AskClass::Trial, question.into(), patience)
        .await
        .map_err(|cause| {
            tracing::warn!(%cause, "no worker made the trial of an endpoint");
            Error::with(
                ErrorCode::Unavailable,
                "Service unavailable, try again: no worker made the call",
            )
        })?;
    serde_json::from_slice::<Option<Outcome>>(&reply)
        .map_err(Error::internal)?
        .ok_or_else(|| ErrorCode::Unavailable.into())
}

/// A message that nobody sent, in a channel that is not there.
fn sample(ctx: &Ctx) -> Event {
    let now = Timestamp::now();
    let message = message::Model {
        service_id: ctx.scope(),
        channel_id: ChannelSid::generate(),
        idx: 0,
        id: MessageSid::generate(),
        seq: 1,
        author: SYSTEM.to_owned(),
        body: Some("A sample event: nobody has sent this message.".to_owned()),
        attributes: r#"{"sample":true}"#.to_owned(),
        client_id: None,
        last_updated_by: None,
        was_edited: false,
        removed_at: None,
        committed_at: now,
        date_created: now,
        date_updated: now,
    };
    Event::message_added(ctx.account(), message, None)
}
