//! Steps at portions: a slice at a time, and one recipient at a time where a slice is refused.

use std::sync::Arc;

use sea_orm::ConnectionTrait;

use super::{Key, Next, Portion, Step, enter, gate, ledger, load, runs, slice, together};
use crate::{
    campaigns::{CHAT, INDIVIDUAL, RUNNING},
    change::Change,
    ctx::{Core, Ctx},
    entities::campaign,
    error::{Error, ErrorCode, Result},
};

/// How often a recipient is tried again when others were quicker.
const TRIES: usize = 5;

/// Works on the next recipients of a portion of a chat campaign, at most so many, in one transaction. Who cannot be sent
/// to fails alone.
///
/// # Errors
/// 20503 when the database is away: nothing was done, or it was and is written down.
pub async fn advance(core: &Arc<Core>, portion: &Portion, most: usize) -> Result<Step> {
    let Some(campaign) = load(core, portion.key).await? else {
        return Ok(Step::none(Next::Stopped));
    };
    if campaign.status != RUNNING {
        return Ok(Step::none(Next::Stopped));
    }
    if campaign.via != CHAT {
        return Ok(Step::none(Next::Outward));
    }
    let ctx = match enter(core, &campaign).await {
        Ok(ctx) => ctx,
        Err(gone) if gone.code() == ErrorCode::NotFound => return Ok(Step::none(Next::Stopped)),
        Err(error) => return Err(error),
    };
    let mut seen = Vec::new();
    match slice(&ctx, &campaign, portion, most, &mut seen).await {
        Ok(step) => Ok(step),
        Err(error) if error.code() == ErrorCode::Unavailable => Err(error),
        Err(error) => {
            if error.code() != ErrorCode::Conflict {
                tracing::warn!(
                    ?error,
                    campaign = %campaign.id,
                    recipients = seen.len(),
                    "a slice was refused as a whole; sending to its recipients one by one"
                );
            }
            one_by_one(&ctx, &campaign, portion, seen.len().max(1)).await
        }
    }
}

async fn slice(
    ctx: &Ctx,
    campaign: &campaign::Model,
    portion: &Portion,
    most: usize,
    seen: &mut Vec<i64>,
) -> Result<Step> {
    let mut change = Change::of_the_platform(ctx).await?;
    if !gate::take(&change.tx, portion).await? {
        return Ok(Step::none(Next::Busy));
    }
    let step = if campaign.mode == INDIVIDUAL {
        slice::go(ctx, &mut change, campaign, portion, most, seen).await?
    } else {
        together::go(ctx, &mut change, campaign, portion, most, seen).await?
    };
    change.commit().await?;
    Ok(step)
}

/// As many recipients as were in the slice, each in a transaction of its own.
async fn one_by_one(ctx: &Ctx, campaign: &campaign::Model, portion: &Portion, count: usize) -> Result<Step> {
    let mut done = 0;
    let mut tries = 0;
    while done < count {
        let mut seen = Vec::new();
        match slice(ctx, campaign, portion, 1, &mut seen).await {
            Ok(step) => {
                tries = 0;
                done += step.done;
                if step.next != Next::More || step.done == 0 {
                    return Ok(Step { done, ..step });
                }
            }
            Err(error) if error.code() == ErrorCode::Unavailable => return Err(error),
            Err(error) if error.code() == ErrorCode::Conflict && tries < TRIES => tries += 1,
            Err(error) => {
                let Some(place) = seen.first().copied() else {
                    return Err(error);
                };
                tracing::warn!(?error, campaign = %campaign.id, place, "a recipient could not be sent to");
                give_up(ctx, portion, place, &error).await?;
                done += 1;
                tries = 0;
            }
        }
    }
    Ok(Step {
        done,
        next: Next::More,
    })
}

/// Writes down that a recipient failed for a reason that is none of its own.
async fn give_up(ctx: &Ctx, portion: &Portion, place: i64, why: &Error) -> Result<()> {
    let tx = ctx.core.db.begin().await?;
    if gate::take(&tx, portion).await? {
        ledger::fail(&tx, portion, &[(place, why.message().to_owned())]).await?;
        let moved = ledger::Moved {
            failed: 1,
            ..ledger::Moved::default()
        };
        ledger::count(&tx, portion, moved).await?;
        tx.commit().await?;
    }
    Ok(())
}

/// Whether the campaign has one channel for all and its recipients are to become its members first: its message is sent
/// when all of them have.
///
/// # Errors
/// Whatever the database refuses.
pub async fn is_joining(db: &impl ConnectionTrait, campaign: &campaign::Model) -> Result<bool> {
    Ok(campaign.mode != INDIVIDUAL
        && campaign.via == CHAT
        && runs::message(db, Key::of(campaign)).await?.is_none())
}

/// The numbers of the campaign's portions from `from` on in which somebody is to be worked on now, at most so many.
///
/// # Errors
/// Whatever the database refuses.
pub async fn waiting(
    db: &impl ConnectionTrait,
    key: Key,
    from: i32,
    joining: bool,
    most: usize,
) -> Result<Vec<i32>> {
    ledger::waiting(db, key, from, joining, most).await
}
