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
    /// Its parent, or itself when it has none.
    pub owner_id: AccountSid,
    /// A name for people.
    pub friendly_name: String,
    /// `active`, `suspended` or `closed`.
    pub status: String,
    /// The auth token, sealed for this account.
    pub auth_token: Vec<u8>,
    /// The token that is to replace it, sealed for this account; good beside it meanwhile.
    pub secondary_auth_token: Option<Vec<u8>>,
    /// When that one was made.
    pub secondary_auth_token_at: Option<Timestamp>,
    /// When the auth token was last replaced.
    pub auth_token_promoted_at: Option<Timestamp>,
    /// When it was made.
    pub date_created: Timestamp,
    /// When it last changed.
    pub date_updated: Timestamp,
}

/// No relations: queries join by hand, tenant first.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
