//! How many recipients stand where: the sums over a campaign's portions.

use std::collections::HashMap;

use sea_orm::ConnectionTrait;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::CANCELLED;
use crate::{
    entities::campaign,
    error::Result,
    sid::{CampaignSid, ServiceSid},
    sql::Sql,
};

/// How many recipients stand where; each is counted once. The sum of all others is `total`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = CampaignCounts)]
pub struct Counts {
    /// All recipients that are known so far.
    pub total: i64,
    /// Those who are to be sent to.
    pub pending: i64,
    /// Those who were sent to, and no more is known.
    pub sent: i64,
    /// Those to whom it was delivered.
    pub delivered: i64,
    /// Those who have read it.
    pub read: i64,
    /// Those who have replied.
    pub replied: i64,
    /// Those who could not be sent to.
    pub failed: i64,
    /// Those who were left out: by a dry run, or since it was cancelled.
    pub skipped: i64,
}

impl Counts {
    /// As answers show them: nobody is pending in a campaign that is cancelled.
    #[must_use]
    pub fn shown(mut self, campaign: &campaign::Model) -> Self {
        if campaign.status == CANCELLED {
            self.skipped += std::mem::take(&mut self.pending);
        }
        self
    }

    /// Those who were sent to, whatever became of it.
    #[must_use]
    pub fn all_sent(&self) -> i64 {
        self.sent + self.delivered + self.read + self.replied
    }
}

/// The counts of these campaigns, in one query. One without recipients is not in it.
///
/// # Errors
/// Whatever the database refuses.
pub async fn counts(
    db: &impl ConnectionTrait,
    service: ServiceSid,
    campaigns: &[CampaignSid],
) -> Result<HashMap<CampaignSid, Counts>> {
    if campaigns.is_empty() {
        return Ok(HashMap::new());
    }
    let mut sql = Sql::new("SELECT campaign_id");
    for column in [
        "pending",
        "sent",
        "delivered",
        "read_count",
        "replied",
        "failed",
        "skipped",
    ] {
        sql.push(&format!(", CAST(SUM({column}) AS BIGINT) AS {column}"));
    }
    sql.push(" FROM campaign_portions WHERE service_id = ")
        .bind(service);
    sql.push(" AND campaign_id IN (")
        .list(campaigns.iter().map(Into::into))
        .push(") GROUP BY campaign_id");
    sql.all(db)
        .await?
        .iter()
        .map(|row| {
            let mut counts = Counts {
                total: 0,
                pending: row.try_get("", "pending")?,
                sent: row.try_get("", "sent")?,
                delivered: row.try_get("", "delivered")?,
                read: row.try_get("", "read_count")?,
                replied: row.try_get("", "replied")?,
                failed: row.try_get("", "failed")?,
                skipped: row.try_get("", "skipped")?,
            };
            counts.total = counts.pending + counts.all_sent() + counts.failed + counts.skipped;
            Ok((row.try_get("", "campaign_id")?, counts))
        })
        .collect()
}
