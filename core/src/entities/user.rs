//! A user of a service.

use sea_orm::entity::prelude::*;
use serde::{Deserialize, Serialize};

use crate::{
    sid::{RoleSid, ServiceSid, UserSid},
    timestamp::Timestamp,
};

/// A user of a service.
#[derive(Clone, Debug, PartialEq, DeriveEntityModel, Serialize, Deserialize)]
#[sea_orm(table_name = "users")]
pub struct Model {
    /// The service it belongs to.
    #[sea_orm(primary_key, auto_increment = false)]
    pub service_id: ServiceSid,
    /// Its SID.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: UserSid,
    /// The tenant's own name for the user, unique in the service, case-sensitive.
    pub identity: String,
    /// Its role in the service.
    pub role_id: RoleSid,
    /// A name for people.
    pub friendly_name: Option<String>,
    /// JSON text, as it was given.
    pub attributes: String,
    /// In how many channels it is a member.
    pub joined_channels_count: i32,
    /// Whether it has a socket anywhere, as far as `presence` has told; kept while `reachability_enabled`.
    #[serde(default)]
    pub online: bool,
    /// When it last came or went, if it ever did.
    #[serde(default)]
    pub date_last_seen: Option<Timestamp>,
    /// When it was made.
    pub date_created: Timestamp,
    /// When it last changed.
    pub date_updated: Timestamp,
}

/// No relations: queries join by hand, tenant first.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
