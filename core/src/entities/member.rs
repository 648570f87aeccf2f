//! A user's membership of one channel.

use sea_orm::entity::prelude::*;
use serde::{Deserialize, Serialize};

use crate::{
    sid::{ChannelSid, MemberSid, RoleSid, ServiceSid},
    timestamp::Timestamp,
};

/// A user's membership of one channel.
#[derive(Clone, Debug, PartialEq, DeriveEntityModel, Serialize, Deserialize)]
#[sea_orm(table_name = "members")]
pub struct Model {
    /// The service it belongs to.
    #[sea_orm(primary_key, auto_increment = false)]
    pub service_id: ServiceSid,
    /// The channel.
    #[sea_orm(primary_key, auto_increment = false)]
    pub channel_id: ChannelSid,
    /// Its SID.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: MemberSid,
    /// The user.
    pub identity: String,
    /// The user's role in the channel.
    pub role_id: RoleSid,
    /// JSON text, as it was given.
    pub attributes: String,
    /// The read horizon; unset until it was ever set.
    pub last_consumed_message_index: Option<i64>,
    /// When the horizon was last set.
    pub last_consumption_timestamp: Option<Timestamp>,
    /// `default` or `muted`.
    pub notification_level: String,
    /// The `seq` of the event by which it joined.
    pub joined_seq: i64,
    /// When it was made.
    pub date_created: Timestamp,
    /// When it last changed.
    pub date_updated: Timestamp,
}

/// No relations: queries join by hand, tenant first.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
