//! A slice of a campaign with one channel for each recipient: the channels, made where they are missing, the memberships
//! and the messages of some recipients in one transaction.

use std::collections::{HashMap, HashSet};

use serde_json::Value;

use super::{
    CLIENT_ID, Next, Portion, SENT, Step,
    ledger::{self, Moved, Reached},
    rows,
    templates::Templates,
};
use crate::{
    change::{Change, advance},
    channels::{self, PRIVATE},
    ctx::Ctx,
    desk::CaseTurn,
    entities::{campaign, channel, member, message, user},
    error::{ErrorCode, Result},
    events::{Event, EventKind, Resource, log},
    input::{Identity, SYSTEM},
    members::DEFAULT_NOTIFICATIONS,
    sid::{ChannelSid, EventSid, MemberSid, MessageSid, OperatorPoolSid, RoleSid},
    templates::Person,
    timestamp::Timestamp,
};

/// A recipient with what it is to get.
struct Addressed {
    place: i64,
    identity: String,
    name: String,
    body: String,
    attributes: String,
}

/// A channel that a slice works on.
struct Site {
    channel: channel::Model,
    is_new: bool,
}

/// What a slice adds.
#[derive(Default)]
struct Additions {
    members: Vec<member::Model>,
    messages: Vec<message::Model>,
    events: Vec<Event>,
    reached: Vec<Reached>,
    /// Of channels that were there.
    joined_old: Vec<(ChannelSid, String)>,
}

/// Works on the portion's next recipients within the change. Their places are added to `seen`, so that the caller knows
/// whom it was about when all of it is refused.
pub(super) async fn go(
    ctx: &Ctx,
    change: &mut Change<'_>,
    campaign: &campaign::Model,
    portion: &Portion,
    most: usize,
    seen: &mut Vec<i64>,
) -> Result<Step> {
    let due = ledger::due(&change.tx, portion, "", most).await?;
    seen.extend(due.iter().map(|it| it.place));
    if due.is_empty() {
        if campaign.quiet_hours.is_some() {
            ledger::note_due(&change.tx, portion).await?;
        }
        return Ok(Step::none(Next::Finished));
    }
    let is_last = due.len() < most;
    let templates = Templates::of(campaign)?;
    let identities = due.iter().map(|it| it.identity.as_str());
    let users = rows::users_named(&change.tx, ctx.scope(), identities).await?;
    let now = Timestamp::now();
    let mut failed: Vec<(i64, String)> = Vec::new();
    let mut asleep: Vec<(i64, Timestamp)> = Vec::new();
    let mut addressed: Vec<Addressed> = Vec::new();
    let mut names = HashSet::new();
    let mut put_off = false;
    for it in due {
        match address(&templates, &it, users.get(&it.identity), now) {
            Ok(Asleep::Until(moment)) => asleep.push((it.place, moment)),
            // The places of events in the stream are given one kind after the other: a channel has one turn in a slice.
            Ok(Asleep::Not(one)) if !names.insert(one.name.clone()) => put_off = true,
            Ok(Asleep::Not(one)) => addressed.push(one),
            Err(why) => failed.push((it.place, why)),
        }
    }
    let mut sites = visit(ctx, change, &addressed).await?;
    let asked = addressed.iter().filter_map(|one| {
        let site = sites.get(&one.name)?;
        Some((site.id, one.identity.as_str()))
    });
    let present = rows::present(&change.tx, ctx.scope(), asked).await?;
    let mut additions = Additions::default();
    let mut touched: Vec<Site> = Vec::with_capacity(addressed.len());
    for one in addressed {
        let known = sites.remove(&one.name);
        let user = users.get(&one.identity);
        match place(ctx, campaign, one, user, known, &present, now, &mut additions) {
            Ok(site) => touched.push(site),
            Err((place, why)) => failed.push((place, why)),
        }
    }
    store(ctx, change, &users, touched, &mut additions).await?;
    ledger::reach(&change.tx, portion, &additions.reached).await?;
    ledger::fail(&change.tx, portion, &failed).await?;
    ledger::postpone(&change.tx, portion, &asleep).await?;
    let moved = Moved {
        sent: count(additions.reached.len()),
        failed: count(failed.len()),
        ..Moved::default()
    };
    ledger::count(&change.tx, portion, moved).await?;
    let is_over = is_last && !put_off;
    if is_over && campaign.quiet_hours.is_some() {
        ledger::note_due(&change.tx, portion).await?;
    }
    Ok(Step {
        done: additions.reached.len() + failed.len(),
        next: if is_over { Next::Finished } else { Next::More },
    })
}

pub(super) fn count(length: usize) -> i32 {
    i32::try_from(length).unwrap_or(i32::MAX)
}

/// Whether a recipient is to be left alone for now.
enum Asleep {
    Not(Addressed),
    Until(Timestamp),
}

/// What the recipient is to get, or why it can get nothing.
fn address(
    templates: &Templates,
    it: &ledger::Pending,
    user: Option<&user::Model>,
    now: Timestamp,
) -> Result<Asleep, String> {
    Identity::parse(&it.identity).map_err(|refused| refused.message().to_owned())?;
    let attributes = user.map_or(Value::Null, |user| {
        serde_json::from_str(&user.attributes).unwrap_or_default()
    });
    if let Some(moment) = templates.quiet_until(now, &attributes) {
        return Ok(Asleep::Until(moment));
    }
    let said = templates.render(&Person {
        identity: &it.identity,
        friendly_name: user.and_then(|user| user.friendly_name.as_deref()),
        attributes: &attributes,
    })?;
    Ok(Asleep::Not(Addressed {
        place: it.place,
        identity: it.identity.clone(),
        name: said
            .channel_unique_name
            .unwrap_or_else(|| templates.own_name(&it.identity)),
        body: said.body,
        attributes: said.attributes,
    }))
}

/// The channels that are there, locked.
async fn visit(
    ctx: &Ctx,
    change: &Change<'_>,
    addressed: &[Addressed],
) -> Result<HashMap<String, channel::Model>> {
    if addressed.is_empty() {
        return Ok(HashMap::new());
    }
    let names = addressed.iter().map(|one| one.name.as_str());
    rows::channels_named(&change.tx, ctx.scope(), names).await
}

/// Gives one recipient its channel, membership and message.
#[expect(clippy::too_many_arguments, reason = "one recipient and what is known of it")]
fn place(
    ctx: &Ctx,
    campaign: &campaign::Model,
    one: Addressed,
    user: Option<&user::Model>,
    known: Option<channel::Model>,
    present: &HashSet<(ChannelSid, String)>,
    now: Timestamp,
    additions: &mut Additions,
) -> Result<Site, (i64, String)> {
    let is_new = known.is_none();
    let is_member = known
        .as_ref()
        .is_some_and(|channel| present.contains(&(channel.id, one.identity.clone())));
    let author = campaign.sender.as_deref().unwrap_or(SYSTEM);
    if !is_member {
        let refused = |code: ErrorCode| (one.place, code.message().to_owned());
        let joined = user.map_or(0, |user| user.joined_channels_count);
        if joined >= ctx.service.limit_user_channels {
            return Err(refused(ErrorCode::UserChannelLimit));
        }
        let members = known.as_ref().map_or(0, |channel| channel.members_count);
        if members >= ctx.service.limit_channel_members {
            return Err(refused(ErrorCode::ChannelMemberLimit));
        }
    }
    let mut channel = known.unwrap_or_else(|| {
        let mut channel = new_channel(ctx, author, Some(one.name.clone()), now);
        advance(&mut channel, now);
        let resource = Resource::Channel(Box::new(channel.clone()));
        additions
            .events
            .push(event(ctx, EventKind::ChannelAdded, &channel, resource));
        channel
    });
    if !is_member {
        let role = if channel.created_by == one.identity {
            ctx.service.default_channel_creator_role_id
        } else {
            ctx.service.default_channel_role_id
        };
        let member = join(ctx, &mut channel, &one.identity, role, now, &mut additions.events);
        if !is_new {
            additions.joined_old.push((channel.id, one.identity.clone()));
        }
        additions.members.push(member);
    }
    let client_id = format!("{}{}:{}", CLIENT_ID, campaign.id, one.place);
    let message = say(&mut channel, author, one.body, one.attributes, client_id, now);
    channel.campaign_id = Some(campaign.id);
    additions.reached.push(Reached {
        place: one.place,
        status: SENT,
        channel: channel.id,
        message: message.id,
        index: message.idx,
    });
    additions.messages.push(message);
    Ok(Site { channel, is_new })
}

/// The row of a private channel to be.
pub(super) fn new_channel(ctx: &Ctx, author: &str, name: Option<String>, now: Timestamp) -> channel::Model {
    channel::Model {
        service_id: ctx.scope(),
        id: ChannelSid::generate(),
        unique_name: name,
        friendly_name: None,
        attributes: "{}".to_owned(),
        kind: PRIVATE.to_owned(),
        created_by: author.to_owned(),
        members_count: 0,
        messages_count: 0,
        next_index: 0,
        last_seq: 0,
        last_event_at: now,
        last_message_id: None,
        last_message_at: None,
        listed_at: now,
        webhooks: 0,
        campaign_id: None,
        case_state: None,
        assignee: None,
        pool_id: None,
        snoozed_until: None,
        pool_read_index: None,
        pool_event_at: None,
        deleted_at: None,
        date_created: now,
        date_updated: now,
    }
}

/// Makes a member of a channel, and the event that tells it.
pub(super) fn join(
    ctx: &Ctx,
    channel: &mut channel::Model,
    identity: &str,
    role: RoleSid,
    now: Timestamp,
    events: &mut Vec<Event>,
) -> member::Model {
    channel.members_count += 1;
    advance(channel, now);
    let member = member::Model {
        service_id: channel.service_id,
        channel_id: channel.id,
        id: MemberSid::generate(),
        identity: identity.to_owned(),
        role_id: role,
        attributes: "{}".to_owned(),
        last_consumed_message_index: None,
        last_consumption_timestamp: None,
        notification_level: DEFAULT_NOTIFICATIONS.to_owned(),
        joined_seq: channel.last_seq,
        date_created: now,
        date_updated: now,
    };
    let resource = Resource::Member {
        member: Box::new(member.clone()),
        channel: Some(Box::new(channel.clone())),
    };
    events.push(event(ctx, EventKind::MemberJoined, channel, resource));
    member
}

/// Makes the channel's next message.
pub(super) fn say(
    channel: &mut channel::Model,
    author: &str,
    body: String,
    attributes: String,
    client_id: String,
    now: Timestamp,
) -> message::Model {
    advance(channel, now);
    let at = channel.last_event_at;
    let message = message::Model {
        service_id: channel.service_id,
        channel_id: channel.id,
        idx: channel.next_index,
        id: MessageSid::generate(),
        seq: channel.last_seq,
        author: author.to_owned(),
        body: Some(body),
        attributes,
        client_id: Some(client_id),
        last_updated_by: None,
        was_edited: false,
        removed_at: None,
        committed_at: at,
        date_created: at,
        date_updated: at,
    };
    channel.next_index += 1;
    channel.messages_count += 1;
    channel.last_message_id = Some(message.id);
    channel.last_message_at = Some(message.date_created);
    channels::relist(channel);
    message
}

/// The channel's latest event.
pub(super) fn event(ctx: &Ctx, kind: EventKind, channel: &channel::Model, resource: Resource) -> Event {
    Event {
        id: EventSid::generate(),
        kind,
        account: ctx.account(),
        service: ctx.scope(),
        channel: Some(channel.id),
        seq: Some(channel.last_seq),
        identity: SYSTEM.to_owned(),
        at: channel.last_event_at,
        pool: channel.pool_id,
        turn: CaseTurn::default(),
        resource,
        connection: None,
    }
}

/// Writes what was added.
async fn store(
    ctx: &Ctx,
    change: &mut Change<'_>,
    users: &HashMap<String, user::Model>,
    touched: Vec<Site>,
    additions: &mut Additions,
) -> Result<()> {
    let (new, old): (Vec<Site>, Vec<Site>) = touched.into_iter().partition(|site| site.is_new);
    let mut new: Vec<channel::Model> = new.into_iter().map(|site| site.channel).collect();
    let old: Vec<channel::Model> = old.into_iter().map(|site| site.channel).collect();
    rows::insert_channels(&change.tx, &mut new).await?;
    let joined: Vec<&str> = additions
        .members
        .iter()
        .map(|member| member.identity.as_str())
        .collect();
    rows::count_joined(ctx, change, users, &joined).await?;
    let joined_old = additions.joined_old.iter();
    let joined_old = joined_old.map(|(channel, identity)| (*channel, identity.as_str()));
    rows::fulfil_invites(&change.tx, ctx.scope(), joined_old).await?;
    rows::insert_members(&change.tx, &additions.members).await?;
    // Before the messages, which come behind them in each channel: the stream's places are given now.
    log::append(&change.tx, &additions.events).await?;
    rows::insert_messages(&change.tx, &additions.messages).await?;
    rows::update_channels(&change.tx, &old).await?;
    let pools: HashMap<ChannelSid, OperatorPoolSid> = old
        .iter()
        .filter_map(|channel| Some((channel.id, channel.pool_id?)))
        .collect();
    let messages = additions.messages.iter().cloned();
    let arrivals = messages.map(|message| Event {
        pool: pools.get(&message.channel_id).copied(),
        ..Event::message_added(ctx.account(), message, None)
    });
    let mut events = std::mem::take(&mut additions.events);
    events.extend(arrivals);
    change.take_over(new.iter().chain(&old), events).await
}
