//! Some hundred recipients of a campaign, which are worked on together, and how many of them stand where.

use sea_orm::entity::prelude::*;
use serde::{Deserialize, Serialize};

use crate::{
    sid::{CampaignSid, ServiceSid},
    timestamp::Timestamp,
};

/// Some hundred recipients of a campaign, which are worked on together, and how many of them stand where.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel, Serialize, Deserialize)]
#[sea_orm(table_name = "campaign_portions")]
pub struct Model {
    /// The service it belongs to.
    #[sea_orm(primary_key, auto_increment = false)]
    pub service_id: ServiceSid,
    /// The campaign.
    #[sea_orm(primary_key, auto_increment = false)]
    pub campaign_id: CampaignSid,
    /// Which portion it is, from 0.
    #[sea_orm(primary_key, auto_increment = false)]
    pub number: i32,
    /// How many are to be sent to.
    pub pending: i32,
    /// How many were sent to and no more is known.
    pub sent: i32,
    /// To how many it was delivered.
    pub delivered: i32,
    /// How many have read it.
    pub read_count: i32,
    /// How many have replied.
    pub replied: i32,
    /// How many could not be sent to.
    pub failed: i32,
    /// How many were left out.
    pub skipped: i32,
    /// When the first of those who wait is due.
    pub next_due_at: Option<Timestamp>,
    /// When it last changed.
    pub date_updated: Timestamp,
}

/// No relations: queries join by hand, tenant first.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
