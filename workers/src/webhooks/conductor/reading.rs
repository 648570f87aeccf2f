//! Reading ahead: a little of each target's queue is in memory, of those first that have waited longest.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use hubbub_core::{
    Core, Result,
    entities::webhook_delivery::Model as Delivery,
    sid::{AccountSid, ChannelSid},
    webhooks::{
        ledger,
        queue::{self, Window},
    },
};
use uuid::Uuid;

use super::{Conductor, News};
use crate::webhooks::standing::{BELIEVED, Settings, Standing};

/// How many deliveries are in memory, beyond a handful for each target.
const HELD: usize = 4096;
/// The most that one reading brings.
const WINDOW: usize = 512;
/// The same when there is no room.
const NARROW: usize = 16;
/// How many channels one reading looks at.
const LANES: usize = 32;
/// The longest run of one channel.
const RUN: usize = 256;
/// The run while others wait in memory.
const GLANCE: usize = 4;
/// How many readings are under way.
const READINGS: usize = 8;
/// How soon a target is read again; each time that brings nothing, twice as late.
const SOON: Duration = Duration::from_millis(2);
/// The latest of these.
const LATE: Duration = Duration::from_millis(100);
/// How long a target that may not be called is left alone; each further time twice as long, up to eight times.
const LEFT_ALONE: Duration = Duration::from_secs(1);
/// How many further attempts one reading brings.
const AGAIN: usize = 64;

/// What a reading brought.
pub(in crate::webhooks) struct Reading {
    standing: Option<Standing>,
    account: Option<AccountSid>,
    again: Vec<Delivery>,
    fresh: Vec<Delivery>,
    window: Window,
    /// Whether it began at the first channel.
    from_start: bool,
}

impl Conductor {
    pub(super) fn read_ahead(&mut self) {
        if self.stopping || self.readings >= READINGS {
            return;
        }
        let now = Instant::now();
        let mut wanting: Vec<(Instant, Uuid)> = self
            .targets
            .iter()
            .filter(|(_, target)| target.wants_reading(now))
            .map(|(id, target)| (target.read_at, *id))
            .collect();
        // Who has waited longest.
        wanting.sort_unstable();
        for (_, id) in wanting.into_iter().take(READINGS - self.readings) {
            self.read(id, now);
        }
    }

    fn read(&mut self, id: Uuid, now: Instant) {
        let room = self.held < HELD;
        let Some(target) = self.targets.get_mut(&id) else {
            return;
        };
        target.reading = true;
        target.nudged = false;
        target.unseen = false;
        self.readings += 1;
        let (core, news) = (Arc::clone(&self.core), self.news.clone());
        let known = target
            .settings
            .clone()
            .filter(|settings| now.saturating_duration_since(settings.read_at) < BELIEVED);
        let cursor = target.cursor;
        let most = if room { WINDOW } else { NARROW };
        let run = if target.has_waiting() && cursor.is_none() {
            // It is other channels that are looked for.
            GLANCE
        } else {
            (most / target.lanes_seen.clamp(1, LANES)).clamp(1, RUN)
        };
        let lanes = (most / run).clamp(1, LANES);
        self.tasks.spawn(async move {
            let reading = read(&core, id, known, cursor, lanes, run).await;
            let _ = news.send(News::Read { target: id, reading });
        });
    }

    pub(super) fn has_read(&mut self, id: Uuid, reading: Result<Reading>, now: Instant) {
        self.readings -= 1;
        let Some(target) = self.targets.get_mut(&id) else {
            return;
        };
        let reading = match reading {
            Ok(reading) => reading,
            Err(error) => {
                tracing::warn!(?error, target = %id, "the queue of target {id} could not be read; trying again");
                target.has_read();
                target.nudged = true;
                target.read_at = now + LATE * 5;
                return;
            }
        };
        let mut rows = reading.again;
        let again = rows.len();
        rows.extend(reading.fresh);
        target.account = reading.account.or(target.account);
        let mut ordered = target.settings.as_ref().is_some_and(|settings| settings.ordered);
        match reading.standing {
            None => {}
            Some(Standing::Called(settings)) => {
                // What was read by other rules is read again.
                if settings.ordered && !ordered {
                    target.nudged |= !rows.is_empty();
                    rows.clear();
                    target.put_back();
                }
                ordered = settings.ordered;
                target.record.found_waiting = 0;
                target.settings = Some(Arc::from(settings));
            }
            Some(Standing::Waits) => {
                target.settings = None;
                target.put_back();
                let pause = LEFT_ALONE * (1 << target.record.found_waiting.min(3));
                target.record.found_waiting += 1;
                target.record.rests_until = Some(now + pause);
                target.has_read();
                self.count_held();
                return;
            }
            Some(Standing::Disabled(why)) => {
                target.put_back();
                self.count_held();
                return self.end(id, ledger::DEAD, why);
            }
            Some(Standing::Gone) => {
                target.put_back();
                self.count_held();
                return self.end(id, ledger::CANCELLED, "the webhook was deleted".to_owned());
            }
        }
        let fresh = rows.len() - again.min(rows.len());
        let mut channels: Vec<_> = rows
            .iter()
            .filter(|row| row.attempts == 0)
            .filter_map(|row| row.channel_id)
            .collect();
        channels.dedup();
        let window = reading.window;
        let all = usize::try_from(window.lanes).is_ok_and(|lanes| channels.len() < lanes);
        let cut = usize::try_from(window.run).is_ok_and(|run| fresh >= run);
        target.lanes_seen = channels.len().max(1);
        target.cursor = if all { None } else { channels.last().copied() };
        let new = target.take_in(rows, ordered);
        target.has_read();
        // At the last channel it begins anew at the first: what lies before the beginning has not been seen.
        target.unseen = !all || cut || !reading.from_start || again >= AGAIN;
        target.in_vain = if new > 0 {
            0
        } else {
            target.in_vain.saturating_add(1)
        };
        target.read_at = now + (SOON * (1 << target.in_vain.min(8))).min(LATE);
        if new > 0 {
            target.idle_since = now;
        }
        if self.stopping {
            target.put_back();
            self.release(&[id]);
        }
        self.count_held();
        self.weigh(id, now);
        self.stand_in_line(id, now);
    }

    /// Ends whatever waits for a target, a portion after the other.
    fn end(&mut self, id: Uuid, status: &'static str, why: String) {
        if let Some(target) = self.targets.get_mut(&id) {
            target.settings = None;
            // Until then it counts as being read.
            self.readings += 1;
        }
        let (core, news) = (Arc::clone(&self.core), self.news.clone());
        self.tasks.spawn(async move {
            let reading = loop {
                match ledger::end_some(core.db.writer(), id, status, &why).await {
                    Ok(0) => break Ok(Reading::nothing()),
                    Ok(_) => {}
                    Err(error) => break Err(error),
                }
            };
            let _ = news.send(News::Read { target: id, reading });
        });
    }
}

impl Reading {
    fn nothing() -> Self {
        Self {
            standing: None,
            account: None,
            again: Vec::new(),
            fresh: Vec::new(),
            window: Window {
                lanes: 1,
                run: 1,
                ordered: false,
            },
            from_start: true,
        }
    }
}

async fn read(
    core: &Core,
    target: Uuid,
    known: Option<Arc<Settings>>,
    cursor: Option<ChannelSid>,
    lanes: usize,
    run: usize,
) -> Result<Reading> {
    let db = core.db.reader();
    let ordered = known.as_ref().is_some_and(|settings| settings.ordered);
    let window = Window {
        lanes: i32::try_from(lanes).unwrap_or(1),
        run: i64::try_from(run).unwrap_or(1),
        ordered,
    };
    let again = queue::again(db, target, AGAIN as i64, ordered).await?;
    let fresh = queue::fresh(db, target, cursor, window).await?;
    let first = again.first().or(fresh.first());
    let standing = match (first, known) {
        (None, _) => None,
        (Some(first), Some(settings)) if settings.are_current(core, first).await? => None,
        (Some(first), _) => Some(Standing::of(core, first).await?),
    };
    Ok(Reading {
        account: first.map(|row| row.account_id),
        standing,
        again,
        fresh,
        window,
        from_start: cursor.is_none(),
    })
}
