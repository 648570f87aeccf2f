//! Presence: a user is online while any of its sockets is open at any gateway.
//!
//! Each gateway has a lease, and says which users have sockets at it. A user's row says whether it is online; whoever
//! turns that over, in one transaction with its reason, tells it. So a coming or going is told once, whoever finds it:
//! the gateway itself, or whoever sweeps up behind one whose lease ran out. Nothing here waits for a user's row: one
//! that is busy comes later.

mod audience;
mod lease;
mod news;
mod places;
mod sweep;

use std::{collections::HashSet, time::Duration};

use sea_orm::ConnectionTrait;
use uuid::Uuid;

pub(crate) use audience::shared_channels;
pub use lease::{Tenure, expires, resign, succeed};
pub use sweep::sweep;

use crate::{ctx::Core, db::Db, error::Result, sid::ServiceSid, sql::Sql};
use places::Turn;

/// A user: its service and its identity.
pub type Who = (ServiceSid, String);

/// How long a gateway's lease holds without being renewed.
pub const LEASE: Duration = Duration::from_secs(6);
/// How often it is renewed.
pub const RENEWAL: Duration = Duration::from_secs(2);
/// How long a user may be without a socket before it is said to have gone.
pub const GRACE: Duration = Duration::from_secs(3);
/// The most users that one transaction notes.
pub const AT_ONCE: usize = 500;

/// A user with a first socket at a gateway.
#[derive(Debug, Clone)]
pub struct Arrival {
    /// Who.
    pub who: Who,
    /// The socket, which knows that its user is online.
    pub connection: Option<Uuid>,
}

/// What became of what a gateway said.
#[derive(Debug)]
pub struct Noted {
    /// Its lease had run out: what it said before may not hold any more and is to be said again.
    pub lapsed: bool,
    /// Users whose rows were busy: to be said again.
    pub busy: HashSet<Who>,
}

/// Renews the gateway's lease, and notes which users have sockets at it now and which have none any more: at most
/// [`AT_ONCE`] of both. Tells who came and who went.
///
/// # Errors
/// Whatever the database refuses; nothing was noted then.
pub async fn note(core: &Core, tenure: &mut Tenure, here: &[Arrival], gone: &[Who]) -> Result<Noted> {
    let tx = core.db.begin().await?;
    let lapsed = tenure.renew(&tx, core.node).await?;
    let users = here.iter().map(|arrival| &arrival.who).chain(gone).collect();
    let mut turn = Turn::of(&tx, users).await?;
    let mut turned = turn.come(core.node, here).await?;
    turned.extend(turn.go(core.node, gone).await?);
    let events = news::of(&tx, turned, core.settings.presence_channel_limit).await?;
    let busy = turn.busy;
    tx.commit().await?;
    tenure.renewed();
    core.publisher.volatile_all(events);
    Ok(Noted { lapsed, busy })
}

/// Forgets where a service's users have sockets, or where one of them has: they are deleted.
///
/// # Errors
/// Whatever the database refuses.
pub(crate) async fn forget(
    db: &impl ConnectionTrait,
    service: ServiceSid,
    identity: Option<&str>,
) -> Result<()> {
    let mut sql = Sql::new("DELETE FROM presence_places WHERE service_id = ");
    sql.bind(service);
    if let Some(identity) = identity {
        sql.push(" AND identity = ").bind(identity);
    }
    sql.execute(db).await?;
    Ok(())
}

/// Which of these services tell who is online.
///
/// # Errors
/// Whatever the database refuses.
pub async fn telling(db: &Db, services: &[ServiceSid]) -> Result<HashSet<ServiceSid>> {
    let mut telling = HashSet::new();
    for portion in services.chunks(AT_ONCE) {
        let mut sql = Sql::new("SELECT id FROM services WHERE reachability_enabled AND id IN (");
        sql.list(portion.iter().map(Into::into)).push(")");
        for row in sql.all(db.reader()).await? {
            telling.insert(row.try_get("", "id")?);
        }
    }
    Ok(telling)
}
