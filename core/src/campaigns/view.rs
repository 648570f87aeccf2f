//! A campaign as REST answers and events show it.

use serde::Serialize;
use utoipa::ToSchema;

use super::{BROADCAST, Counts};
use crate::{
    ctx::BaseUrl,
    entities::campaign,
    sid::{AccountSid, AudienceSid, CampaignSid, ChannelSid, OperatorPoolSid, ServiceSid},
    timestamp::Timestamp,
};

/// A campaign, or a broadcast.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = Campaign)]
pub struct CampaignView {
    #[schema(value_type = String)]
    sid: CampaignSid,
    #[schema(value_type = String)]
    account_sid: AccountSid,
    #[schema(value_type = String)]
    service_sid: ServiceSid,
    friendly_name: Option<String>,
    /// `group`, `individual` or `broadcast`.
    mode: String,
    /// `chat`, `sms` or `email`.
    via: String,
    /// Null when it goes to given identities.
    #[schema(value_type = Option<String>)]
    audience_sid: Option<AudienceSid>,
    /// How many identities were given; null when it goes to an audience.
    identities_count: Option<usize>,
    channel_unique_name: Option<String>,
    from: Option<String>,
    body: Option<String>,
    subject: Option<String>,
    /// JSON in a string.
    attributes: Option<String>,
    media_sid: Option<String>,
    send_at: Option<String>,
    rate_per_second: Option<i32>,
    /// JSON in a string.
    quiet_hours: Option<String>,
    dry_run: bool,
    /// The pool that a reply attaches to the channel.
    #[schema(value_type = Option<String>)]
    attach_pool: Option<OperatorPoolSid>,
    /// `draft`, `scheduled`, `running`, `paused`, `cancelled`, `completed` or `failed`.
    status: String,
    /// Why it failed.
    error: Option<String>,
    /// Its one channel; null when there is one for each recipient, and until it is there.
    #[schema(value_type = Option<String>)]
    channel_sid: Option<ChannelSid>,
    counts: Counts,
    rates: Rates,
    date_started: Option<String>,
    date_completed: Option<String>,
    date_created: String,
    date_updated: String,
    links: CampaignLinks,
    url: String,
}

/// Of those who were sent to, the share that has come so far; null until somebody was.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[schema(as = CampaignRates)]
pub struct Rates {
    /// Delivered, read or replied.
    delivered: Option<f64>,
    /// Read or replied.
    read: Option<f64>,
    replied: Option<f64>,
}

impl Rates {
    fn of(counts: &Counts) -> Self {
        let sent = counts.all_sent();
        // Four digits say enough of a share.
        let share = |part: i64| (sent > 0).then(|| (part as f64 / sent as f64 * 10_000.0).round() / 10_000.0);
        Self {
            delivered: share(counts.delivered + counts.read + counts.replied),
            read: share(counts.read + counts.replied),
            replied: share(counts.replied),
        }
    }
}

/// Where the campaign's resources are.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct CampaignLinks {
    recipients: String,
    export: String,
}

/// The campaign in its REST JSON, with what [`super::counts`] has of it.
#[must_use]
pub fn view(campaign: &campaign::Model, counts: Option<&Counts>, base: &BaseUrl) -> CampaignView {
    let counts = counts.copied().unwrap_or_default().shown(campaign);
    let at = |collection: &str| {
        format!(
            "{base}/v2/Services/{}/{collection}/{}",
            campaign.service_id, campaign.id
        )
    };
    let own = at("Campaigns");
    let seconds = |moment: Option<Timestamp>| moment.map(Timestamp::to_seconds_text);
    CampaignView {
        sid: campaign.id,
        account_sid: campaign.account_id,
        service_sid: campaign.service_id,
        friendly_name: campaign.friendly_name.clone(),
        mode: campaign.mode.clone(),
        via: campaign.via.clone(),
        audience_sid: campaign.audience_id,
        identities_count: campaign.identities.as_deref().map(super::walk::count_of),
        channel_unique_name: campaign.channel_unique_name.clone(),
        from: campaign.sender.clone(),
        body: campaign.body.clone(),
        subject: campaign.subject.clone(),
        attributes: campaign.attributes.clone(),
        media_sid: campaign.media_sid.clone(),
        send_at: seconds(campaign.send_at),
        rate_per_second: campaign.rate_per_second,
        quiet_hours: campaign.quiet_hours.clone(),
        dry_run: campaign.dry_run,
        attach_pool: campaign.attach_pool,
        status: campaign.status.clone(),
        error: campaign.error.clone(),
        channel_sid: campaign.channel_id,
        counts,
        rates: Rates::of(&counts),
        date_started: seconds(campaign.date_started),
        date_completed: seconds(campaign.date_completed),
        date_created: campaign.date_created.to_seconds_text(),
        date_updated: campaign.date_updated.to_seconds_text(),
        links: CampaignLinks {
            recipients: format!("{own}/Recipients"),
            export: format!("{own}/Export"),
        },
        url: if campaign.kind == BROADCAST {
            at("Broadcasts")
        } else {
            own
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_shares_of_those_who_were_sent_to() {
        let counts = Counts {
            total: 20,
            pending: 4,
            sent: 3,
            delivered: 2,
            read: 3,
            replied: 1,
            failed: 5,
            skipped: 2,
        };
        let rates = Rates::of(&counts);
        assert_eq!(
            (rates.delivered, rates.read, rates.replied),
            (Some(0.6667), Some(0.4444), Some(0.1111))
        );
        assert_eq!(Rates::of(&Counts::default()).delivered, None);
    }
}
