//! A message; its row is also the record of its `messageAdded` event.

use sea_orm::entity::prelude::*;
use serde::{Deserialize, Serialize};

use crate::{
    sid::{ChannelSid, MessageSid, ServiceSid},
    timestamp::Timestamp,
};

/// A message; its row is also the record of its `messageAdded` event.
#[derive(Clone, Debug, PartialEq, DeriveEntityModel, Serialize, Deserialize)]
#[sea_orm(table_name = "messages")]
pub struct Model {
    /// The service it belongs to.
    #[sea_orm(primary_key, auto_increment = false)]
    pub service_id: ServiceSid,
    /// The channel.
    #[sea_orm(primary_key, auto_increment = false)]
    pub channel_id: ChannelSid,
    /// Its index in the channel, from 0.
    #[sea_orm(primary_key, auto_increment = false)]
    pub idx: i64,
    /// Its SID.
    pub id: MessageSid,
    /// The `seq` of its `messageAdded` event.
    pub seq: i64,
    /// An identity, or `system`.
    pub author: String,
    /// The text.
    pub body: Option<String>,
    /// JSON text, as it was given.
    pub attributes: String,
    /// The sender's own id: unique per channel and author.
    pub client_id: Option<String>,
    /// Who edited it last.
    pub last_updated_by: Option<String>,
    /// Whether it was edited.
    pub was_edited: bool,
    /// Set when it was removed; the row stays until the event log is trimmed.
    pub removed_at: Option<Timestamp>,
    /// When its event was committed (`date_created` may be imported).
    pub committed_at: Timestamp,
    /// When it was sent.
    pub date_created: Timestamp,
    /// When it last changed.
    pub date_updated: Timestamp,
}

/// No relations: queries join by hand, tenant first.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
