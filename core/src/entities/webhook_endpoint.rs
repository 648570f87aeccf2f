//! A webhook endpoint of a service: whom it tells of what happens, and whom it asks before.

use sea_orm::entity::prelude::*;
use serde::{Deserialize, Serialize};

use crate::{
    sid::{AccountSid, ServiceSid, WebhookEndpointSid},
    timestamp::Timestamp,
};

/// A webhook endpoint of a service: whom it tells of what happens, and whom it asks before.
#[derive(Clone, Debug, PartialEq, DeriveEntityModel, Serialize, Deserialize)]
#[sea_orm(table_name = "webhook_endpoints")]
pub struct Model {
    /// The service it belongs to.
    #[sea_orm(primary_key, auto_increment = false)]
    pub service_id: ServiceSid,
    /// Its SID.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: WebhookEndpointSid,
    /// The account whose token signs its calls.
    pub account_id: AccountSid,
    /// Where it calls.
    pub url: String,
    /// A JSON list of the events that it is told of (post-events) or asked about (pre-events).
    pub events: Json,
    /// `form` or `json`: what a call's body is.
    pub format: String,
    /// Whether an event of a channel waits until the one before it is delivered or dead.
    pub ordered: bool,
    /// Headers of its own: a JSON object of texts, sealed for this endpoint.
    pub headers: Vec<u8>,
    /// `open` or `closed`: whether an action goes on when a pre-event gets no answer.
    pub failure_policy: String,
    /// How long a call may take.
    pub timeout_ms: i32,
    /// Whether its answers to pre-events are noted and not obeyed.
    pub shadow: bool,
    /// Whether it is asked before REST actions too.
    pub pre_events_on_rest: bool,
    /// `enabled`, `paused` or `disabled`.
    pub status: String,
    /// Why it is disabled.
    pub disabled_reason: Option<String>,
    /// `hmac-sha256` or `ed25519`: which Standard Webhooks signature it gets.
    pub signing: String,
    /// The Standard Webhooks secret, sealed for this endpoint.
    pub secret: Vec<u8>,
    /// The one before the last rotation, sealed.
    pub previous_secret: Option<Vec<u8>>,
    /// Until when the one before signs too.
    pub previous_secret_until: Option<Timestamp>,
    /// Since when nothing has been delivered; unset while it answers.
    pub failing_since: Option<Timestamp>,
    /// Why the last attempt failed.
    pub last_failure: Option<String>,
    /// When it was made.
    pub date_created: Timestamp,
    /// When it last changed.
    pub date_updated: Timestamp,
}

/// No relations: queries join by hand, tenant first.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
