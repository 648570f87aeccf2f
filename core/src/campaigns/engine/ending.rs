//! How campaigns begin by themselves and come to an end.

use std::sync::Arc;

use super::{Key, Portion, enter, gate, ledger, progress, runs};
use crate::{
    campaigns::{self, CANCELLED, COMPLETED, FAILED, RESOLVED, RUNNING, SCHEDULED},
    change::Change,
    ctx::{Core, Ctx},
    entities::campaign,
    error::Result,
    events::EventKind,
    sql::Sql,
    timestamp::Timestamp,
};

/// Begins a campaign whose time has come; answers it as it is then.
///
/// # Errors
/// Whatever the database refuses.
pub async fn begin_if_due(core: &Arc<Core>, campaign: &campaign::Model) -> Result<Option<campaign::Model>> {
    let is_due =
        |it: &campaign::Model| it.status == SCHEDULED && it.send_at.is_some_and(|at| at <= Timestamp::now());
    if !is_due(campaign) {
        return Ok(Some(campaign.clone()));
    }
    let ctx = enter(core, campaign).await?;
    turn(&ctx, campaign, |now| {
        let due = is_due(now);
        if due {
            RUNNING.clone_into(&mut now.status);
            now.date_started = Some(Timestamp::now());
        }
        due
    })
    .await
}

/// Completes a campaign when all of its recipients are known and none of them is to be sent to any more; answers it as
/// it is then.
///
/// # Errors
/// Whatever the database refuses.
pub async fn end_if_done(core: &Arc<Core>, campaign: &campaign::Model) -> Result<Option<campaign::Model>> {
    let key = Key::of(campaign);
    let is_done = campaign.status == RUNNING
        && campaign.phase == RESOLVED
        && ledger::first_pending(core.db.reader(), key, 0).await?.is_none();
    if !is_done {
        return Ok(Some(campaign.clone()));
    }
    let ctx = enter(core, campaign).await?;
    let now = turn(&ctx, campaign, |now| {
        let goes_on = now.status == RUNNING;
        if goes_on {
            COMPLETED.clone_into(&mut now.status);
            now.date_completed = Some(Timestamp::now());
        }
        goes_on
    })
    .await?;
    runs::forget(core.db.writer(), key).await?;
    Ok(now)
}

/// Fails a campaign that cannot go on for anybody.
///
/// # Errors
/// Whatever the database refuses.
pub async fn fail(
    core: &Arc<Core>,
    campaign: &campaign::Model,
    why: &str,
) -> Result<Option<campaign::Model>> {
    let ctx = enter(core, campaign).await?;
    turn(&ctx, campaign, |now| {
        let goes_on = now.status == RUNNING;
        if goes_on {
            FAILED.clone_into(&mut now.status);
            now.error = Some(why.to_owned());
            now.date_completed = Some(Timestamp::now());
        }
        goes_on
    })
    .await
}

/// Leaves out everybody who is pending in a campaign that ended on the way, and forgets it then.
///
/// # Errors
/// Whatever the database refuses; what was done stays.
pub async fn clear_away(core: &Arc<Core>, campaign: &campaign::Model) -> Result<()> {
    let key = Key::of(campaign);
    if ![CANCELLED, FAILED].contains(&campaign.status.as_str()) {
        return Ok(());
    }
    let mut from = 0;
    while let Some(number) = ledger::first_pending(core.db.reader(), key, from).await? {
        let tx = core.db.begin().await?;
        ledger::skip(&tx, &Portion { key, number }).await?;
        tx.commit().await?;
        from = number + 1;
    }
    progress::tell(core, campaign).await?;
    runs::forget(core.db.writer(), key).await
}

/// Changes the campaign's status while nothing of it is under way, and tells it. `change` answers whether it did.
async fn turn(
    ctx: &Ctx,
    campaign: &campaign::Model,
    change: impl FnOnce(&mut campaign::Model) -> bool,
) -> Result<Option<campaign::Model>> {
    let mut work = Change::of_the_platform(ctx).await?;
    gate::hold_still(&work.tx, campaign.id).await?;
    let Some(mut now) = campaigns::lock(&work.tx, campaign.service_id, campaign.id).await? else {
        return Ok(None);
    };
    if !change(&mut now) {
        return Ok(Some(now));
    }
    now.date_updated = Timestamp::now();
    let mut sql = Sql::new("UPDATE campaigns SET status = ");
    sql.bind(now.status.as_str())
        .push(", error = ")
        .bind(now.error.as_deref());
    sql.push(", date_started = ").bind(now.date_started);
    sql.push(", date_completed = ").bind(now.date_completed);
    sql.push(", date_updated = ").bind(now.date_updated);
    sql.push(" WHERE service_id = ").bind(now.service_id);
    sql.push(" AND id = ").bind(now.id);
    sql.execute(&work.tx).await?;
    let counts = campaigns::counts(&work.tx, now.service_id, &[now.id])
        .await?
        .remove(&now.id)
        .unwrap_or_default();
    work.tell(EventKind::CampaignUpdated, progress::told(&now, counts, true));
    work.commit().await?;
    Ok(Some(now))
}
