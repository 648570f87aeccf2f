//! A channel, with the counters that each event moves.

use sea_orm::entity::prelude::*;
use serde::{Deserialize, Serialize};

use crate::{
    sid::{CampaignSid, ChannelSid, MessageSid, OperatorPoolSid, ServiceSid},
    timestamp::Timestamp,
};

/// A channel, with the counters that each event moves.
#[derive(Clone, Debug, PartialEq, DeriveEntityModel, Serialize, Deserialize)]
#[sea_orm(table_name = "channels")]
pub struct Model {
    /// The service it belongs to.
    #[sea_orm(primary_key, auto_increment = false)]
    pub service_id: ServiceSid,
    /// Its SID.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: ChannelSid,
    /// A name to address it by, unique in the service.
    pub unique_name: Option<String>,
    /// A name for people.
    pub friendly_name: Option<String>,
    /// JSON text, as it was given.
    pub attributes: String,
    /// `public` or `private`.
    pub kind: String,
    /// An identity, or `system`.
    pub created_by: String,
    /// How many members it has.
    pub members_count: i32,
    /// How many messages it has, removed ones not counted.
    pub messages_count: i32,
    /// The index of the next message.
    pub next_index: i64,
    /// The `seq` of its latest event; 0 before the first.
    pub last_seq: i64,
    /// When its latest event was committed; never goes back.
    pub last_event_at: Timestamp,
    /// Its latest message that is not removed.
    pub last_message_id: Option<MessageSid>,
    /// When that message was sent.
    pub last_message_at: Option<Timestamp>,
    /// When that message was sent, or the channel made, or a little earlier: what lists of the latest activity walk along.
    #[serde(default = "never")]
    pub listed_at: Timestamp,
    /// How many webhooks of its own it has that call somebody.
    #[serde(default)]
    pub webhooks: i32,
    /// The latest campaign whose message went into it.
    #[serde(default)]
    pub campaign_id: Option<CampaignSid>,
    /// `open`, `snoozed` or `closed`; none while it never was a case.
    #[serde(default)]
    pub case_state: Option<String>,
    /// The operator who attends to it.
    #[serde(default)]
    pub assignee: Option<String>,
    /// The pool whose operators reach it.
    #[serde(default)]
    pub pool_id: Option<OperatorPoolSid>,
    /// When it wakes up.
    #[serde(default)]
    pub snoozed_until: Option<Timestamp>,
    /// The last message that its operators have attended to.
    #[serde(default)]
    pub pool_read_index: Option<i64>,
    /// When its latest event was committed, or a little earlier, while it has a pool: what operators may have missed is
    /// found along this.
    #[serde(default)]
    pub pool_event_at: Option<Timestamp>,
    /// Set when the channel was deleted; the row stays until its event log is trimmed.
    pub deleted_at: Option<Timestamp>,
    /// When it was made.
    pub date_created: Timestamp,
    /// When it last changed.
    pub date_updated: Timestamp,
}

fn never() -> Timestamp {
    Timestamp(0)
}

/// No relations: queries join by hand, tenant first.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
