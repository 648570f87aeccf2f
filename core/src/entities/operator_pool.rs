//! A pool of operators.

use sea_orm::entity::prelude::*;
use serde::{Deserialize, Serialize};

use crate::{
    sid::{OperatorPoolSid, ServiceSid},
    timestamp::Timestamp,
};

/// A pool of operators.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel, Serialize, Deserialize)]
#[sea_orm(table_name = "operator_pools")]
pub struct Model {
    /// The service it belongs to.
    #[sea_orm(primary_key, auto_increment = false)]
    pub service_id: ServiceSid,
    /// Its SID.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: OperatorPoolSid,
    /// A name for people.
    pub friendly_name: Option<String>,
    /// How many operators it has.
    pub operators_count: i32,
    /// When it was made.
    pub date_created: Timestamp,
    /// When it last changed.
    pub date_updated: Timestamp,
}

/// No relations: queries join by hand, tenant first.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
