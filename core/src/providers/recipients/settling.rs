//! What came of what was handed over, written down many at a time, with the counts of the portion.

use std::collections::HashMap;

use sea_orm::{ConnectionTrait, Value};

use super::{
    portion_of,
    standing::{Standing, UNKNOWN},
    within,
};
use crate::{
    ctx::Core,
    entities::campaign,
    error::Result,
    sid::{CampaignSid, ServiceSid},
    sql::Sql,
    timestamp::Timestamp,
};

/// What became of a recipient.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    /// Nothing yet: it is night where the user is.
    Asleep {
        /// Until when.
        until: Timestamp,
    },
    /// The provider has taken it.
    Taken {
        /// The provider's own identifier.
        sid: Option<String>,
    },
    /// It has not, or will not deliver it.
    Failed {
        /// The provider's own identifier, if there is one.
        sid: Option<String>,
        /// Why.
        error: String,
    },
    /// It has not, but may later.
    Again {
        /// When.
        at: Timestamp,
        /// Why not now.
        error: String,
    },
    /// It is not known. Whoever looks later finds out, or gives up.
    Open {
        /// Why.
        error: String,
    },
    /// It is not known, and nobody will find out.
    Lost {
        /// Why.
        error: String,
    },
}

/// What became of whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settlement {
    /// The recipient.
    pub place: i64,
    /// What became of it.
    pub fate: Fate,
}

/// A row as it is to be.
struct Row {
    place: i64,
    standing: Standing,
    error: Option<String>,
    sid: Option<String>,
    /// Not handed over any more, but due then.
    again: Option<Timestamp>,
}

/// Writes down what became of recipients of one portion.
///
/// # Errors
/// Whatever the database refuses; nothing is written then.
pub async fn settle(core: &Core, campaign: &campaign::Model, settlements: &[Settlement]) -> Result<()> {
    let Some(first) = settlements.first() else {
        return Ok(());
    };
    let tx = core.db.begin().await?;
    let known = lock(&tx, campaign, settlements).await?;
    let mut rows = Vec::with_capacity(settlements.len());
    let mut counts = Counts::default();
    for settlement in settlements {
        let Some(known) = known.get(&settlement.place) else {
            continue;
        };
        let row = known.settled(settlement);
        counts.moves(known.standing, row.standing);
        rows.push(row);
    }
    write(&tx, campaign, &rows).await?;
    counts
        .store(&tx, campaign.service_id, campaign.id, portion_of(first.place))
        .await?;
    tx.commit().await?;
    Ok(())
}

/// A row as it is.
pub(super) struct Known {
    pub(super) standing: Standing,
    pub(super) error: Option<String>,
    pub(super) sid: Option<String>,
}

impl Known {
    /// The row after this news. A report of the provider's may have come before the answer to the call: then only what is
    /// missing is added.
    fn settled(&self, settlement: &Settlement) -> Row {
        let (news, sid, error, again) = match &settlement.fate {
            Fate::Taken { sid } => (Standing::Sent, sid.clone(), None, None),
            Fate::Failed { sid, error } => (Standing::Failed, sid.clone(), Some(error.clone()), None),
            Fate::Lost { error } => (Standing::Failed, None, Some(format!("{UNKNOWN}: {error}")), None),
            Fate::Again { at, error } => (Standing::Pending, None, Some(error.clone()), Some(*at)),
            Fate::Asleep { until } => (Standing::Pending, None, None, Some(*until)),
            Fate::Open { error } => (Standing::Pending, None, Some(error.clone()), None),
        };
        let moves = self.standing.gives_way_to(news, self.error.as_deref());
        let waits = news == Standing::Pending && self.standing == Standing::Pending;
        Row {
            place: settlement.place,
            standing: if moves { news } else { self.standing },
            error: if moves || waits { error } else { self.error.clone() },
            sid: self.sid.clone().or(sid),
            again: again.filter(|_| waits),
        }
    }
}

async fn lock(
    tx: &impl ConnectionTrait,
    campaign: &campaign::Model,
    settlements: &[Settlement],
) -> Result<HashMap<i64, Known>> {
    let mut sql = Sql::new("SELECT place, status, error, provider_sid FROM campaign_recipients");
    within(&mut sql, campaign);
    sql.push(" AND place IN (");
    sql.list(settlements.iter().map(|settlement| Value::from(settlement.place)))
        .push(") ORDER BY place")
        .for_update(tx.get_database_backend());
    let mut known = HashMap::new();
    for row in sql.all(tx).await? {
        let status: String = row.try_get("", "status")?;
        known.insert(
            row.try_get("", "place")?,
            Known {
                standing: Standing::parse(&status).unwrap_or(Standing::Failed),
                error: row.try_get("", "error")?,
                sid: row.try_get("", "provider_sid")?,
            },
        );
    }
    Ok(known)
}

async fn write(tx: &impl ConnectionTrait, campaign: &campaign::Model, rows: &[Row]) -> Result<()> {
    if rows.is_empty() {
        return Ok(());
    }
    let mut sql = Sql::new("WITH made(place, status, error, provider_sid, again_at) AS (VALUES ");
    sql.rows(rows.iter().map(|row| {
        [
            row.place.into(),
            row.standing.name().into(),
            // Postgres keeps no NUL in a text.
            row.error
                .as_deref()
                .map(|text| text.replace('\0', "\u{fffd}"))
                .into(),
            row.sid
                .as_deref()
                .map(|text| text.replace('\0', "\u{fffd}"))
                .into(),
            row.again.into(),
        ]
    }));
    sql.push(
        ") UPDATE campaign_recipients SET status = made.status, error = made.error, \
         provider_sid = made.provider_sid, \
         handed_at = CASE WHEN made.again_at IS NULL THEN campaign_recipients.handed_at ELSE NULL END, \
         due_at = COALESCE(made.again_at, campaign_recipients.due_at), date_updated = ",
    )
    .bind(Timestamp::now());
    sql.push(" FROM made WHERE campaign_recipients.service_id = ")
        .bind(campaign.service_id)
        .push(" AND campaign_recipients.campaign_id = ")
        .bind(campaign.id)
        .push(" AND campaign_recipients.place = made.place");
    sql.execute(tx).await?;
    Ok(())
}

/// How the counts of a portion move.
#[derive(Default)]
pub(super) struct Counts(HashMap<&'static str, i32>);

impl Counts {
    /// One recipient moves.
    pub(super) fn moves(&mut self, from: Standing, to: Standing) {
        if from != to {
            *self.0.entry(from.column()).or_default() -= 1;
            *self.0.entry(to.column()).or_default() += 1;
        }
    }

    /// Writes them to the portion.
    pub(super) async fn store(
        self,
        tx: &impl ConnectionTrait,
        service: ServiceSid,
        campaign: CampaignSid,
        portion: i32,
    ) -> Result<()> {
        let moved: Vec<_> = Standing::ALL
            .into_iter()
            .filter_map(|standing| {
                let by = self.0.get(standing.column()).copied().filter(|by| *by != 0)?;
                Some((standing.column(), by))
            })
            .collect();
        if moved.is_empty() {
            return Ok(());
        }
        let mut sql = Sql::new("UPDATE campaign_portions SET date_updated = ");
        sql.bind(Timestamp::now());
        for (column, by) in moved {
            sql.push(&format!(", {column} = {column} + ")).bind(by);
        }
        sql.push(" WHERE service_id = ")
            .bind(service)
            .push(" AND campaign_id = ")
            .bind(campaign)
            .push(" AND number = ")
            .bind(portion);
        sql.execute(tx).await?;
        Ok(())
    }
}
