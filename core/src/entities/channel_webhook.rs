//! A webhook of one channel.

use sea_orm::entity::prelude::*;
use serde::{Deserialize, Serialize};

use crate::{
    sid::{ChannelSid, ServiceSid, WebhookSid},
    timestamp::Timestamp,
};

/// A webhook of one channel.
#[derive(Clone, Debug, PartialEq, DeriveEntityModel, Serialize, Deserialize)]
#[sea_orm(table_name = "channel_webhooks")]
pub struct Model {
    /// The service it belongs to.
    #[sea_orm(primary_key, auto_increment = false)]
    pub service_id: ServiceSid,
    /// The channel.
    #[sea_orm(primary_key, auto_increment = false)]
    pub channel_id: ChannelSid,
    /// Its SID.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: WebhookSid,
    /// `webhook`, `trigger` or `studio`.
    pub kind: String,
    /// Where it calls; unset for a Studio flow.
    pub url: Option<String>,
    /// `GET` or `POST`.
    pub method: String,
    /// A JSON list of post-events.
    pub filters: Option<Json>,
    /// A JSON list of keywords, one of which a message must contain.
    pub triggers: Option<Json>,
    /// The Studio flow that it starts.
    pub flow_sid: Option<String>,
    /// 0 to 3.
    pub retry_count: i32,
    /// When it was made.
    pub date_created: Timestamp,
    /// When it last changed.
    pub date_updated: Timestamp,
}

/// No relations: queries join by hand, tenant first.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
