//! A user's invite to one channel.

use sea_orm::entity::prelude::*;
use serde::{Deserialize, Serialize};

use crate::{
    sid::{ChannelSid, InviteSid, RoleSid, ServiceSid},
    timestamp::Timestamp,
};

/// A user's invite to one channel.
#[derive(Clone, Debug, PartialEq, DeriveEntityModel, Serialize, Deserialize)]
#[sea_orm(table_name = "invites")]
pub struct Model {
    /// The service it belongs to.
    #[sea_orm(primary_key, auto_increment = false)]
    pub service_id: ServiceSid,
    /// The channel.
    #[sea_orm(primary_key, auto_increment = false)]
    pub channel_id: ChannelSid,
    /// Its SID.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: InviteSid,
    /// The user.
    pub identity: String,
    /// The role that the user will have in the channel.
    pub role_id: RoleSid,
    /// An identity, or `system`.
    pub created_by: String,
    /// When it was made.
    pub date_created: Timestamp,
    /// When it last changed.
    pub date_updated: Timestamp,
}

/// No relations: queries join by hand, tenant first.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
