//! An operator of a pool.

use sea_orm::entity::prelude::*;
use serde::{Deserialize, Serialize};

use crate::{
    sid::{OperatorPoolSid, ServiceSid},
    timestamp::Timestamp,
};

/// An operator of a pool.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel, Serialize, Deserialize)]
#[sea_orm(table_name = "operators")]
pub struct Model {
    /// The service of the pool.
    #[sea_orm(primary_key, auto_increment = false)]
    pub service_id: ServiceSid,
    /// The pool.
    #[sea_orm(primary_key, auto_increment = false)]
    pub pool_id: OperatorPoolSid,
    /// Who.
    #[sea_orm(primary_key, auto_increment = false)]
    pub identity: String,
    /// Since when.
    pub date_created: Timestamp,
}

/// No relations: queries join by hand, tenant first.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
