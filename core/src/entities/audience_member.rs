//! An identity in an audience's list.

use sea_orm::entity::prelude::*;
use serde::{Deserialize, Serialize};

use crate::sid::{AudienceSid, ServiceSid};

/// An identity in an audience's list.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel, Serialize, Deserialize)]
#[sea_orm(table_name = "audience_members")]
pub struct Model {
    /// The service it belongs to.
    #[sea_orm(primary_key, auto_increment = false)]
    pub service_id: ServiceSid,
    /// The audience.
    #[sea_orm(primary_key, auto_increment = false)]
    pub audience_id: AudienceSid,
    /// The user; need not exist yet.
    #[sea_orm(primary_key, auto_increment = false)]
    pub identity: String,
}

/// No relations: queries join by hand, tenant first.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
