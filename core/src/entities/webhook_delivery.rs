//! A webhook delivery: the ledger, and the durable queue of retries.

use sea_orm::entity::prelude::*;
use serde::{Deserialize, Serialize};

use crate::{
    sid::{AccountSid, ChannelSid, DeliverySid, EventSid, ServiceSid},
    timestamp::Timestamp,
};

/// A webhook delivery: the ledger, and the durable queue of retries.
#[derive(Clone, Debug, PartialEq, DeriveEntityModel, Serialize, Deserialize)]
#[sea_orm(table_name = "webhook_deliveries")]
pub struct Model {
    /// The service it belongs to.
    #[sea_orm(primary_key, auto_increment = false)]
    pub service_id: ServiceSid,
    /// Its SID; the `webhook-id` is made of it.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: DeliverySid,
    /// The account whose token signs it.
    pub account_id: AccountSid,
    /// The event it tells of.
    pub event_id: EventSid,
    /// The webhook's event name, such as `onMessageSent`.
    pub event_type: String,
    /// The channel, for events of one.
    pub channel_id: Option<ChannelSid>,
    /// The event's place in the channel's order.
    pub seq: Option<i64>,
    /// `service`, `channel` or `endpoint`: whose address it goes to.
    pub target_kind: String,
    /// The identifier of the service, of the channel's webhook or of the endpoint: each has a queue of its own.
    pub target_id: Uuid,
    /// Where it goes.
    pub url: String,
    /// `GET` or `POST`.
    pub method: String,
    /// A JSON list of [name, value] pairs.
    pub parameters: Json,
    /// `pending`, `delivered`, `dead` or `cancelled`.
    pub status: String,
    /// Attempts that ran to their end.
    pub attempts: i32,
    /// How many of them were made before it was last sent again by hand.
    pub attempts_before: i32,
    /// How many further attempts the setting allows after the first.
    pub retry_count: i32,
    /// When it is due; unset when finished.
    pub next_attempt_at: Option<Timestamp>,
    /// The HTTP status of the last answer.
    pub response_status: Option<i32>,
    /// The first bytes of the last answer.
    pub response_start: Option<String>,
    /// Why the last attempt failed.
    pub last_error: Option<String>,
    /// When the event was committed.
    pub date_created: Timestamp,
    /// When it last changed.
    pub date_updated: Timestamp,
}

/// No relations: queries join by hand, tenant first.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
