//! Who the recipients are: the audience, walked once when the campaign starts, page by page.

use std::sync::Arc;

use sea_orm::{ConnectionTrait, DatabaseTransaction};

use super::{Key, PENDING, SKIPPED, gate};
use crate::{
    campaigns::{self, PORTION, RESOLVED, RESOLVING, RUNNING},
    ctx::Core,
    entities::campaign,
    error::Result,
    sql::Sql,
    timestamp::Timestamp,
};

/// How many identities one page has: whole portions.
const PAGE: usize = 1000;

/// Makes recipients of the next page of the campaign's audience; answers the campaign as it is then.
///
/// # Errors
/// Whatever the database refuses.
pub async fn resolve(core: &Arc<Core>, campaign: &campaign::Model) -> Result<Option<campaign::Model>> {
    let after = campaign.resolved_through.as_deref();
    let page = campaigns::audience_page(core, campaign, after, PAGE).await?;
    let tx = core.db.begin().await?;
    gate::share(&tx, campaign.id).await?;
    let Some(mut now) = campaigns::lock(&tx, campaign.service_id, campaign.id).await? else {
        return Ok(None);
    };
    if now.status != RUNNING || now.phase == RESOLVED || now.resolved_through != campaign.resolved_through {
        // Stopped, or another holder was quicker.
        tx.rollback().await?;
        return Ok(Some(now));
    }
    add(&tx, &now, &page).await?;
    now.total += i64::try_from(page.len()).unwrap_or(i64::MAX);
    now.phase = if page.len() < PAGE { RESOLVED } else { RESOLVING }.to_owned();
    if let Some(last) = page.last() {
        now.resolved_through = Some(last.clone());
    }
    let mut sql = Sql::new("UPDATE campaigns SET total = ");
    sql.bind(now.total).push(", phase = ").bind(now.phase.as_str());
    sql.push(", resolved_through = ")
        .bind(now.resolved_through.as_deref());
    sql.push(" WHERE service_id = ").bind(now.service_id);
    sql.push(" AND id = ").bind(now.id);
    sql.execute(&tx).await?;
    tx.commit().await?;
    Ok(Some(now))
}

/// Adds recipients behind those that are there, and the portions that they make up.
async fn add(tx: &DatabaseTransaction, campaign: &campaign::Model, page: &[String]) -> Result<()> {
    if page.is_empty() {
        return Ok(());
    }
    let backend = tx.get_database_backend();
    let status = if campaign.dry_run { SKIPPED } else { PENDING };
    let now = Timestamp::now();
    let key = Key::of(campaign);
    let places: Vec<(i64, &str)> = (campaign.total..).zip(page.iter().map(String::as_str)).collect();
    // SQLite takes so many values in one statement, and no more.
    for part in places.chunks(usize::try_from(PORTION).unwrap_or(1)) {
        let mut sql = Sql::new("WITH ");
        sql.table(
            backend,
            "added",
            [
                ("service_id", "uuid"),
                ("campaign_id", "uuid"),
                ("place", "bigint"),
                ("identity", "text"),
                ("status", "text"),
                ("moment", "bigint"),
            ],
            part.iter().map(|(place, identity)| {
                [
                    key.service.into(),
                    key.campaign.into(),
                    (*place).into(),
                    (*identity).into(),
                    status.into(),
                    now.into(),
                ]
            }),
        );
        sql.push(
            " INSERT INTO campaign_recipients (service_id, campaign_id, place, identity, status, date_updated) \
             SELECT service_id, campaign_id, place, identity, status, moment FROM added",
        );
        sql.execute(tx).await?;
    }
    let mut counts: Vec<(i32, i32)> = Vec::new();
    for (place, _) in &places {
        let number = i32::try_from(place / PORTION).unwrap_or(i32::MAX);
        match counts.last_mut() {
            Some((last, count)) if *last == number => *count += 1,
            _ => counts.push((number, 1)),
        }
    }
    let mut sql = Sql::new("WITH ");
    sql.table(
        backend,
        "added",
        [
            ("service_id", "uuid"),
            ("campaign_id", "uuid"),
            ("number", "integer"),
            ("pending", "integer"),
            ("skipped", "integer"),
            ("moment", "bigint"),
        ],
        counts.into_iter().map(|(number, count)| {
            let (pending, skipped) = if campaign.dry_run { (0, count) } else { (count, 0) };
            [
                key.service.into(),
                key.campaign.into(),
                number.into(),
                pending.into(),
                skipped.into(),
                now.into(),
            ]
        }),
    );
    sql.push(
        " INSERT INTO campaign_portions (service_id, campaign_id, number, pending, sent, delivered, read_count, \
         replied, failed, skipped, joined, date_updated) \
         SELECT service_id, campaign_id, number, pending, 0, 0, 0, 0, 0, skipped, 0, moment FROM added WHERE true \
         ON CONFLICT (service_id, campaign_id, number) DO UPDATE SET \
         pending = campaign_portions.pending + excluded.pending, \
         skipped = campaign_portions.skipped + excluded.skipped",
    );
    sql.execute(tx).await?;
    Ok(())
}
