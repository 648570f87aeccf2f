//! What operators hear: the channels that are attached to their pools, for as long as they are.
//!
//! The log notes when a pool comes to a channel and when it goes, as it notes joins and leaves, so what an operator may
//! hear is cut in the same way. Nothing is asked of channels in which nothing happened.

use std::collections::HashMap;

use sea_orm::{ConnectionTrait, DatabaseConnection};

use super::{
    cursor::{Cursor, MARGIN, Subscription, spans, tag},
    log::{self, MembershipChange, Stretch},
};
use crate::{
    channels::SLACK,
    error::Result,
    sid::{AccountSid, ChannelSid, OperatorPoolSid, ServiceSid},
    sql::Sql,
    timestamp::Timestamp,
};

/// The channels that are attached to these pools and had an event after `since`.
///
/// # Errors
/// Whatever the database refuses.
pub async fn active(
    db: &impl ConnectionTrait,
    service: ServiceSid,
    pools: &[OperatorPoolSid],
    since: Timestamp,
) -> Result<Vec<Subscription>> {
    let mut active = Vec::new();
    for pool in pools {
        let mut sql = Sql::new("SELECT id, last_seq, last_event_at FROM channels WHERE service_id = ");
        sql.bind(service)
            .push(" AND pool_id = ")
            .bind(*pool)
            .push(" AND pool_event_at > ")
            .bind(since.minus(SLACK))
            .push(" AND last_event_at > ")
            .bind(since);
        for row in sql.all(db).await? {
            active.push(Subscription {
                channel: row.try_get("", "id")?,
                last_seq: row.try_get("", "last_seq")?,
                last_event_at: row.try_get("", "last_event_at")?,
                deleted: false,
            });
        }
    }
    Ok(active)
}

/// What a returning operator of these pools missed. `active` are their channels with events after the cursor's watermark
/// less [`MARGIN`].
///
/// # Errors
/// Whatever the database refuses.
pub async fn missed(
    db: &DatabaseConnection,
    (account, service): (AccountSid, ServiceSid),
    pools: &[OperatorPoolSid],
    cursor: &Cursor,
    active: &[Subscription],
) -> Result<Vec<Stretch>> {
    let since = cursor.watermark.minus(MARGIN);
    let mut changes: HashMap<ChannelSid, Vec<MembershipChange>> = HashMap::new();
    for (_, change) in log::attachments(db, service, pools, None, since).await? {
        changes.entry(change.channel).or_default().push(change);
    }
    let now: HashMap<ChannelSid, i64> = active
        .iter()
        .map(|subscription| (subscription.channel, subscription.last_seq))
        .collect();
    let mut channels: Vec<ChannelSid> = now.keys().chain(changes.keys()).copied().collect();
    channels.sort_unstable();
    channels.dedup();
    let told = |channel: &ChannelSid| cursor.recent.get(&tag(*channel)).copied();
    let untold: Vec<ChannelSid> = channels
        .iter()
        .copied()
        .filter(|channel| told(channel).is_none())
        .collect();
    let before = log::seqs_at(db, service, &untold, since).await?;
    let mut stretches = Vec::new();
    for channel in channels {
        let known = told(&channel)
            .or_else(|| before.get(&channel).copied())
            .unwrap_or(0);
        let changes = changes.get(&channel).map_or(&[][..], Vec::as_slice);
        for (after, until) in spans(known, changes, now.get(&channel).copied()) {
            stretches.push(Stretch {
                account,
                service,
                channel,
                after,
                until,
            });
        }
    }
    Ok(stretches)
}

/// The same stretches without anything twice: who is a member and an operator hears a channel once.
#[must_use]
pub fn merged(mut stretches: Vec<Stretch>) -> Vec<Stretch> {
    // The order of channels stays as it is for those who have no pools.
    stretches.sort_by_key(|stretch| (stretch.channel, stretch.after));
    let mut merged: Vec<Stretch> = Vec::with_capacity(stretches.len());
    for stretch in stretches {
        match merged.last_mut() {
            Some(last) if last.channel == stretch.channel && stretch.after <= last.until => {
                last.until = last.until.max(stretch.until);
            }
            _ => merged.push(stretch),
        }
    }
    merged
}

/// A channel as operators find it.
#[derive(Debug, Clone)]
pub struct Standing {
    /// Its tenant.
    pub account: AccountSid,
    /// The pool that it is attached to.
    pub pool: Option<OperatorPoolSid>,
    /// Its latest event.
    pub last_seq: i64,
    /// When that was committed.
    pub last_event_at: Timestamp,
    /// Its latest event at the moment that was asked about.
    pub before: i64,
    /// How pools came and went since.
    pub changes: Vec<(OperatorPoolSid, MembershipChange)>,
}

impl Standing {
    /// The pools that it is or was attached to.
    pub fn pools(&self) -> impl Iterator<Item = OperatorPoolSid> + '_ {
        self.pool
            .into_iter()
            .chain(self.changes.iter().map(|(pool, _)| *pool))
    }

    /// What an operator of these pools is to hear that knows the channel up to `known`: stretches after and until a `seq`.
    #[must_use]
    pub fn heard_by(&self, pools: &[OperatorPoolSid], known: i64) -> Vec<(i64, i64)> {
        let changes: Vec<MembershipChange> = self
            .changes
            .iter()
            .filter(|(pool, _)| pools.contains(pool))
            .map(|(_, change)| *change)
            .collect();
        let attached = self.pool.is_some_and(|pool| pools.contains(&pool));
        spans(known, &changes, attached.then_some(self.last_seq))
    }
}

/// How these channels stand, with how these pools came and went after `since`.
///
/// # Errors
/// Whatever the database refuses.
pub async fn standings(
    db: &impl ConnectionTrait,
    service: ServiceSid,
    channels: &[ChannelSid],
    pools: &[OperatorPoolSid],
    since: Timestamp,
) -> Result<HashMap<ChannelSid, Standing>> {
    if channels.is_empty() {
        return Ok(HashMap::new());
    }
    let mut sql = Sql::new(
        "SELECT s.account_id, c.id, c.pool_id, c.last_seq, c.last_event_at FROM channels c \
         JOIN services s ON s.id = c.service_id WHERE c.service_id = ",
    );
    sql.bind(service)
        .push(" AND c.id IN (")
        .list(channels.iter().map(Into::into))
        .push(")");
    let rows = sql.all(db).await?;
    let before = log::seqs_at(db, service, channels, since).await?;
    let mut changes: HashMap<ChannelSid, Vec<(OperatorPoolSid, MembershipChange)>> = HashMap::new();
    for (pool, change) in log::attachments(db, service, pools, Some(channels), since).await? {
        changes.entry(change.channel).or_default().push((pool, change));
    }
    rows.iter()
        .map(|row| {
            let channel: ChannelSid = row.try_get("", "id")?;
            let standing = Standing {
                account: row.try_get("", "account_id")?,
                pool: row.try_get("", "pool_id")?,
                last_seq: row.try_get("", "last_seq")?,
                last_event_at: row.try_get("", "last_event_at")?,
                before: before.get(&channel).copied().unwrap_or(0),
                changes: changes.remove(&channel).unwrap_or_default(),
            };
            Ok((channel, standing))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stretch(channel: ChannelSid, after: i64, until: i64) -> Stretch {
        Stretch {
            account: AccountSid(uuid::Uuid::nil()),
            service: ServiceSid(uuid::Uuid::nil()),
            channel,
            after,
            until,
        }
    }

    #[test]
    fn nothing_is_in_two_stretches() {
        let (one, other) = (ChannelSid::generate(), ChannelSid::generate());
        let merged = merged(vec![
            stretch(other, 0, 4),
            stretch(one, 7, 9),
            stretch(one, 1, 5),
            stretch(one, 3, 6),
            stretch(other, 4, 5),
        ]);
        let spans: Vec<_> = merged
            .iter()
            .map(|stretch| (stretch.channel, stretch.after, stretch.until))
            .collect();
        assert_eq!(spans, [(one, 1, 6), (one, 7, 9), (other, 0, 5)]);
    }

    #[test]
    fn an_operator_hears_a_channel_while_it_is_attached_to_its_pools() {
        let (mine, foreign) = (OperatorPoolSid::generate(), OperatorPoolSid::generate());
        let channel = ChannelSid::generate();
        let change = |pool, seq, joined| (pool, MembershipChange { channel, seq, joined });
        let standing = Standing {
            account: AccountSid::generate(),
            pool: Some(mine),
            last_seq: 12,
            last_event_at: Timestamp(0),
            before: 2,
            changes: vec![
                change(mine, 4, true),
                change(mine, 6, false),
                change(foreign, 7, true),
                change(foreign, 9, false),
                change(mine, 10, true),
            ],
        };
        assert_eq!(standing.heard_by(&[mine], 2), [(3, 6), (9, 12)]);
        assert_eq!(standing.heard_by(&[mine], 5), [(5, 6), (9, 12)]);
        assert_eq!(standing.heard_by(&[mine], 12), []);
        assert_eq!(standing.heard_by(&[foreign], 2), [(6, 9)]);
        assert_eq!(standing.heard_by(&[], 2), []);
    }
}
