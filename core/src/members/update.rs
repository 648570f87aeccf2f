//! Changing a membership, and moving the read horizon.

use sea_orm::{ActiveModelTrait, IntoActiveModel};

use super::{DEFAULT_NOTIFICATIONS, MUTED, consumed_index, find, missing};
use crate::{
    attribute_indexes::upkeep,
    audit::Edit,
    campaigns::outcomes::{self, Reading},
    change::Change,
    channels,
    ctx::Ctx,
    entities::{channel, member},
    error::{ErrorCode, Result},
    events::{EventKind, Resource},
    input::{self, ChannelRef, MemberRef},
    permissions::Permission,
    pre_events::{self, PreEvent},
    roles,
    timestamp::Timestamp,
};

/// What to change of a membership; `None` leaves it as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UpdateMember {
    /// A role of type `channel`.
    pub role_sid: Option<String>,
    /// JSON text.
    pub attributes: Option<String>,
    /// The read horizon; `Some(None)` clears it.
    pub last_consumed_message_index: Option<Option<i64>>,
    /// When it was set.
    pub last_consumption_timestamp: Option<Timestamp>,
    /// `default` or `muted`.
    pub notification_level: Option<String>,
    /// For imports.
    pub date_created: Option<Timestamp>,
    /// For imports.
    pub date_updated: Option<Timestamp>,
}

impl UpdateMember {
    /// Whether it changes nothing that others can see.
    fn is_private(&self) -> bool {
        self.notification_level.is_some()
            && Self {
                notification_level: None,
                ..self.clone()
            } == Self::default()
    }
}

/// A backend may change everything of a membership; a user attributes, as far as its roles allow.
fn may_update(ctx: &Ctx, access: &channels::Access, member: &MemberRef, update: &UpdateMember) -> Result<()> {
    if ctx.caller.identity().is_none() {
        return Ok(());
    }
    if update.role_sid.is_some() {
        return Err(ErrorCode::RoleNotSettable.into());
    }
    let own = access.member.as_ref().is_some_and(|own| match member {
        MemberRef::Sid(id) => own.id == *id,
        MemberRef::Identity(identity) => own.identity == *identity,
    });
    if update.notification_level.is_some() {
        access.require(Permission::EditNotificationLevel)?;
    }
    if own && update.attributes.is_none() {
        return Ok(());
    }
    if own {
        access.require_either(
            Permission::EditOwnMemberAttributes,
            Permission::EditAnyMemberAttributes,
        )
    } else {
        access.require(Permission::EditAnyMemberAttributes)
    }
}

/// Changes a membership. A backend may move the read horizon to wherever it likes.
///
/// # Errors
/// 20404; 20161 when a user changes nothing; 50107 when the caller's roles do not allow it; the code of the field that
/// is wrong.
pub async fn update(
    ctx: &Ctx,
    channel: &ChannelRef,
    member: &MemberRef,
    update: UpdateMember,
) -> Result<member::Model> {
    let is_change = update.role_sid.is_some()
        || update.attributes.is_some()
        || update.last_consumed_message_index.is_some()
        || update.last_consumption_timestamp.is_some()
        || update.notification_level.is_some();
    ctx.require_change(
        is_change,
        "Attributes, LastConsumedMessageIndex or NotificationLevel",
    )?;
    let mut amended = update.clone();
    if !update.is_private()
        && let Some(due) = pre_events::due(ctx, pre_events::MEMBER_UPDATE).await?
    {
        let mut rehearsal = Change::begin(ctx).await?;
        let row = edit(ctx, &mut rehearsal, channel, member, &update, &update).await?;
        rehearsal.abandon().await?;
        due.ask(ctx, PreEvent::member_update(ctx, &row))
            .await?
            .put("attributes", &mut amended.attributes);
    }
    let mut change = Change::begin(ctx).await?;
    let row = edit(ctx, &mut change, channel, member, &update, &amended).await?;
    change.commit().await?;
    Ok(row)
}

/// Changes a membership within the change: the caller's rights are for what it `asked`, the rules for what that has
/// become.
async fn edit(
    ctx: &Ctx,
    change: &mut Change<'_>,
    channel: &ChannelRef,
    member: &MemberRef,
    asked: &UpdateMember,
    update: &UpdateMember,
) -> Result<member::Model> {
    let access = channels::lock_access(ctx, &change.tx, channel).await?;
    may_update(ctx, &access, member, asked)?;
    let mut channel_row = access.channel;
    let mut row = find(&change.tx, ctx.scope(), channel_row.id, member)
        .await?
        .ok_or_else(|| missing(ctx, channel, member))?;
    let before = row.clone();
    let now = Timestamp::now();
    if let Some(sid) = &update.role_sid {
        row.role_id = roles::of_kind(&change.tx, ctx.scope(), sid, roles::CHANNEL)
            .await?
            .id;
    }
    if let Some(text) = &update.attributes {
        row.attributes = input::small_attributes(text)?;
    }
    if let Some(horizon) = update.last_consumed_message_index {
        row.last_consumed_message_index = horizon.map(consumed_index).transpose()?;
        row.last_consumption_timestamp = horizon.map(|_| now);
    }
    if let Some(moment) = update.last_consumption_timestamp {
        row.last_consumption_timestamp = Some(moment);
    }
    if let Some(level) = &update.notification_level {
        row.notification_level = notification_level(level)?;
    }
    if let Some(date) = ctx.imported(update.date_created) {
        row.date_created = date;
    }
    if update.is_private() {
        let row = row.into_active_model().reset_all().update(&change.tx).await?;
        change.audit(Edit::Updated {
            before: &before,
            after: &row,
        })?;
        return Ok(row);
    }
    row.date_updated = ctx.imported(update.date_updated).unwrap_or(now);
    let row = store_updated(change, &mut channel_row, row).await?;
    if update.attributes.is_some() {
        upkeep::changed(&change.tx, &row).await?;
    }
    change.audit(Edit::Updated {
        before: &before,
        after: &row,
    })?;
    Ok(row)
}

fn notification_level(text: &str) -> Result<String> {
    match text {
        DEFAULT_NOTIFICATIONS | MUTED => Ok(text.to_owned()),
        _ => Err(ErrorCode::NotificationLevel.into()),
    }
}

async fn store_updated(
    change: &mut Change<'_>,
    channel: &mut channel::Model,
    row: member::Model,
) -> Result<member::Model> {
    let row = row.into_active_model().reset_all().update(&change.tx).await?;
    let reading: Vec<Reading> = Reading::of(channel, &row).into_iter().collect();
    outcomes::read(&change.tx, &reading).await?;
    change
        .record(channel, EventKind::MemberUpdated, |_| Resource::Member {
            member: Box::new(row.clone()),
            channel: None,
        })
        .await?;
    channels::store(&change.tx, channel).await?;
    Ok(row)
}
