//! A device of a user that push notifications go to.

use sea_orm::entity::prelude::*;
use serde::{Deserialize, Serialize};

use crate::{
    sid::{BindingSid, CredentialSid, ServiceSid, UserSid},
    timestamp::Timestamp,
};

/// A device of a user that push notifications go to.
#[derive(Clone, Debug, PartialEq, DeriveEntityModel, Serialize, Deserialize)]
#[sea_orm(table_name = "bindings")]
pub struct Model {
    /// The service it belongs to.
    #[sea_orm(primary_key, auto_increment = false)]
    pub service_id: ServiceSid,
    /// Its SID.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: BindingSid,
    /// The user.
    pub user_id: UserSid,
    /// The name of the user.
    pub identity: String,
    /// `gcm`, `apn` or `fcm`.
    pub kind: String,
    /// The app's own name for the device.
    pub endpoint: Option<String>,
    /// What tells the device from others of the user: its endpoint, or else a hash of its address.
    pub place: String,
    /// The device's token at the push service, sealed for this binding.
    pub address: Vec<u8>,
    /// The credentials to reach it with.
    pub credential_id: Option<CredentialSid>,
    /// A JSON list of what it is told.
    pub message_types: Json,
    /// When it was made.
    pub date_created: Timestamp,
    /// When it last changed.
    pub date_updated: Timestamp,
}

/// No relations: queries join by hand, tenant first.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
