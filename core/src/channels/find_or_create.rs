//! The channel of a name with these members in it, made if it is not there: one call, however many make it at once.

use std::collections::HashSet;

use super::{
    Access, NewChannel, access,
    actions::{create_with, new_row},
    lock_access,
};
use crate::{
    audit::Edit,
    change::Change,
    ctx::Ctx,
    entities::{channel, member},
    error::{Error, ErrorCode, Result},
    input::ChannelRef,
    members::{self, NewMember, Roles},
    pre_events::{self, PreEvent},
};

/// How often it looks again when others make or delete the channel at the same moment.
const ATTEMPTS: usize = 5;

/// A channel that was asked for by name.
#[derive(Debug, Clone)]
pub struct FoundOrCreated {
    /// The channel.
    pub channel: channel::Model,
    /// Whether this call made it.
    pub created: bool,
}

/// Answers the channel of `new.unique_name`, with those of `wanted` added who were not in it; makes it with all of
/// them when there is none. An existing channel and its existing members stay as they are. Everything or nothing.
///
/// # Errors
/// As [`super::create`] and [`members::create`]; 20409 when the channel is made and deleted all the time.
pub async fn find_or_create(ctx: &Ctx, new: &NewChannel, wanted: &[NewMember]) -> Result<FoundOrCreated> {
    let Some(name) = new_row(ctx, new)?.unique_name else {
        return Err(Error::parameter("UniqueName", "must not be empty"));
    };
    let name = ChannelRef::Name(name);
    let mut seen = HashSet::new();
    let wanted: Vec<NewMember> = wanted
        .iter()
        .filter(|member| seen.insert(&member.identity))
        .cloned()
        .collect();
    for _ in 0..ATTEMPTS {
        if let Some(channel) = complete(ctx, &name, &wanted).await? {
            return Ok(FoundOrCreated {
                channel,
                created: false,
            });
        }
        match create_with(ctx, new, wanted.clone()).await {
            Ok(channel) => {
                return Ok(FoundOrCreated {
                    channel,
                    created: true,
                });
            }
            // Somebody else was quicker.
            Err(error) if error.code() == ErrorCode::UniqueNameTaken => {}
            Err(error) => return Err(error),
        }
    }
    Err(ErrorCode::Conflict.into())
}

/// The channel of this name with the missing members added; `None` when there is no such channel.
async fn complete(ctx: &Ctx, name: &ChannelRef, wanted: &[NewMember]) -> Result<Option<channel::Model>> {
    let standing = access(ctx, ctx.reader(), name).await;
    let Some(standing) = unless_gone(standing)? else {
        return Ok(None);
    };
    standing.may_see()?;
    let present = members::present(ctx.reader(), &standing.channel, wanted).await?;
    if present.len() == wanted.len() {
        return Ok(Some(standing.channel));
    }
    let mut amended = wanted.to_vec();
    if let Some(due) = pre_events::due(ctx, pre_events::MEMBER_ADD).await? {
        let mut rehearsal = Change::begin(ctx).await?;
        let Some((_, joined)) = add_missing(ctx, &mut rehearsal, name, wanted).await? else {
            return Ok(None);
        };
        rehearsal.abandon().await?;
        for member in joined {
            let amendments = due.clone().ask(ctx, PreEvent::member_add(ctx, &member)).await?;
            if let Some(new) = amended
                .iter_mut()
                .find(|new| new.identity.as_str() == member.identity)
            {
                amendments.put("attributes", &mut new.attributes);
            }
        }
    }
    let mut change = Change::begin(ctx).await?;
    let Some((channel, _)) = add_missing(ctx, &mut change, name, &amended).await? else {
        return Ok(None);
    };
    change.commit().await?;
    Ok(Some(channel))
}

/// Adds those who are not in it within the change, and answers the channel with them; `None` when there is no such
/// channel.
async fn add_missing(
    ctx: &Ctx,
    change: &mut Change<'_>,
    name: &ChannelRef,
    wanted: &[NewMember],
) -> Result<Option<(channel::Model, Vec<member::Model>)>> {
    let standing = lock_access(ctx, &change.tx, name).await;
    let Some(standing) = unless_gone(standing)? else {
        return Ok(None);
    };
    let present = members::present(&change.tx, &standing.channel, wanted).await?;
    let mut roles = Roles::default();
    let mut joining = Vec::new();
    for member in wanted {
        if !present.contains(member.identity.as_str()) {
            joining.push(Ok(roles.admit(ctx, change, &standing, member.clone()).await?));
        }
    }
    let mut channel = standing.channel;
    let mut added = Vec::with_capacity(joining.len());
    for joined in members::begin_all(ctx, change, &mut channel, joining).await? {
        let joined = joined?;
        change.audit(Edit::Created(&joined))?;
        added.push(joined);
    }
    Ok(Some((channel, added)))
}

fn unless_gone(standing: Result<Access>) -> Result<Option<Access>> {
    match standing {
        Ok(standing) => Ok(Some(standing)),
        Err(error) if error.code() == ErrorCode::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}
