//! An attempt to deliver a webhook.

use sea_orm::entity::prelude::*;
use serde::{Deserialize, Serialize};

use crate::{
    sid::{DeliverySid, ServiceSid},
    timestamp::Timestamp,
};

/// An attempt to deliver a webhook.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel, Serialize, Deserialize)]
#[sea_orm(table_name = "webhook_attempts")]
pub struct Model {
    /// The service it belongs to.
    #[sea_orm(primary_key, auto_increment = false)]
    pub service_id: ServiceSid,
    /// What was to be delivered.
    #[sea_orm(primary_key, auto_increment = false)]
    pub delivery_id: DeliverySid,
    /// Which of the delivery's attempts it was, from 1.
    #[sea_orm(primary_key, auto_increment = false)]
    pub number: i32,
    /// When it began.
    pub at: Timestamp,
    /// How long it took.
    pub duration_ms: i32,
    /// The HTTP status, if there was an answer.
    pub response_status: Option<i32>,
    /// The first bytes of the answer.
    pub response_start: Option<String>,
    /// Why it failed.
    pub error: Option<String>,
    /// When the next one was to follow, if one was.
    pub next_attempt_at: Option<Timestamp>,
}

/// No relations: queries join by hand, tenant first.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
