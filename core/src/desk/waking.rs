//! Snoozed cases whose time has come.

use std::sync::Arc;

use super::{OPEN, SNOOZED};
use crate::{
    change::Change,
    channels,
    ctx::{Caller, Core, Ctx},
    error::Result,
    sid::{AccountSid, ChannelSid, ServiceSid},
    sql::Sql,
    timestamp::Timestamp,
};

/// How many are woken by one call.
const PORTION: i64 = 100;

/// Wakes cases whose time has come, each in a transaction of its own; answers how many were due. Two processes may do
/// so at once: a case wakes once. One that cannot be woken does not hold up the others.
///
/// # Errors
/// Whatever the database refuses.
pub async fn wake_due(core: &Arc<Core>) -> Result<usize> {
    let mut sql = Sql::new(
        "SELECT s.account_id, c.service_id, c.id FROM channels c JOIN services s ON s.id = c.service_id \
         WHERE c.snoozed_until IS NOT NULL AND c.snoozed_until <= ",
    );
    sql.bind(Timestamp::now())
        .push(" ORDER BY c.snoozed_until LIMIT ")
        .bind(PORTION);
    let rows = sql.all(core.db.reader()).await?;
    let due = rows.len();
    for row in rows {
        let account: AccountSid = row.try_get("", "account_id")?;
        let (service, channel): (ServiceSid, ChannelSid) =
            (row.try_get("", "service_id")?, row.try_get("", "id")?);
        if let Err(error) = wake(core, account, service, channel).await {
            tracing::warn!(?error, %channel, "channel {channel} could not be woken; trying again");
        }
    }
    Ok(due)
}

async fn wake(core: &Arc<Core>, account: AccountSid, service: ServiceSid, channel: ChannelSid) -> Result<()> {
    // It is nobody's doing, and webhooks are to hear of it.
    let caller = Caller::Account {
        account,
        key: None,
        webhooks: true,
        request: None,
    };
    let ctx = Ctx::enter(core, caller, service).await?;
    let mut change = Change::of_the_platform(&ctx).await?;
    let Some(before) = channels::lock(&change.tx, service, &channel.into()).await? else {
        return change.abandon().await;
    };
    let now = Timestamp::now();
    let is_due = before.snoozed_until.is_some_and(|until| until <= now);
    if !is_due || before.case_state.as_deref() != Some(SNOOZED) {
        return change.abandon().await;
    }
    let mut row = before.clone();
    row.case_state = Some(OPEN.to_owned());
    row.snoozed_until = None;
    row.date_updated = now;
    change.record_turn(&mut row, &before).await?;
    channels::store(&change.tx, &row).await?;
    change.commit().await
}
