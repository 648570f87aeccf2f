//! A worker's rounds over the indexes that are being built or taken down.

use std::collections::{HashMap, hash_map::Entry};

use sea_orm::{ConnectionTrait, FromQueryResult};

use super::{BUILDING, Covered, border::Border, build, sweep};
use crate::{
    db::Db,
    entities::attribute_index,
    error::{Error, ErrorCode, Result},
    sid::AttributeIndexSid,
    sql::Sql,
};

/// How many indexes one round works on: each gets a portion, so that a large one does not keep small ones waiting.
const AT_ONCE: i64 = 64;
/// After so many failures in a row an index is given up.
const ATTEMPTS: u32 = 5;

/// When the next round is worth its while.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Next {
    /// When something new may have come up.
    Later,
    /// In a moment: writers are waited for.
    Soon,
    /// Now.
    Now,
}

/// What a worker keeps in mind between its rounds. All that must survive it is in the database.
#[derive(Debug, Default)]
pub struct Rounds {
    /// One for each status: an index that is taken down half built has other writers to wait for.
    borders: HashMap<(AttributeIndexSid, String), Border>,
    failures: HashMap<AttributeIndexSid, u32>,
}

impl Rounds {
    /// Works on everything that is unfinished, one portion each. Several workers may do so at a time.
    ///
    /// # Errors
    /// When the database is away.
    pub async fn go(&mut self, db: &Db) -> Result<Next> {
        let unfinished = unfinished(db.reader()).await?;
        let known = |id: &AttributeIndexSid| unfinished.iter().any(|index| index.id == *id);
        self.borders.retain(|(id, _), _| known(id));
        self.failures.retain(|id, _| known(id));
        let mut next = Next::Later;
        for index in &unfinished {
            match self.advance(db, index).await {
                Ok(after) => {
                    self.failures.remove(&index.id);
                    next = next.max(after);
                }
                Err(error) if error.code() == ErrorCode::Unavailable => return Err(error),
                Err(error) => self.failed(db, index, &error).await?,
            }
        }
        if sweep::leftovers(db).await? {
            next = Next::Now;
        }
        Ok(next)
    }

    async fn advance(&mut self, db: &Db, index: &attribute_index::Model) -> Result<Next> {
        // A place that is noted was reached by somebody who had waited.
        if index.built_to.is_none() && !self.is_passed(db, index).await? {
            return Ok(Next::Soon);
        }
        let advanced = if index.status == BUILDING {
            build::portion(db, index).await?
        } else {
            sweep::portion(db, index).await?
        };
        Ok(if advanced { Next::Now } else { Next::Later })
    }

    async fn is_passed(&mut self, db: &Db, index: &attribute_index::Model) -> Result<bool> {
        let Some(resource) = Covered::parse(&index.resource) else {
            return Ok(true);
        };
        match self.borders.entry((index.id, index.status.clone())) {
            Entry::Occupied(mut border) => border.get_mut().is_passed(db.reader()).await,
            Entry::Vacant(place) => {
                let border = Border::draw(db.reader(), resource).await?;
                place.insert(border).is_passed(db.reader()).await
            }
        }
    }

    async fn failed(&mut self, db: &Db, index: &attribute_index::Model, error: &Error) -> Result<()> {
        let failures = self.failures.entry(index.id).or_insert(0);
        *failures += 1;
        tracing::warn!(
            ?error,
            index = %index.id,
            failures = *failures,
            "the index {} that is {} could not be worked on",
            index.id,
            index.status
        );
        if *failures >= ATTEMPTS && index.status == BUILDING {
            let why = format!("given up after {ATTEMPTS} attempts: {error}");
            build::fail(db, index, &why).await?;
        }
        Ok(())
    }
}

async fn unfinished(db: &impl ConnectionTrait) -> Result<Vec<attribute_index::Model>> {
    let mut sql = Sql::new(
        "SELECT * FROM attribute_indexes WHERE status IN ('building', 'deleting') ORDER BY date_created LIMIT ",
    );
    sql.bind(AT_ONCE);
    let rows = sql.all(db).await?;
    Ok(rows
        .iter()
        .map(|row| attribute_index::Model::from_query_result(row, ""))
        .collect::<Result<_, _>>()?)
}
