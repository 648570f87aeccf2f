//! A campaign: a message to each of many recipients, or one to all of them.

use sea_orm::entity::prelude::*;
use serde::{Deserialize, Serialize};

use crate::{
    sid::{AccountSid, AudienceSid, CampaignSid, ChannelSid, OperatorPoolSid, ServiceSid},
    timestamp::Timestamp,
};

/// A campaign: a message to each of many recipients, or one to all of them.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel, Serialize, Deserialize)]
#[sea_orm(table_name = "campaigns")]
pub struct Model {
    /// The service it belongs to.
    #[sea_orm(primary_key, auto_increment = false)]
    pub service_id: ServiceSid,
    /// Its SID.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: CampaignSid,
    /// The account of the service.
    pub account_id: AccountSid,
    /// `campaign`, or `broadcast` for one that was started with its making.
    pub kind: String,
    /// A name for people.
    pub friendly_name: Option<String>,
    /// `group`, `individual` or `broadcast`.
    pub mode: String,
    /// `chat`, `sms` or `email`.
    pub via: String,
    /// Whom it goes to, unless `identities` says so.
    pub audience_id: Option<AudienceSid>,
    /// A JSON list of identities that it goes to.
    pub identities: Option<String>,
    /// A template for the unique names of its channels.
    pub channel_unique_name: Option<String>,
    /// The author of its messages, or who SMS and e-mail are from.
    pub sender: Option<String>,
    /// A template for the text.
    pub body: Option<String>,
    /// A template for the subject of e-mail.
    pub subject: Option<String>,
    /// JSON text whose texts are templates.
    pub attributes: Option<String>,
    /// A media file.
    pub media_sid: Option<String>,
    /// When it is to start.
    pub send_at: Option<Timestamp>,
    /// How many recipients a second, at most.
    pub rate_per_second: Option<i32>,
    /// JSON: the hours in which nobody is sent anything.
    pub quiet_hours: Option<String>,
    /// Whether it only goes through the motions.
    pub dry_run: bool,
    /// The pool that a reply attaches to the channel.
    pub attach_pool: Option<OperatorPoolSid>,
    /// Whether the request that made or started it asked for post-event webhooks.
    pub webhooks: bool,
    /// `draft`, `scheduled`, `running`, `paused`, `cancelled`, `completed` or `failed`.
    pub status: String,
    /// Why it failed.
    pub error: Option<String>,
    /// Its one channel, unless there is one for each recipient.
    pub channel_id: Option<ChannelSid>,
    /// `unresolved`, `resolving` or `resolved`: how far its recipients are known.
    pub phase: String,
    /// The last identity that is among its recipients, while they are being resolved.
    pub resolved_through: Option<String>,
    /// How many recipients it has so far.
    pub total: i64,
    /// When it began.
    pub date_started: Option<Timestamp>,
    /// When it ended, however it did.
    pub date_completed: Option<Timestamp>,
    /// When it was made.
    pub date_created: Timestamp,
    /// When it last changed.
    pub date_updated: Timestamp,
}

/// No relations: queries join by hand, tenant first.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
