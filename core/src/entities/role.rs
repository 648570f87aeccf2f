//! A named set of permissions.

use sea_orm::entity::prelude::*;
use serde::{Deserialize, Serialize};

use crate::{
    permissions::Permissions,
    sid::{RoleSid, ServiceSid},
    timestamp::Timestamp,
};

/// A named set of permissions.
#[derive(Clone, Debug, PartialEq, DeriveEntityModel, Serialize, Deserialize)]
#[sea_orm(table_name = "roles")]
pub struct Model {
    /// The service it belongs to.
    #[sea_orm(primary_key, auto_increment = false)]
    pub service_id: ServiceSid,
    /// Its SID.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: RoleSid,
    /// Its name.
    pub friendly_name: String,
    /// `deployment` or `channel`.
    pub kind: String,
    /// What it allows.
    pub permissions: Permissions,
    /// When it was made.
    pub date_created: Timestamp,
    /// When it last changed.
    pub date_updated: Timestamp,
}

/// No relations: queries join by hand, tenant first.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
