//! A recipient of a campaign, and what became of the message.

use sea_orm::entity::prelude::*;
use serde::{Deserialize, Serialize};

use crate::{
    sid::{CampaignSid, ChannelSid, MessageSid, ServiceSid},
    timestamp::Timestamp,
};

/// A recipient of a campaign, and what became of the message.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel, Serialize, Deserialize)]
#[sea_orm(table_name = "campaign_recipients")]
pub struct Model {
    /// The service it belongs to.
    #[sea_orm(primary_key, auto_increment = false)]
    pub service_id: ServiceSid,
    /// The campaign.
    #[sea_orm(primary_key, auto_increment = false)]
    pub campaign_id: CampaignSid,
    /// Its place in the campaign, from 0.
    #[sea_orm(primary_key, auto_increment = false)]
    pub place: i64,
    /// The user.
    pub identity: String,
    /// `pending`, `sent`, `delivered`, `read`, `replied`, `failed` or `skipped`.
    pub status: String,
    /// The channel it was sent in.
    pub channel_id: Option<ChannelSid>,
    /// The message.
    pub message_id: Option<MessageSid>,
    /// The message's index in the channel.
    pub message_index: Option<i64>,
    /// Why it failed.
    pub error: Option<String>,
    /// The provider's own identifier of an SMS or e-mail.
    pub provider_sid: Option<String>,
    /// When it was handed to a provider: noted before the call, so that no crash sends it twice.
    pub handed_at: Option<Timestamp>,
    /// Not before this moment, since it is night where the user is.
    pub due_at: Option<Timestamp>,
    /// When it last changed.
    pub date_updated: Timestamp,
}

/// No relations: queries join by hand, tenant first.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
