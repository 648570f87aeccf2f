//! A campaign with one channel for all: the recipients become members, portion by portion; when all have, its one
//! message is sent; then they are written down as sent to, portion by portion.
//!
//! Whoever reads or answers before it is written down is not lost: that is looked up under the channel's lock.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use sea_orm::{ColumnTrait, DatabaseTransaction, EntityTrait, IntoActiveModel, QueryFilter, QueryOrder};

use super::{
    CLIENT_ID, Key, Next, Portion, READ, REPLIED, SENT, Step, enter, gate,
    ledger::{self, Moved, Reached},
    rows,
    runs::{self, OneMessage},
    slice::{count, join, new_channel, say},
    templates::Templates,
};
use crate::{
    campaigns::{self, GROUP, RUNNING, Rendered},
    change::{Change, advance},
    channels,
    ctx::{Core, Ctx},
    entities::{campaign, channel, role},
    error::{Error, ErrorCode, Result},
    events::{Event, EventKind, Resource, log},
    input::{ChannelRef, Identity, SYSTEM},
    permissions::{Permission, Permissions},
    roles,
    sid::{ChannelSid, RoleSid},
    sql::Sql,
    timestamp::Timestamp,
};

/// The name of the role of a broadcast's members.
const AUDIENCE: &str = "broadcast audience";

/// Works on the portion's next recipients within the change: they join, or, once the message is sent, it is written
/// down that they were.
pub(super) async fn go(
    ctx: &Ctx,
    change: &mut Change<'_>,
    campaign: &campaign::Model,
    portion: &Portion,
    most: usize,
    seen: &mut Vec<i64>,
) -> Result<Step> {
    let Some(channel) = campaign.channel_id else {
        return Err(Error::internal("a campaign of one channel has none"));
    };
    match runs::message(&change.tx, portion.key).await? {
        None => let_join(ctx, change, campaign, channel, portion, most, seen).await,
        Some(message) => settle(change, channel, portion, message, most, seen).await,
    }
}

async fn let_join(
    ctx: &Ctx,
    change: &mut Change<'_>,
    campaign: &campaign::Model,
    channel: ChannelSid,
    portion: &Portion,
    most: usize,
    seen: &mut Vec<i64>,
) -> Result<Step> {
    let due = ledger::due(&change.tx, portion, " AND channel_id IS NULL", most).await?;
    seen.extend(due.iter().map(|it| it.place));
    if due.is_empty() {
        return Ok(Step::none(Next::Finished));
    }
    let is_last = due.len() < most;
    let role = if campaign.mode == GROUP {
        ctx.service.default_channel_role_id
    } else {
        audience_role(ctx, &change.tx).await?
    };
    let mut channel = locked(ctx, &change.tx, channel).await?;
    let users = {
        let identities = due.iter().map(|it| it.identity.as_str());
        rows::users_named(&change.tx, ctx.scope(), identities).await?
    };
    let asked = due.iter().map(|it| (channel.id, it.identity.as_str()));
    let present = rows::present(&change.tx, ctx.scope(), asked).await?;
    // The backend chose the audience, whatever the service's limit is.
    let room = ctx
        .core
        .settings
        .limit_ceiling
        .max(ctx.service.limit_channel_members);
    let now = Timestamp::now();
    let (mut members, mut events) = (Vec::new(), Vec::new());
    let (mut joined, mut failed) = (Vec::new(), Vec::new());
    for it in due {
        if !present.contains(&(channel.id, it.identity.clone())) {
            let own = users
                .get(&it.identity)
                .map_or(0, |user| user.joined_channels_count);
            let refused = if let Err(refused) = Identity::parse(&it.identity) {
                Some(refused.message().to_owned())
            } else if own >= ctx.service.limit_user_channels {
                Some(ErrorCode::UserChannelLimit.message().to_owned())
            } else if channel.members_count >= room {
                Some(ErrorCode::ChannelMemberLimit.message().to_owned())
            } else {
                None
            };
            if let Some(why) = refused {
                failed.push((it.place, why));
                continue;
            }
            members.push(join(ctx, &mut channel, &it.identity, role, now, &mut events));
        }
        joined.push(it.place);
    }
    let identities: Vec<&str> = members.iter().map(|member| member.identity.as_str()).collect();
    rows::count_joined(ctx, change, &users, &identities).await?;
    let pairs = identities.iter().map(|identity| (channel.id, *identity));
    rows::fulfil_invites(&change.tx, ctx.scope(), pairs).await?;
    rows::insert_members(&change.tx, &members).await?;
    log::append(&change.tx, &events).await?;
    rows::update_channels(&change.tx, std::slice::from_ref(&channel)).await?;
    change.take_over([&channel], events).await?;
    ledger::join(&change.tx, portion, channel.id, &joined).await?;
    ledger::fail(&change.tx, portion, &failed).await?;
    let moved = Moved {
        joined: count(joined.len()),
        failed: count(failed.len()),
        ..Moved::default()
    };
    ledger::count(&change.tx, portion, moved).await?;
    Ok(Step {
        done: joined.len() + failed.len(),
        next: if is_last { Next::Finished } else { Next::More },
    })
}

/// Writes down who was sent to, and how far each has come since.
async fn settle(
    change: &mut Change<'_>,
    channel: ChannelSid,
    portion: &Portion,
    message: OneMessage,
    most: usize,
    seen: &mut Vec<i64>,
) -> Result<Step> {
    let due = ledger::due(&change.tx, portion, "", most).await?;
    seen.extend(due.iter().map(|it| it.place));
    if due.is_empty() {
        return Ok(Step::none(Next::Finished));
    }
    let is_last = due.len() < most;
    let service = portion.key.service;
    // Nobody reads or answers while it is locked. When the channel is gone nobody does at all.
    channels::lock(&change.tx, service, &ChannelRef::Sid(channel)).await?;
    let answered = authors_since(&change.tx, service, channel, message.index).await?;
    let identities = due.iter().map(|it| it.identity.as_str());
    let read = horizons(&change.tx, portion, channel, identities).await?;
    let mut moved = Moved::default();
    let mut reached = Vec::with_capacity(due.len());
    for it in due {
        let has_read = read
            .get(&it.identity)
            .is_some_and(|horizon| *horizon >= message.index);
        let (status, count) = if answered.contains(&it.identity) {
            (REPLIED, &mut moved.replied)
        } else if has_read {
            (READ, &mut moved.read)
        } else {
            (SENT, &mut moved.sent)
        };
        *count += 1;
        reached.push(Reached {
            place: it.place,
            status,
            channel,
            message: message.id,
            index: message.index,
        });
    }
    ledger::reach(&change.tx, portion, &reached).await?;
    moved.joined = -count(reached.len());
    ledger::count(&change.tx, portion, moved).await?;
    Ok(Step {
        done: reached.len(),
        next: if is_last { Next::Finished } else { Next::More },
    })
}

async fn authors_since(
    tx: &DatabaseTransaction,
    service: crate::sid::ServiceSid,
    channel: ChannelSid,
    index: i64,
) -> Result<HashSet<String>> {
    let mut sql = Sql::new("SELECT DISTINCT author FROM messages WHERE service_id = ");
    sql.bind(service).push(" AND channel_id = ").bind(channel);
    sql.push(" AND idx > ").bind(index);
    sql.all(tx)
        .await?
        .iter()
        .map(|row| Ok(row.try_get("", "author")?))
        .collect()
}

async fn horizons<'i>(
    tx: &DatabaseTransaction,
    portion: &Portion,
    channel: ChannelSid,
    identities: impl Iterator<Item = &'i str>,
) -> Result<HashMap<String, i64>> {
    use sea_orm::ConnectionTrait as _;
    let mut sql =
        Sql::new("SELECT identity, last_consumed_message_index AS horizon FROM members WHERE service_id = ");
    sql.bind(portion.key.service)
        .push(" AND channel_id = ")
        .bind(channel)
        .push(" AND last_consumed_message_index IS NOT NULL AND ")
        .one_of_values(
            tx.get_database_backend(),
            ("identity", "text"),
            identities.map(Into::into),
        );
    sql.all(tx)
        .await?
        .iter()
        .map(|row| Ok((row.try_get("", "identity")?, row.try_get("", "horizon")?)))
        .collect()
}

async fn locked(ctx: &Ctx, tx: &DatabaseTransaction, channel: ChannelSid) -> Result<channel::Model> {
    channels::lock(tx, ctx.scope(), &ChannelRef::Sid(channel))
        .await?
        .ok_or_else(|| Error::with(ErrorCode::ChannelNotFound, "The campaign's channel was deleted"))
}

/// What all recipients are told together.
fn said(campaign: &campaign::Model) -> Result<Rendered> {
    Templates::of(campaign)?
        .render_for_all()
        .map_err(|why| Error::with(ErrorCode::InvalidParameter, why))
}

/// Makes sure that the campaign has its channel; answers the campaign as it is then.
async fn open(core: &Arc<Core>, campaign: &campaign::Model) -> Result<Option<campaign::Model>> {
    let ctx = enter(core, campaign).await?;
    let mut change = Change::of_the_platform(&ctx).await?;
    gate::hold_still(&change.tx, campaign.id).await?;
    let Some(mut now) = campaigns::lock(&change.tx, campaign.service_id, campaign.id).await? else {
        return Ok(None);
    };
    if now.channel_id.is_some() || now.status != RUNNING {
        return Ok(Some(now));
    }
    let name = said(&now)?.channel_unique_name;
    let known = match &name {
        Some(name) => channels::lock(&change.tx, ctx.scope(), &ChannelRef::Name(name.clone())).await?,
        None => None,
    };
    let channel = match known {
        Some(mut channel) => {
            channel.campaign_id = Some(now.id);
            rows::update_channels(&change.tx, std::slice::from_ref(&channel)).await?;
            channel
        }
        None => make(&ctx, &mut change, &now, name).await?,
    };
    now.channel_id = Some(channel.id);
    let mut sql = Sql::new("UPDATE campaigns SET channel_id = ");
    sql.bind(channel.id)
        .push(" WHERE service_id = ")
        .bind(now.service_id);
    sql.push(" AND id = ").bind(now.id);
    sql.execute(&change.tx).await?;
    change.commit().await?;
    Ok(Some(now))
}

async fn make(
    ctx: &Ctx,
    change: &mut Change<'_>,
    campaign: &campaign::Model,
    name: Option<String>,
) -> Result<channel::Model> {
    let author = campaign.sender.as_deref().unwrap_or(SYSTEM);
    let now = Timestamp::now();
    let mut channel = new_channel(ctx, author, name, now);
    channel.friendly_name.clone_from(&campaign.friendly_name);
    channel.campaign_id = Some(campaign.id);
    advance(&mut channel, now);
    let added = super::slice::event(
        ctx,
        EventKind::ChannelAdded,
        &channel,
        Resource::Channel(Box::new(channel.clone())),
    );
    let events = vec![added];
    rows::insert_channels(&change.tx, std::slice::from_mut(&mut channel)).await?;
    log::append(&change.tx, &events).await?;
    change.take_over([&channel], events).await?;
    Ok(channel)
}

/// Has a campaign of one channel go on as far as its recipients let it: makes the channel, and sends the one message
/// when everybody has joined. Answers the campaign as it is then; `None` when it is gone.
///
/// # Errors
/// 20001 or 50300 when the campaign cannot go on at all; whatever the database refuses.
pub async fn send(core: &Arc<Core>, campaign: &campaign::Model) -> Result<Option<campaign::Model>> {
    if campaign.channel_id.is_none() {
        return open(core, campaign).await;
    }
    let key = Key::of(campaign);
    let have_joined = campaign.phase == campaigns::RESOLVED
        && ledger::waiting(core.db.reader(), key, 0, true, 1)
            .await?
            .is_empty()
        && ledger::first_pending(core.db.reader(), key, 0).await?.is_some();
    if have_joined && runs::message(core.db.reader(), key).await?.is_none() {
        speak(core, campaign).await?;
    }
    Ok(Some(campaign.clone()))
}

/// Sends the one message, once.
async fn speak(core: &Arc<Core>, campaign: &campaign::Model) -> Result<()> {
    let ctx = enter(core, campaign).await?;
    let mut change = Change::of_the_platform(&ctx).await?;
    gate::share(&change.tx, campaign.id).await?;
    let running = campaign::Entity::find()
        .filter(campaign::Column::ServiceId.eq(campaign.service_id))
        .filter(campaign::Column::Id.eq(campaign.id))
        .filter(campaign::Column::Status.eq(RUNNING))
        .one(&change.tx)
        .await?;
    let Some(Some(channel)) = running.map(|campaign| campaign.channel_id) else {
        return Ok(());
    };
    let mut channel = locked(&ctx, &change.tx, channel).await?;
    let said = said(campaign)?;
    let author = campaign.sender.as_deref().unwrap_or(SYSTEM);
    let client_id = format!("{CLIENT_ID}{}", campaign.id);
    let now = Timestamp::now();
    let message = say(&mut channel, author, said.body, said.attributes, client_id, now);
    channel.campaign_id = Some(campaign.id);
    let one = OneMessage {
        id: message.id,
        index: message.idx,
    };
    runs::note_message(&change.tx, Key::of(campaign), one).await?;
    rows::insert_messages(&change.tx, std::slice::from_ref(&message)).await?;
    rows::update_channels(&change.tx, std::slice::from_ref(&channel)).await?;
    let arrival = Event {
        pool: channel.pool_id,
        ..Event::message_added(ctx.account(), message, None)
    };
    change.take_over([&channel], vec![arrival]).await?;
    change.commit().await
}

/// The role of those who may read and leave, and not write.
async fn audience_role(ctx: &Ctx, tx: &DatabaseTransaction) -> Result<RoleSid> {
    let known = role::Entity::find()
        .filter(role::Column::ServiceId.eq(ctx.scope()))
        .filter(role::Column::Kind.eq(roles::CHANNEL))
        .filter(role::Column::FriendlyName.eq(AUDIENCE))
        .order_by_asc(role::Column::Id)
        .all(tx)
        .await?;
    // One that an operator gave the right to write is not meant.
    if let Some(role) = known
        .iter()
        .find(|role| !role.permissions.has(Permission::SendMessage))
    {
        return Ok(role.id);
    }
    let now = Timestamp::now();
    let row = role::Model {
        service_id: ctx.scope(),
        id: RoleSid::generate(),
        friendly_name: AUDIENCE.to_owned(),
        kind: roles::CHANNEL.to_owned(),
        permissions: Permissions::of(&[Permission::LeaveChannel]),
        date_created: now,
        date_updated: now,
    };
    let id = row.id;
    role::Entity::insert(row.into_active_model())
        .exec_without_returning(tx)
        .await?;
    Ok(id)
}
