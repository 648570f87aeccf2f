//! An API key of an account: signs access tokens and authenticates REST calls.

use sea_orm::entity::prelude::*;
use serde::{Deserialize, Serialize};

use crate::{
    sid::{AccountSid, ApiKeySid},
    timestamp::Timestamp,
};

/// An API key of an account: signs access tokens and authenticates REST calls.
#[derive(Clone, Debug, PartialEq, DeriveEntityModel, Serialize, Deserialize)]
#[sea_orm(table_name = "api_keys")]
pub struct Model {
    /// The account it belongs to.
    #[sea_orm(primary_key, auto_increment = false)]
    pub account_id: AccountSid,
    /// Its SID.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: ApiKeySid,
    /// A name for people.
    pub friendly_name: String,
    /// The secret, sealed for this key.
    pub secret: Vec<u8>,
    /// When it was made.
    pub date_created: Timestamp,
    /// When it last changed.
    pub date_updated: Timestamp,
}

/// No relations: queries join by hand, tenant first.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
