//! A durable channel event other than a message's arrival.

use sea_orm::entity::prelude::*;
use serde::{Deserialize, Serialize};

use crate::{
    sid::{ChannelSid, EventSid, ServiceSid},
    timestamp::Timestamp,
};

/// A durable channel event other than a message's arrival.
#[derive(Clone, Debug, PartialEq, DeriveEntityModel, Serialize, Deserialize)]
#[sea_orm(table_name = "channel_events")]
pub struct Model {
    /// The service it belongs to.
    #[sea_orm(primary_key, auto_increment = false)]
    pub service_id: ServiceSid,
    /// The channel.
    #[sea_orm(primary_key, auto_increment = false)]
    pub channel_id: ChannelSid,
    /// Its place in the channel's order.
    #[sea_orm(primary_key, auto_increment = false)]
    pub seq: i64,
    /// Its SID.
    pub id: EventSid,
    /// The event's name, such as `memberJoined`.
    pub kind: String,
    /// Who did it.
    pub identity: String,
    /// Whose membership it is about, when it is about joining or leaving.
    pub subject: Option<String>,
    /// The resource, as JSON of its record.
    pub payload: String,
    /// When it was committed.
    pub committed_at: Timestamp,
}

/// No relations: queries join by hand, tenant first.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
