//! An account: the tenant.

use sea_orm::entity::prelude::*;
use serde::{Deserialize, Serialize};

use crate::{sid::AccountSid, timestamp::Timestamp};

/// An account: the tenant.
#[derive(Clone, Debug, PartialEq, DeriveEntityModel, Serialize, Deserialize)]
#[sea_orm(table_name = "accounts")]
pub struct Model {
    /// Its SID.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: AccountSid,
    /// A name for people.
    pub friendly_name: String,
    /// `active`, `suspended` or `closed`.
    pub status: String,
    /// The auth token, sealed for this account.
    pub auth_token: Vec<u8>,
    /// When it was made.
    pub date_created: Timestamp,
    /// When it last changed.
    pub date_updated: Timestamp,
}

/// No relations: queries join by hand, tenant first.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
