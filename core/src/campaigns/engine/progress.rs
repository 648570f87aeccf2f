//! Telling operators and tenants how a campaign fares.

use std::sync::Arc;

use crate::{
    campaigns::{self, Counts},
    ctx::Core,
    desk::CaseTurn,
    entities::campaign,
    error::Result,
    events::{Event, EventKind, Resource},
    input::SYSTEM,
    sid::EventSid,
    timestamp::Timestamp,
};

/// What `campaignUpdated` tells: the campaign and its counts. Webhooks hear of it when its status is new.
pub(crate) fn told(campaign: &campaign::Model, counts: Counts, status_is_new: bool) -> Resource {
    Resource::Campaign {
        campaign: Box::new(campaign.clone()),
        counts,
        status_is_new,
    }
}

/// Tells the operators how far the campaign is. Nothing stores that.
///
/// # Errors
/// Whatever the database refuses.
pub async fn tell(core: &Arc<Core>, campaign: &campaign::Model) -> Result<Counts> {
    let counts = campaigns::counts(core.db.reader(), campaign.service_id, &[campaign.id])
        .await?
        .remove(&campaign.id)
        .unwrap_or_default();
    core.publisher.volatile(Event {
        id: EventSid::generate(),
        kind: EventKind::CampaignUpdated,
        account: campaign.account_id,
        service: campaign.service_id,
        channel: None,
        seq: None,
        identity: SYSTEM.to_owned(),
        at: Timestamp::now(),
        pool: None,
        turn: CaseTurn::default(),
        resource: told(campaign, counts, false),
        connection: None,
    });
    Ok(counts)
}
