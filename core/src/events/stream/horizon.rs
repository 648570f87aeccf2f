//! How far the stream may be read: up to the last place before which nothing can appear any more.
//!
//! The database gives each event its place while the event's transaction is open, so places become visible in another
//! order than they were given in. On Postgres a transaction holds the lock `RowExclusiveLock` on the table that it
//! inserts into from before its first place is given until it has ended. So: ask which place was given last, then who
//! holds that lock. Whatever has a place up to that one was written by somebody who has ended, or by one of those. When
//! all of those have ended, everything up to the place is there for good: Postgres shows a transaction's writes before
//! it releases its locks. No clock has a say in this, and no transaction that writes something else is waited for.
//!
//! SQLite has one writer: what is visible is all there is.

use std::{
    collections::{HashSet, VecDeque},
    time::Duration,
};

use parking_lot::Mutex;
use sea_orm::{ConnectionTrait, DbBackend};

use crate::{coalesce::Coalesce, error::Result, sql::Sql};

/// So many questions may be open: while one writer takes its time, later ones are asked all the same.
const OPEN: usize = 64;
/// How often a reader looks again when writers are at work, and after which time.
const LOOKS: usize = 6;
const SOON: Duration = Duration::from_millis(5);

/// The places as they are at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Reach {
    /// Up to here nothing can appear any more.
    pub(super) safe: i64,
    /// The last place that was given; what has it may not be visible yet, or never.
    pub(super) given: i64,
}

/// The horizon of a process.
#[derive(Default)]
pub(super) struct Horizon {
    looks: Coalesce<(), Reach>,
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    safe: i64,
    /// Places that wait for writers, ascending.
    open: VecDeque<Open>,
}

struct Open {
    given: i64,
    writers: HashSet<String>,
}

impl Horizon {
    /// How far the stream reaches, looked up after this call; those who ask at the same time share the look.
    ///
    /// # Errors
    /// Whatever the database refuses.
    pub(super) async fn reach(&self, db: &impl ConnectionTrait) -> Result<Reach> {
        self.looks.ask((), || self.look(db)).await
    }

    /// As [`Self::reach`], but gives those who write at this moment a moment to end, so that a reader mostly gets what
    /// was committed before it asked.
    ///
    /// # Errors
    /// Whatever the database refuses.
    pub(super) async fn settled(&self, db: &impl ConnectionTrait) -> Result<Reach> {
        let mut reach = self.reach(db).await?;
        let given = reach.given;
        for _ in 0..LOOKS {
            if reach.safe >= given {
                break;
            }
            tokio::time::sleep(SOON).await;
            reach = self.reach(db).await?;
        }
        Ok(reach)
    }

    async fn look(&self, db: &impl ConnectionTrait) -> Result<Reach> {
        if db.get_database_backend() != DbBackend::Postgres {
            let given = last_given(db, "SELECT last AS place FROM event_positions").await?;
            return Ok(Reach { safe: given, given });
        }
        let given = last_given(
            db,
            "SELECT CASE WHEN is_called THEN last_value ELSE last_value - 1 END AS place FROM event_positions",
        )
        .await?;
        let safe = self.known.lock().safe;
        if safe == given {
            return Ok(Reach { safe, given });
        }
        let writers = writers(db).await?;
        let safe = self.known.lock().pass(given, writers);
        Ok(Reach { safe, given })
    }
}

impl Known {
    /// Takes in who writes at a moment when `given` had been given before; answers how far the stream reaches.
    fn pass(&mut self, given: i64, writers: HashSet<String>) -> i64 {
        for open in &mut self.open {
            open.writers.retain(|writer| writers.contains(writer));
        }
        let last = self.open.back().map_or(self.safe, |open| open.given);
        if given > last && (writers.is_empty() || self.open.len() < OPEN) {
            self.open.push_back(Open { given, writers });
        }
        // A later question may be answered before an earlier one is noticed to be, never the other way round.
        while let Some(done) = self.open.iter().position(|open| open.writers.is_empty()) {
            for open in self.open.drain(..=done) {
                self.safe = self.safe.max(open.given);
            }
        }
        self.safe
    }
}

async fn last_given(db: &impl ConnectionTrait, question: &str) -> Result<i64> {
    match Sql::new(question).all(db).await?.first() {
        Some(row) => Ok(row.try_get("", "place")?),
        None => Ok(0),
    }
}

/// The transactions that write events.
async fn writers(db: &impl ConnectionTrait) -> Result<HashSet<String>> {
    let sql = Sql::new(
        "SELECT DISTINCT virtualtransaction FROM pg_locks WHERE locktype = 'relation' AND granted \
         AND mode = 'RowExclusiveLock' \
         AND database = (SELECT oid FROM pg_database WHERE datname = current_database()) \
         AND relation IN ('messages'::regclass, 'channel_events'::regclass)",
    );
    let rows = sql.all(db).await?;
    Ok(rows
        .iter()
        .map(|row| row.try_get("", "virtualtransaction"))
        .collect::<Result<_, _>>()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn who(names: &[&str]) -> HashSet<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn a_place_is_safe_when_all_who_wrote_at_its_time_have_ended() {
        let mut known = Known::default();
        assert_eq!(known.pass(10, who(&["a", "b"])), 0);
        assert_eq!(
            known.pass(20, who(&["b", "c"])),
            0,
            "b may still show something before 10"
        );
        assert_eq!(
            known.pass(30, who(&["c", "d"])),
            10,
            "what c writes lies behind 10"
        );
        assert_eq!(known.pass(30, who(&["d"])), 20);
        assert_eq!(known.pass(30, who(&["e"])), 30);
        assert_eq!(known.pass(40, who(&[])), 40);
        assert!(known.open.is_empty());
    }

    #[test]
    fn a_writer_that_takes_its_time_holds_back_what_it_may_precede_and_no_memory() {
        let mut known = Known::default();
        assert_eq!(known.pass(5, who(&[])), 5);
        for given in 6..1000 {
            assert_eq!(known.pass(given, who(&["slow"])), 5);
        }
        assert!(known.open.len() <= OPEN);
        assert_eq!(known.pass(1000, who(&[])), 1000);
    }
}
