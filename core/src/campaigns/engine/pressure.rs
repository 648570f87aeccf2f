//! Whether others have something to say. The engine gives way to them.
//!
//! Whoever locks channels to say something in them draws from a sequence, on whatever node; the engine does not. How
//! fast it moves tells how busy the others are, at the price of one small question now and then.

use std::time::{Duration, Instant};

use sea_orm::DbBackend;

use crate::{ctx::Core, error::Result, sql::Sql};

/// How often it is looked at.
const PACE: Duration = Duration::from_millis(100);
/// More changes a second than this are traffic.
const QUIET: f64 = 5.0;
/// How long after the last traffic the engine still gives way.
const LASTS: Duration = Duration::from_millis(500);

/// What is known of how busy others are.
#[derive(Debug, Default)]
pub struct Pressure {
    known: Option<(Instant, i64)>,
    busy_until: Option<Instant>,
}

impl Pressure {
    /// Whether others are busy.
    ///
    /// # Errors
    /// Whatever the database refuses.
    pub async fn is_on(&mut self, core: &Core) -> Result<bool> {
        let now = Instant::now();
        if self
            .known
            .is_none_or(|(at, _)| now.saturating_duration_since(at) >= PACE)
        {
            let count = changes(core).await?;
            self.note(now, count);
        }
        Ok(self.busy_until.is_some_and(|until| now < until))
    }

    #[expect(clippy::cast_precision_loss, reason = "a rate need not be exact")]
    fn note(&mut self, now: Instant, count: i64) {
        if let Some((at, before)) = self.known {
            let seconds = now.saturating_duration_since(at).as_secs_f64().max(0.001);
            if (count - before) as f64 / seconds > QUIET {
                self.busy_until = Some(now + LASTS);
            }
        }
        self.known = Some((now, count));
    }
}

/// How many changes others have made.
async fn changes(core: &Core) -> Result<i64> {
    if core.db.backend() != DbBackend::Postgres {
        // There is no other process.
        return Ok(i64::try_from(core.writer.commits()).unwrap_or(i64::MAX));
    }
    let rows = Sql::new("SELECT last_value AS place FROM live_changes")
        .all(core.db.reader())
        .await?;
    match rows.first() {
        Some(row) => Ok(row.try_get("", "place")?),
        None => Ok(0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn traffic_is_noticed_and_forgotten() {
        let mut pressure = Pressure::default();
        let begin = Instant::now();
        pressure.note(begin, 100);
        assert_eq!(pressure.busy_until, None);
        pressure.note(begin + Duration::from_secs(1), 103);
        assert_eq!(pressure.busy_until, None, "three a second are no traffic");
        let at = begin + Duration::from_millis(1100);
        pressure.note(at, 106);
        assert_eq!(pressure.busy_until, Some(at + LASTS));
    }
}
