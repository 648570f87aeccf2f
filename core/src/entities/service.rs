//! A service instance with its settings.

use sea_orm::entity::prelude::*;
use serde::{Deserialize, Serialize};

use crate::{
    sid::{AccountSid, RoleSid, ServiceSid},
    timestamp::Timestamp,
};

/// A service instance with its settings.
#[derive(Clone, Debug, PartialEq, DeriveEntityModel, Serialize, Deserialize)]
#[sea_orm(table_name = "services")]
pub struct Model {
    /// The account it belongs to.
    #[sea_orm(primary_key, auto_increment = false)]
    pub account_id: AccountSid,
    /// Its SID.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: ServiceSid,
    /// A name for people.
    pub friendly_name: String,
    /// The role of a new user.
    pub default_service_role_id: RoleSid,
    /// The role of a new member.
    pub default_channel_role_id: RoleSid,
    /// The role of a channel's creator.
    pub default_channel_creator_role_id: RoleSid,
    /// Whether members see each other's read horizon.
    pub read_status_enabled: bool,
    /// Whether presence is told.
    pub reachability_enabled: bool,
    /// Seconds until `typingEnded`.
    pub typing_indicator_timeout: i32,
    /// Seconds; kept for compatibility.
    pub consumption_report_interval: i32,
    /// The most members a channel may have.
    pub limit_channel_members: i32,
    /// The most channels a user may be in.
    pub limit_user_channels: i32,
    /// Called before actions of users.
    pub pre_webhook_url: Option<String>,
    /// Called after actions.
    pub post_webhook_url: Option<String>,
    /// `GET` or `POST`; unset means POST.
    pub webhook_method: Option<String>,
    /// A JSON list of event names; unset means all of them.
    pub webhook_filters: Option<Json>,
    /// 0 to 3.
    pub pre_webhook_retry_count: i32,
    /// 0 to 3.
    pub post_webhook_retry_count: i32,
    /// The `notifications` object of the REST answer.
    pub notifications: Json,
    /// Shown by clients that cannot show media.
    pub media_compatibility_message: Option<String>,
    /// The Standard Webhooks secret, sealed for this service.
    pub webhook_secret: Vec<u8>,
    /// The one before the last rotation, sealed.
    pub webhook_secret_before: Option<Vec<u8>>,
    /// Until when the one before signs too.
    pub webhook_secret_before_until: Option<Timestamp>,
    /// How many webhook endpoints it has.
    pub webhook_endpoints: i32,
    /// The rules of its cases: JSON text.
    pub case_rules: Option<String>,
    /// How many pools of operators it has.
    pub operator_pools: i32,
    /// When it was made.
    pub date_created: Timestamp,
    /// When it last changed.
    pub date_updated: Timestamp,
}

/// No relations: queries join by hand, tenant first.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
