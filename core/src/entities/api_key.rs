//! An API key of an account: signs access tokens and authenticates REST calls.

use sea_orm::entity::prelude::*;
use serde::{Deserialize, Serialize};

use crate::{
    ctx::KeyScope,
    sid::{AccountSid, ApiKeySid, ServiceSid},
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
    /// The one service that it reaches; `None` when it reaches all of the account.
    pub service_id: Option<ServiceSid>,
    /// Whether it only reads.
    pub read_only: bool,
    /// When it ends.
    pub date_expires: Option<Timestamp>,
    /// When it was last used, give or take a minute.
    pub date_last_used: Option<Timestamp>,
    /// When it was made.
    pub date_created: Timestamp,
    /// When it last changed.
    pub date_updated: Timestamp,
}

impl Model {
    /// What it opens.
    #[must_use]
    pub fn scope(&self) -> KeyScope {
        KeyScope {
            sid: self.id,
            service: self.service_id,
            read_only: self.read_only,
        }
    }

    /// Whether its time is over.
    #[must_use]
    pub fn has_expired(&self, now: Timestamp) -> bool {
        self.date_expires.is_some_and(|end| end <= now)
    }
}

/// No relations: queries join by hand, tenant first.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
