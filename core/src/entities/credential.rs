//! Credentials of a push service.

use sea_orm::entity::prelude::*;
use serde::{Deserialize, Serialize};

use crate::{
    sid::{AccountSid, CredentialSid},
    timestamp::Timestamp,
};

/// Credentials of a push service.
#[derive(Clone, Debug, PartialEq, DeriveEntityModel, Serialize, Deserialize)]
#[sea_orm(table_name = "credentials")]
pub struct Model {
    /// The account it belongs to.
    #[sea_orm(primary_key, auto_increment = false)]
    pub account_id: AccountSid,
    /// Its SID.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: CredentialSid,
    /// `gcm`, `apn` or `fcm`.
    pub kind: String,
    /// A name for people.
    pub friendly_name: Option<String>,
    /// Whether Apple's test servers are meant.
    pub sandbox: bool,
    /// What the push service wants to see: a JSON object, sealed for this credential.
    pub secrets: Vec<u8>,
    /// When it was made.
    pub date_created: Timestamp,
    /// When it last changed.
    pub date_updated: Timestamp,
}

/// No relations: queries join by hand, tenant first.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
