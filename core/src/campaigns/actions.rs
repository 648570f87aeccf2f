//! Making, editing, starting, pausing, cancelling and deleting campaigns.

use sea_orm::{ActiveModelTrait, ColumnTrait, ConnectionTrait, EntityTrait, IntoActiveModel, QueryFilter};

use super::{
    BROADCAST, CAMPAIGN, CANCELLED, CHAT, COMPLETED, CampaignSettings, DRAFT, FAILED, INDIVIDUAL, ONE_WAY,
    PAUSED, RUNNING, SCHEDULED, UNRESOLVED, check_start, counts, engine, get, lock, missing, settings, sweep,
};
use crate::{
    audiences,
    audit::Edit,
    change::Change,
    ctx::Ctx,
    entities::{campaign, campaign_portion, campaign_recipient},
    error::{Error, ErrorCode, Result},
    events::EventKind,
    operator_pools,
    sid::{CampaignSid, ServiceSid},
    timestamp::Timestamp,
};

/// What a backend can ask of a campaign by its `Status`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wish {
    Run,
    Pause,
    Cancel,
}

impl Wish {
    fn parse(status: &str) -> Result<Self> {
        match status {
            RUNNING => Ok(Self::Run),
            PAUSED => Ok(Self::Pause),
            CANCELLED => Ok(Self::Cancel),
            _ => Err(Error::parameter("Status", "must be running, paused or cancelled")),
        }
    }

    fn status(self) -> &'static str {
        match self {
            Self::Run => RUNNING,
            Self::Pause => PAUSED,
            Self::Cancel => CANCELLED,
        }
    }

    /// The status that it leads to; `None` when there is nothing to do.
    fn leads_to(self, row: &campaign::Model, now: Timestamp) -> Result<Option<&'static str>> {
        Ok(match (self, row.status.as_str()) {
            (Self::Run, DRAFT) if row.send_at.is_some_and(|moment| moment > now) => Some(SCHEDULED),
            (Self::Run, DRAFT | PAUSED) => Some(RUNNING),
            (Self::Pause, RUNNING) => Some(PAUSED),
            (Self::Cancel, DRAFT | SCHEDULED | RUNNING | PAUSED) => Some(CANCELLED),
            (Self::Run, RUNNING | SCHEDULED) | (Self::Pause, PAUSED) | (Self::Cancel, CANCELLED) => None,
            (wish, status) => {
                return Err(Error::with(
                    ErrorCode::Conflict,
                    format!(
                        "Status cannot become {} while the campaign is {status}{}",
                        wish.status(),
                        match (wish, status) {
                            (Self::Pause, SCHEDULED) => ": cancel it, or change SendAt",
                            (Self::Pause, DRAFT) => ": it has not begun",
                            _ => ": it has ended; make another one",
                        }
                    ),
                ));
            }
        })
    }
}

fn blank(ctx: &Ctx, kind: &str, now: Timestamp) -> campaign::Model {
    campaign::Model {
        service_id: ctx.scope(),
        id: CampaignSid::generate(),
        account_id: ctx.account(),
        kind: kind.to_owned(),
        friendly_name: None,
        mode: INDIVIDUAL.to_owned(),
        via: CHAT.to_owned(),
        audience_id: None,
        identities: None,
        channel_unique_name: None,
        sender: None,
        body: None,
        subject: None,
        attributes: None,
        media_sid: None,
        send_at: None,
        rate_per_second: None,
        quiet_hours: None,
        dry_run: false,
        attach_pool: None,
        webhooks: ctx.caller.origin().webhooks,
        status: DRAFT.to_owned(),
        error: None,
        channel_id: None,
        phase: UNRESOLVED.to_owned(),
        resolved_through: None,
        total: 0,
        date_started: None,
        date_completed: None,
        date_created: now,
        date_updated: now,
    }
}

/// Holds what the campaign names until the transaction ends.
async fn hold(change: &Change<'_>, row: &campaign::Model) -> Result<()> {
    if let Some(id) = row.audience_id
        && !audiences::hold(&change.tx, row.service_id, id).await?
    {
        return Err(settings::no_audience(id));
    }
    if let Some(pool) = row.attach_pool {
        operator_pools::named(&change.tx, row.service_id, "AttachPool", &pool.to_string()).await?;
    }
    Ok(())
}

/// Makes a campaign, a draft.
///
/// # Errors
/// 20001, or the code of the parameter that is wrong; 20404 when it names what is not there; 20006 for users.
pub async fn create(ctx: &Ctx, new: &CampaignSettings) -> Result<campaign::Model> {
    ctx.backend_only()?;
    if new.mode.is_none() {
        return Err(Error::parameter(
            "Mode",
            "is missing: give group, individual or broadcast",
        ));
    }
    let now = Timestamp::now();
    let mut row = blank(ctx, CAMPAIGN, now);
    new.apply(&mut row, now)?;
    insert(ctx, row).await
}

/// Makes a broadcast, which starts at once: by chat with a channel for each, or by SMS or e-mail.
///
/// # Errors
/// As [`create`] and [`check_start`].
pub async fn start_broadcast(ctx: &Ctx, new: &CampaignSettings) -> Result<campaign::Model> {
    ctx.backend_only()?;
    let now = Timestamp::now();
    let mut row = blank(ctx, BROADCAST, now);
    if new.via.as_deref().is_some_and(|via| via != CHAT) {
        ONE_WAY.clone_into(&mut row.mode);
    }
    new.apply(&mut row, now)?;
    check_start(ctx, &row).await?;
    RUNNING.clone_into(&mut row.status);
    row.date_started = Some(now);
    let row = insert(ctx, row).await?;
    ctx.core.campaigns.wake();
    Ok(row)
}

async fn insert(ctx: &Ctx, row: campaign::Model) -> Result<campaign::Model> {
    let mut change = Change::begin(ctx).await?;
    hold(&change, &row).await?;
    let row = row.into_active_model().insert(&change.tx).await?;
    change.audit(Edit::Created(&row))?;
    if row.status != DRAFT {
        tell(&mut change, &row).await?;
    }
    change.commit().await?;
    Ok(row)
}

/// Tells that the campaign's status is new.
async fn tell(change: &mut Change<'_>, row: &campaign::Model) -> Result<()> {
    let known = counts(&change.tx, row.service_id, &[row.id]).await?;
    let counts = known.get(&row.id).copied().unwrap_or_default();
    change.tell(EventKind::CampaignUpdated, engine::told(row, counts, true));
    Ok(())
}

/// Edits a campaign that has not begun, and starts, pauses, resumes or cancels it by `status`. Once a pause or the end
/// is answered, nothing more is sent.
///
/// # Errors
/// 20404; 20409 when it cannot be edited any more or cannot change to that status, naming both; 20001, or the code of
/// the parameter that is wrong; 20006 for users.
pub async fn update(
    ctx: &Ctx,
    id: CampaignSid,
    new: &CampaignSettings,
    status: Option<&str>,
) -> Result<campaign::Model> {
    let wish = status.map(Wish::parse).transpose()?;
    let known = get(ctx, None, id).await?;
    let now = Timestamp::now();
    let checked = if wish == Some(Wish::Run) && known.status == DRAFT {
        let edited = edited(&known, new, now)?;
        check_start(ctx, &edited).await?;
        Some(edited)
    } else {
        None
    };
    let mut change = Change::begin(ctx).await?;
    if wish.is_some() {
        engine::hold_still(&change.tx, id).await?;
    }
    let before = lock(&change.tx, ctx.scope(), id)
        .await?
        .ok_or_else(|| missing(ctx, None, id))?;
    let mut row = edited(&before, new, now)?;
    if row != before {
        hold(&change, &row).await?;
    }
    if let Some(next) = wish.map_or(Ok(None), |wish| wish.leads_to(&row, now))? {
        if row.status == DRAFT && next != CANCELLED && checked.as_ref() != Some(&row) {
            return Err(Error::with(
                ErrorCode::Conflict,
                "Campaign was changed by another request at this moment; try again",
            ));
        }
        if row.status == DRAFT {
            row.webhooks |= ctx.caller.origin().webhooks;
        }
        if next == RUNNING && row.date_started.is_none() {
            row.date_started = Some(now);
        }
        if next == CANCELLED {
            row.date_completed = Some(now);
        }
        next.clone_into(&mut row.status);
    }
    if row == before {
        change.abandon().await?;
        return Ok(before);
    }
    row.date_updated = now;
    let row = row.into_active_model().reset_all().update(&change.tx).await?;
    change.audit(Edit::Updated {
        before: &before,
        after: &row,
    })?;
    if row.status != before.status {
        tell(&mut change, &row).await?;
    }
    change.commit().await?;
    if row.status == CANCELLED
        && let Err(error) = sweep::skip_pending(&ctx.core.db, &row).await
    {
        tracing::warn!(?error, campaign = %row.id, "pending recipients of a cancelled campaign stay as they are; they are told as skipped");
    }
    ctx.core.campaigns.wake();
    Ok(row)
}

/// The campaign with what is to be set in it.
fn edited(before: &campaign::Model, new: &CampaignSettings, now: Timestamp) -> Result<campaign::Model> {
    let mut row = before.clone();
    if new.is_nothing() {
        return Ok(row);
    }
    if ![DRAFT, SCHEDULED].contains(&row.status.as_str()) {
        return Err(Error::with(
            ErrorCode::Conflict,
            format!(
                "Campaign {} is {} and cannot be edited any more: only Status can be given",
                row.id, row.status
            ),
        ));
    }
    new.apply(&mut row, now)?;
    if row.status == SCHEDULED && row.send_at.is_none() {
        return Err(Error::parameter(
            "SendAt",
            "cannot be cleared while the campaign is scheduled; give another moment, or cancel it",
        ));
    }
    Ok(row)
}

/// Deletes a campaign that has not been started or has ended, and its recipients. Channels and messages stay.
///
/// # Errors
/// 20404; 20409 while it is scheduled, running or paused; 20006 for users.
pub async fn delete(ctx: &Ctx, id: CampaignSid) -> Result<()> {
    ctx.backend_only()?;
    let mut change = Change::begin(ctx).await?;
    let row = lock(&change.tx, ctx.scope(), id)
        .await?
        .ok_or_else(|| missing(ctx, None, id))?;
    if ![DRAFT, CANCELLED, COMPLETED, FAILED].contains(&row.status.as_str()) {
        return Err(Error::with(
            ErrorCode::Conflict,
            format!(
                "Campaign {id} is {} and cannot be deleted: cancel it first",
                row.status
            ),
        ));
    }
    campaign::Entity::delete_many()
        .filter(campaign::Column::ServiceId.eq(ctx.scope()))
        .filter(campaign::Column::Id.eq(id))
        .exec(&change.tx)
        .await?;
    change.audit(Edit::Deleted(&row))?;
    change.commit().await?;
    // Nobody finds them any more, however many they are: in portions, so that no transaction is long.
    sweep::forget(ctx.core.db.writer(), row.service_id, row.id).await
}

/// Deletes every campaign of a service.
///
/// # Errors
/// Whatever the database refuses.
pub(crate) async fn delete_of_service(tx: &impl ConnectionTrait, service: ServiceSid) -> Result<()> {
    campaign::Entity::delete_many()
        .filter(campaign::Column::ServiceId.eq(service))
        .exec(tx)
        .await?;
    campaign_portion::Entity::delete_many()
        .filter(campaign_portion::Column::ServiceId.eq(service))
        .exec(tx)
        .await?;
    campaign_recipient::Entity::delete_many()
        .filter(campaign_recipient::Column::ServiceId.eq(service))
        .exec(tx)
        .await?;
    Ok(())
}
