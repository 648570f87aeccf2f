//! The recipients of a campaign, as answers show them.

use sea_orm::{ColumnTrait, EntityTrait, QueryFilter};
use serde::Serialize;
use utoipa::ToSchema;

use super::{CANCELLED, get};
use crate::{
    ctx::Ctx,
    entities::{campaign, campaign_recipient},
    error::{Error, Result},
    paging::{self, Key, Order, Page, PageRequest},
    sid::{CampaignSid, ChannelSid, ServiceSid},
};

/// Where a recipient can stand.
const STATUSES: [&str; 7] = [
    "pending",
    "sent",
    "delivered",
    "read",
    "replied",
    "failed",
    "skipped",
];
const PENDING: &str = "pending";
const SKIPPED: &str = "skipped";

/// The status of a recipient as it is told: nobody is pending in a campaign that is cancelled.
pub(super) fn told<'r>(campaign: &campaign::Model, recipient: &'r campaign_recipient::Model) -> &'r str {
    if campaign.status == CANCELLED && recipient.status == PENDING {
        SKIPPED
    } else {
        &recipient.status
    }
}

/// The campaign's recipients by their places; those of a status only, when one is given.
///
/// # Errors
/// 20404; 20001 naming `Status` when there is no such status; 20006 for users.
pub async fn recipients(
    ctx: &Ctx,
    id: CampaignSid,
    status: Option<&str>,
    request: &PageRequest,
) -> Result<(campaign::Model, Page<campaign_recipient::Model>)> {
    let campaign = get(ctx, None, id).await?;
    let mut select = campaign_recipient::Entity::find()
        .filter(campaign_recipient::Column::ServiceId.eq(ctx.scope()))
        .filter(campaign_recipient::Column::CampaignId.eq(id));
    if let Some(status) = status {
        let meant = match status {
            SKIPPED if campaign.status == CANCELLED => vec![SKIPPED, PENDING],
            PENDING if campaign.status == CANCELLED => Vec::new(),
            status if STATUSES.contains(&status) => vec![status],
            _ => {
                return Err(Error::parameter(
                    "Status",
                    &format!("must be one of {}", STATUSES.join(", ")),
                ));
            }
        };
        select = select.filter(campaign_recipient::Column::Status.is_in(meant));
    }
    let page = paging::fetch(
        ctx.reader(),
        select,
        campaign_recipient::Column::Place,
        Order::Ascending,
        request,
        |row: &campaign_recipient::Model| Key::Index(row.place),
    )
    .await?;
    Ok((campaign, page))
}

/// A recipient of a campaign.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = CampaignRecipient)]
pub struct RecipientView {
    #[schema(value_type = String)]
    campaign_sid: CampaignSid,
    #[schema(value_type = String)]
    service_sid: ServiceSid,
    identity: String,
    /// `pending`, `sent`, `delivered`, `read`, `replied`, `failed` or `skipped`.
    status: String,
    /// The channel that it was sent in.
    #[schema(value_type = Option<String>)]
    channel_sid: Option<ChannelSid>,
    /// The message; for SMS and e-mail the provider's own identifier.
    message_sid: Option<String>,
    /// Why it failed.
    error: Option<String>,
    date_updated: String,
}

/// The identifier of what was sent.
pub(super) fn message_sid(recipient: &campaign_recipient::Model) -> Option<String> {
    recipient
        .message_id
        .map(|id| id.to_string())
        .or_else(|| recipient.provider_sid.clone())
}

/// The recipient in its REST JSON.
#[must_use]
pub fn recipient_view(campaign: &campaign::Model, recipient: &campaign_recipient::Model) -> RecipientView {
    RecipientView {
        campaign_sid: recipient.campaign_id,
        service_sid: recipient.service_id,
        identity: recipient.identity.clone(),
        status: told(campaign, recipient).to_owned(),
        channel_sid: recipient.channel_id,
        message_sid: message_sid(recipient),
        error: recipient.error.clone(),
        date_updated: recipient.date_updated.to_seconds_text(),
    }
}
