//! An invite as REST answers show it.

use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    ctx::BaseUrl,
    entities::invite,
    sid::{AccountSid, ChannelSid, InviteSid, RoleSid, ServiceSid},
};

/// An invite to a channel.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = Invite)]
pub struct InviteView {
    #[schema(value_type = String)]
    sid: InviteSid,
    #[schema(value_type = String)]
    account_sid: AccountSid,
    #[schema(value_type = String)]
    channel_sid: ChannelSid,
    #[schema(value_type = String)]
    service_sid: ServiceSid,
    /// Who is invited.
    identity: String,
    date_created: String,
    date_updated: String,
    /// The role that the user will have in the channel.
    #[schema(value_type = String)]
    role_sid: RoleSid,
    /// An identity, or `system`.
    created_by: String,
    url: String,
}

/// The invite in its REST JSON.
#[must_use]
pub fn view(invite: &invite::Model, account: AccountSid, base: &BaseUrl) -> InviteView {
    InviteView {
        sid: invite.id,
        account_sid: account,
        channel_sid: invite.channel_id,
        service_sid: invite.service_id,
        identity: invite.identity.clone(),
        date_created: invite.date_created.to_seconds_text(),
        date_updated: invite.date_updated.to_seconds_text(),
        role_sid: invite.role_id,
        created_by: invite.created_by.clone(),
        url: format!(
            "{base}/v2/Services/{}/Channels/{}/Invites/{}",
            invite.service_id, invite.channel_id, invite.id
        ),
    }
}
