//! Who may be at a campaign at the same time. Slices share it; whoever pauses, cancels or ends it has it alone, so that
//! nothing is sent after the answer. A lock on the campaign's row would do the same, but those who share a row pass by
//! those who wait for it alone, for as long as there are some. Advisory locks are given in turn.
//!
//! SQLite has one writer, which has everything alone.

use sea_orm::{ConnectionTrait, DbBackend};

use super::Portion;
use crate::{error::Result, sid::CampaignSid, sql::Sql};

fn key(campaign: CampaignSid) -> i64 {
    // The end of an identifier is random.
    let (_, random) = campaign.0.as_u64_pair();
    random.cast_signed()
}

fn portion_key(portion: &Portion) -> i64 {
    const SPREAD: i64 = 0x9e37_79b9_7f4a_7c15_u64.cast_signed();
    key(portion.key.campaign) ^ (i64::from(portion.number) + 1).wrapping_mul(SPREAD)
}

/// Waits until no slice of the campaign is under way, and keeps further ones from beginning until the transaction ends.
/// To be called before the campaign's row is read.
///
/// # Errors
/// Whatever the database refuses.
pub(crate) async fn hold_still(tx: &impl ConnectionTrait, campaign: CampaignSid) -> Result<()> {
    if tx.get_database_backend() == DbBackend::Postgres {
        let mut sql = Sql::new("SELECT pg_advisory_xact_lock(");
        sql.bind(key(campaign)).push(")");
        sql.execute(tx).await?;
    }
    Ok(())
}

/// Enters a campaign that may be paused or cancelled at any time: not before the transaction ends.
///
/// # Errors
/// Whatever the database refuses.
pub(super) async fn share(tx: &impl ConnectionTrait, campaign: CampaignSid) -> Result<()> {
    if tx.get_database_backend() == DbBackend::Postgres {
        let mut sql = Sql::new("SELECT pg_advisory_xact_lock_shared(");
        sql.bind(key(campaign)).push(")");
        sql.execute(tx).await?;
    }
    Ok(())
}

/// Does so for one portion; false when somebody else is at it.
///
/// # Errors
/// Whatever the database refuses.
pub(super) async fn take(tx: &impl ConnectionTrait, portion: &Portion) -> Result<bool> {
    if tx.get_database_backend() != DbBackend::Postgres {
        return Ok(true);
    }
    let mut sql = Sql::new("SELECT pg_try_advisory_xact_lock(");
    sql.bind(portion_key(portion))
        .push(") AS taken, pg_advisory_xact_lock_shared(");
    // The statements of a slice name the index that they look along: their plans may be kept while tables grow.
    sql.bind(key(portion.key.campaign))
        .push("), set_config('plan_cache_mode', 'auto', true)");
    let rows = sql.all(tx).await?;
    match rows.first() {
        Some(row) => Ok(row.try_get("", "taken")?),
        None => Ok(false),
    }
}
