//! Who has sockets where, and what that turns over in users' rows.

use std::collections::{HashMap, HashSet};

use sea_orm::{ConnectionTrait, DatabaseTransaction, FromQueryResult, Value};
use uuid::Uuid;

use super::{Arrival, Who};
use crate::{entities::user, error::Result, sql::Sql};

/// A user who came or went by this transaction.
pub(super) struct Turned {
    /// As it is now.
    pub(super) user: user::Model,
    /// The socket that brought it.
    pub(super) connection: Option<Uuid>,
}

/// A transaction that holds the rows of some users.
pub(super) struct Turn<'t> {
    tx: &'t DatabaseTransaction,
    held: HashSet<Who>,
    /// Users whose rows somebody else holds.
    pub(super) busy: HashSet<Who>,
}

fn keys<'w>(users: impl IntoIterator<Item = &'w Who>) -> impl Iterator<Item = [Value; 2]> {
    users
        .into_iter()
        .map(|(service, identity)| [service.into(), identity.as_str().into()])
}

/// Those users who exist.
fn those<'w>(users: impl IntoIterator<Item = &'w Who>) -> Sql {
    let mut sql = Sql::new("SELECT service_id, identity FROM users WHERE (service_id, identity) IN ");
    sql.values(keys(users));
    sql
}

async fn select(sql: Sql, db: &impl ConnectionTrait) -> Result<HashSet<Who>> {
    sql.all(db)
        .await?
        .iter()
        .map(|row| Ok((row.try_get("", "service_id")?, row.try_get("", "identity")?)))
        .collect()
}

impl<'t> Turn<'t> {
    /// Takes hold of those users' rows that nobody else holds.
    pub(super) async fn of(tx: &'t DatabaseTransaction, wanted: HashSet<&Who>) -> Result<Self> {
        let mut turn = Self {
            tx,
            held: HashSet::new(),
            busy: HashSet::new(),
        };
        if wanted.is_empty() {
            return Ok(turn);
        }
        let mut sql = those(wanted.iter().copied());
        sql.for_update_skipping_locked(tx.get_database_backend());
        turn.held = select(sql, tx).await?;
        if turn.held.len() < wanted.len() {
            // Deleted, or held by somebody else.
            let sql = those(wanted.into_iter().filter(|who| !turn.held.contains(*who)));
            turn.busy = select(sql, tx).await?;
        }
        Ok(turn)
    }

    /// These have sockets at the gateway. Answers who was offline until now.
    pub(super) async fn come(&mut self, node: Uuid, here: &[Arrival]) -> Result<Vec<Turned>> {
        let here: Vec<&Arrival> = here
            .iter()
            .filter(|arrival| self.held.contains(&arrival.who))
            .collect();
        if here.is_empty() {
            return Ok(Vec::new());
        }
        let mut sql = Sql::new("INSERT INTO presence_places (service_id, identity, node_id) VALUES ");
        sql.rows(
            keys(here.iter().map(|arrival| &arrival.who))
                .map(|[service, identity]| [service, identity, node.into()]),
        );
        sql.push(" ON CONFLICT DO NOTHING");
        sql.execute(self.tx).await?;
        let users: Vec<&Who> = here.iter().map(|arrival| &arrival.who).collect();
        let came = self.turn_over("TRUE", &users, " AND NOT online").await?;
        let brought: HashMap<&Who, Option<Uuid>> = here
            .iter()
            .map(|arrival| (&arrival.who, arrival.connection))
            .collect();
        let turned = |user: user::Model| {
            let who = (user.service_id, user.identity.clone());
            Turned {
                connection: brought.get(&who).copied().flatten(),
                user,
            }
        };
        Ok(came.into_iter().map(turned).collect())
    }

    /// These have no sockets at the gateway any more. Answers who has none at another one either.
    pub(super) async fn go(&mut self, node: Uuid, gone: &[Who]) -> Result<Vec<Turned>> {
        let gone: Vec<&Who> = gone.iter().filter(|who| !self.busy.contains(*who)).collect();
        if gone.is_empty() {
            return Ok(Vec::new());
        }
        let mut sql = Sql::new("DELETE FROM presence_places WHERE node_id = ");
        sql.bind(node).push(" AND (service_id, identity) IN ");
        sql.values(keys(gone.iter().copied()));
        sql.execute(self.tx).await?;
        let nowhere = " AND online AND NOT EXISTS (SELECT 1 FROM presence_places p \
                       WHERE p.service_id = users.service_id AND p.identity = users.identity)";
        let went = self.turn_over("FALSE", &gone, nowhere).await?;
        Ok(went
            .into_iter()
            .map(|user| Turned {
                user,
                connection: None,
            })
            .collect())
    }

    async fn turn_over(&self, online: &str, users: &[&Who], condition: &str) -> Result<Vec<user::Model>> {
        let mut sql = Sql::new("UPDATE users SET online = ");
        sql.push(online).push(", date_last_seen = ");
        // The rows are held by now, so a user's times are in the order in which it came and went.
        sql.clock(self.tx.get_database_backend());
        sql.push(" WHERE (service_id, identity) IN ");
        sql.values(keys(users.iter().copied()))
            .push(condition)
            .push(" RETURNING *");
        let rows = sql.all(self.tx).await?;
        rows.iter()
            .map(|row| Ok(user::Model::from_query_result(row, "")?))
            .collect()
    }
}
