//! Cases that users' messages open, in the transaction that stores the messages: questions are asked once a batch, and
//! none where there are neither rules nor campaigns nor snoozed channels.

use std::collections::{BTreeSet, HashMap, HashSet};

use sea_orm::DatabaseTransaction;

use super::{CLOSED, CaseRules, CaseTurn, OPEN, SNOOZED};
use crate::{
    change::advance,
    entities::{channel, service},
    error::Result,
    events::{Event, EventKind, Resource},
    input::SYSTEM,
    operator_pools,
    sid::{AccountSid, CampaignSid, EventSid, OperatorPoolSid, ServiceSid},
    sql::Sql,
    timestamp::Timestamp,
};

/// A message that may open a case.
#[derive(Clone, Copy)]
pub(crate) struct Candidate<'a> {
    /// The service as it was when the send began.
    pub(crate) service: &'a service::Model,
    /// The channel, locked.
    pub(crate) channel: &'a channel::Model,
    /// Who says it.
    pub(crate) author: &'a str,
}

impl Candidate<'_> {
    /// Whether there is anything to ask about it.
    fn may_open(&self) -> bool {
        self.author != SYSTEM
            && !is_attended(self.channel)
            && (self.channel.case_state.as_deref() == Some(SNOOZED)
                || self.channel.campaign_id.is_some()
                || self.service.case_rules.is_some())
    }
}

/// Whether a message changes nothing of the case: it is open, and somebody hears of it.
fn is_attended(channel: &channel::Model) -> bool {
    channel.pool_id.is_some() && channel.case_state.as_deref() == Some(OPEN)
}

/// What a batch knows of those who say something and of the pools that may come.
#[derive(Default)]
pub(crate) struct Openings {
    /// Users who are no operators.
    users: HashSet<(ServiceSid, String)>,
    campaigns: HashMap<(ServiceSid, CampaignSid), OperatorPoolSid>,
    pools: HashSet<(ServiceSid, OperatorPoolSid)>,
}

impl Openings {
    /// Asks what there is to know of these messages.
    ///
    /// # Errors
    /// Whatever the database refuses.
    pub(crate) async fn load<'a>(
        tx: &DatabaseTransaction,
        candidates: impl Iterator<Item = Candidate<'a>>,
    ) -> Result<Self> {
        let candidates: Vec<Candidate<'_>> = candidates.filter(Candidate::may_open).collect();
        if candidates.is_empty() {
            return Ok(Self::default());
        }
        let users = users(tx, &candidates).await?;
        let campaigns = campaigns(tx, &candidates).await?;
        let ruled = candidates.iter().filter_map(|candidate| {
            let rules = CaseRules::of(candidate.service)?;
            Some((candidate.service.id, rules.pool_sid))
        });
        let named = campaigns.iter().map(|((service, _), pool)| (*service, *pool));
        let wanted: BTreeSet<(ServiceSid, OperatorPoolSid)> = ruled.chain(named).collect();
        let pools = operator_pools::attachable(tx, &wanted).await?;
        Ok(Self {
            users,
            campaigns,
            pools,
        })
    }

    /// Opens the case of a locked channel for this message, if it is to be; answers the event that tells of it. The
    /// channel as it is then has to be stored.
    pub(crate) fn open(
        &self,
        account: AccountSid,
        service: &service::Model,
        channel: &mut channel::Model,
        author: &str,
    ) -> Option<Event> {
        let candidate = Candidate {
            service,
            channel,
            author,
        };
        if !candidate.may_open() || !self.users.contains(&(service.id, author.to_owned())) {
            return None;
        }
        let pool = channel.pool_id.or_else(|| self.pool(service, channel));
        let state = channel.case_state.as_deref();
        match state {
            None | Some(CLOSED | OPEN) if pool.is_none() => return None,
            _ => {}
        }
        let before = channel.clone();
        channel.case_state = Some(OPEN.to_owned());
        channel.snoozed_until = None;
        if channel.pool_id != pool {
            channel.pool_id = pool;
            channel.assignee = None;
            // What was said while nobody attended to it is not what the case is about.
            let newest = channel.next_index - 1;
            channel.pool_read_index = Some(channel.pool_read_index.map_or(newest, |index| index.max(newest)));
        }
        let now = Timestamp::now();
        channel.date_updated = now;
        advance(channel, now);
        Some(Event {
            id: EventSid::generate(),
            kind: EventKind::ChannelUpdated,
            account,
            service: channel.service_id,
            channel: Some(channel.id),
            seq: Some(channel.last_seq),
            identity: author.to_owned(),
            at: channel.last_event_at,
            pool: channel.pool_id,
            turn: CaseTurn::between(&before, channel),
            resource: Resource::Channel(Box::new(channel.clone())),
            connection: None,
        })
    }

    /// The pool that comes: the campaign's, or that of the rules.
    fn pool(&self, service: &service::Model, channel: &channel::Model) -> Option<OperatorPoolSid> {
        let exists = |pool: &OperatorPoolSid| self.pools.contains(&(service.id, *pool));
        channel
            .campaign_id
            .and_then(|campaign| self.campaigns.get(&(service.id, campaign)).copied())
            .filter(exists)
            .or_else(|| CaseRules::of(service).map(|rules| rules.pool_sid).filter(exists))
    }
}

/// Those of the authors who are users and no operators of any pool.
async fn users(
    tx: &DatabaseTransaction,
    candidates: &[Candidate<'_>],
) -> Result<HashSet<(ServiceSid, String)>> {
    let authors: BTreeSet<(ServiceSid, &str)> = candidates
        .iter()
        .map(|candidate| (candidate.service.id, candidate.author))
        .collect();
    let mut sql = Sql::new(
        "SELECT u.service_id, u.identity FROM users u WHERE NOT EXISTS (SELECT 1 FROM operators o \
         WHERE o.service_id = u.service_id AND o.identity = u.identity) AND (u.service_id, u.identity) IN ",
    );
    sql.values(
        authors
            .into_iter()
            .map(|(service, author)| [service.into(), author.into()]),
    );
    sql.all(tx)
        .await?
        .iter()
        .map(|row| Ok((row.try_get("", "service_id")?, row.try_get("", "identity")?)))
        .collect()
}

/// The pools that the channels' campaigns attach.
async fn campaigns(
    tx: &DatabaseTransaction,
    candidates: &[Candidate<'_>],
) -> Result<HashMap<(ServiceSid, CampaignSid), OperatorPoolSid>> {
    let wanted: BTreeSet<(ServiceSid, CampaignSid)> = candidates
        .iter()
        .filter(|candidate| candidate.channel.pool_id.is_none())
        .filter_map(|candidate| Some((candidate.service.id, candidate.channel.campaign_id?)))
        .collect();
    if wanted.is_empty() {
        return Ok(HashMap::new());
    }
    let mut sql = Sql::new(
        "SELECT service_id, id, attach_pool FROM campaigns WHERE attach_pool IS NOT NULL AND (service_id, id) IN ",
    );
    sql.values(
        wanted
            .into_iter()
            .map(|(service, campaign)| [service.into(), campaign.into()]),
    );
    sql.all(tx)
        .await?
        .iter()
        .map(|row| {
            Ok((
                (row.try_get("", "service_id")?, row.try_get("", "id")?),
                row.try_get("", "attach_pool")?,
            ))
        })
        .collect()
}

/// Writes the cases of locked channels back.
///
/// # Errors
/// Whatever the database refuses.
pub(crate) async fn store_opened<'c>(
    tx: &DatabaseTransaction,
    channels: impl IntoIterator<Item = &'c channel::Model>,
) -> Result<()> {
    let mut sql = Sql::new(
        "WITH opened (service_id, id, case_state, assignee, pool_id, pool_read_index, date_updated) AS (VALUES ",
    );
    sql.rows(channels.into_iter().map(|channel| {
        [
            channel.service_id.into(),
            channel.id.into(),
            channel.case_state.clone().into(),
            channel.assignee.clone().into(),
            channel.pool_id.into(),
            channel.pool_read_index.into(),
            channel.date_updated.into(),
        ]
    }));
    sql.push(
        ") UPDATE channels SET case_state = opened.case_state, assignee = opened.assignee, pool_id = opened.pool_id, \
         pool_read_index = opened.pool_read_index, date_updated = opened.date_updated, snoozed_until = NULL \
         FROM opened WHERE channels.service_id = opened.service_id AND channels.id = opened.id",
    );
    sql.execute(tx).await?;
    Ok(())
}
