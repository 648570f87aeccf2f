//! What is left of a campaign that was ended: recipients to skip, or everything.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use sea_orm::ConnectionTrait;

use super::PORTION;
use crate::{
    db::Db,
    entities::campaign,
    error::Result,
    sid::{CampaignSid, ServiceSid},
    sql::Sql,
    timestamp::Timestamp,
};

/// How many portions one transaction goes through.
const PORTIONS: i64 = 20;
/// How many rows one statement deletes.
const DELETED: i64 = 5_000;
/// For how long whoever cancels waits for it. What is left then is told as skipped all the same.
const PATIENCE: Duration = Duration::from_secs(2);

/// Makes pending recipients of a cancelled campaign skipped ones, but for those that a provider has already.
pub(super) async fn skip_pending(db: &Db, campaign: &campaign::Model) -> Result<()> {
    let began = Instant::now();
    let mut behind = -1;
    while let Some(last) = skip_some(db, campaign, behind).await? {
        if began.elapsed() > PATIENCE {
            break;
        }
        behind = last;
    }
    Ok(())
}

/// Goes through the next portions; answers the last of them.
async fn skip_some(db: &Db, campaign: &campaign::Model, behind: i32) -> Result<Option<i32>> {
    let tx = db.begin().await?;
    let of = |sql: &mut Sql| {
        sql.push(" WHERE service_id = ").bind(campaign.service_id);
        sql.push(" AND campaign_id = ").bind(campaign.id);
    };
    let mut sql = Sql::new("SELECT number FROM campaign_portions");
    of(&mut sql);
    sql.push(" AND pending > 0 AND number > ").bind(behind);
    sql.push(&format!(" ORDER BY number LIMIT {PORTIONS}"));
    let numbers: Vec<i32> = sql
        .all(&tx)
        .await?
        .iter()
        .map(|row| row.try_get("", "number"))
        .collect::<Result<_, _>>()?;
    let (Some(&first), Some(&last)) = (numbers.first(), numbers.last()) else {
        tx.rollback().await?;
        return Ok(None);
    };
    let now = Timestamp::now();
    let mut sql =
        Sql::new("UPDATE campaign_recipients SET status = 'skipped', due_at = NULL, date_updated = ");
    sql.bind(now);
    of(&mut sql);
    sql.push(" AND status = 'pending' AND handed_at IS NULL AND place >= ")
        .bind(i64::from(first) * PORTION)
        .push(" AND place < ")
        .bind((i64::from(last) + 1) * PORTION)
        .push(" RETURNING place");
    let mut skipped: BTreeMap<i64, i32> = BTreeMap::new();
    for row in sql.all(&tx).await? {
        let place: i64 = row.try_get("", "place")?;
        *skipped.entry(place / PORTION).or_default() += 1;
    }
    if !skipped.is_empty() {
        let mut sql = Sql::new("WITH moved (number, skipped) AS (VALUES ");
        sql.rows(
            skipped
                .iter()
                .map(|(number, count)| [(*number).into(), i64::from(*count).into()]),
        );
        sql.push(
            ") UPDATE campaign_portions SET pending = campaign_portions.pending - CAST(moved.skipped AS INTEGER), \
             skipped = campaign_portions.skipped + CAST(moved.skipped AS INTEGER), next_due_at = NULL, date_updated = ",
        )
        .bind(now)
        .push(" FROM moved WHERE campaign_portions.number = moved.number AND campaign_portions.service_id = ")
        .bind(campaign.service_id)
        .push(" AND campaign_portions.campaign_id = ")
        .bind(campaign.id);
        sql.execute(&tx).await?;
    }
    tx.commit().await?;
    Ok(Some(last))
}

/// Deletes the recipients and portions of a campaign that is gone.
pub(super) async fn forget(
    db: &impl ConnectionTrait,
    service: ServiceSid,
    campaign: CampaignSid,
) -> Result<()> {
    for (table, key) in [("campaign_recipients", "place"), ("campaign_portions", "number")] {
        loop {
            let of = |sql: &mut Sql| {
                sql.push(&format!(" FROM {table} WHERE service_id = "))
                    .bind(service);
                sql.push(" AND campaign_id = ").bind(campaign);
            };
            let mut sql = Sql::new("DELETE");
            of(&mut sql);
            sql.push(&format!(" AND {key} IN (SELECT {key}"));
            of(&mut sql);
            sql.push(&format!(" ORDER BY {key} LIMIT {DELETED})"));
            if sql.execute(db).await?.rows_affected() < DELETED.unsigned_abs() {
                break;
            }
        }
    }
    Ok(())
}
