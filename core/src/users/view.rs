//! A user as REST answers and events show it.

use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    ctx::BaseUrl,
    entities::user,
    sid::{AccountSid, RoleSid, ServiceSid, UserSid},
    timestamp::Timestamp,
};

/// A user.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = User)]
pub struct UserView {
    #[schema(value_type = String)]
    sid: UserSid,
    #[schema(value_type = String)]
    account_sid: AccountSid,
    #[schema(value_type = String)]
    service_sid: ServiceSid,
    attributes: String,
    friendly_name: Option<String>,
    #[schema(value_type = String)]
    role_sid: RoleSid,
    identity: String,
    /// Whether any of its sockets is open; null unless `reachability_enabled`.
    is_online: Option<bool>,
    /// Whether it has a device that push notifications go to; null unless `reachability_enabled`.
    is_notifiable: Option<bool>,
    /// When it last came or went; null until it came for the first time, and unless `reachability_enabled`.
    date_last_seen: Option<String>,
    date_created: String,
    date_updated: String,
    joined_channels_count: i32,
    links: UserLinks,
    url: String,
}

/// Where the user's resources are.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct UserLinks {
    user_channels: String,
    user_bindings: String,
}

/// The user with whether push reaches it, when its service tells that and whether it is online.
pub(super) fn shown(
    user: &user::Model,
    notifiable: Option<bool>,
    account: AccountSid,
    base: &BaseUrl,
) -> UserView {
    let url = format!("{base}/v2/Services/{}/Users/{}", user.service_id, user.id);
    UserView {
        sid: user.id,
        account_sid: account,
        service_sid: user.service_id,
        attributes: user.attributes.clone(),
        friendly_name: user.friendly_name.clone(),
        role_sid: user.role_id,
        identity: user.identity.clone(),
        is_online: notifiable.map(|_| user.online),
        is_notifiable: notifiable,
        date_last_seen: notifiable
            .and(user.date_last_seen)
            .map(Timestamp::to_seconds_text),
        date_created: user.date_created.to_seconds_text(),
        date_updated: user.date_updated.to_seconds_text(),
        joined_channels_count: user.joined_channels_count,
        links: UserLinks {
            user_channels: format!("{url}/Channels"),
            user_bindings: format!("{url}/Bindings"),
        },
        url,
    }
}
