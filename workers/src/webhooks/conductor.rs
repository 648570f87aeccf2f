//! Who is called next. One task knows all targets that this process has in hand; it reads a little of their queues
//! ahead, and gives the calls out: accounts in turn, of an account its targets in turn, of a target its channels in
//! turn. Reading, calling and writing down are tasks of their own, which tell it what came of them.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    sync::Arc,
    time::{Duration, Instant},
};

use hubbub_core::{
    Core, Result,
    entities::webhook_delivery::Model as Delivery,
    sid::{AccountSid, ChannelSid, DeliverySid},
    webhooks::{
        ledger,
        outcomes::{Outcome, Verdict},
        queue::{self, Window},
    },
};
use tokio::sync::mpsc;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use uuid::Uuid;

use super::{
    Nudges, attempt, endpoints,
    lessee::Wish,
    recorder::Entry,
    standing::{BELIEVED, Settings, Standing},
    target::{Lane, Record, Target},
    verdict::{Judged, Sign},
};
use crate::outbound::Client;

/// The most calls under way at targets that are known to be quick.
const QUICK_CALLS: usize = 256;
/// The most at those that are not. What hangs can take no more than this from the others.
const SLOW_CALLS: usize = 256;
/// The most in all, also when many quick targets begin to hang at once.
const CALLS: usize = 1024;
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
/// How long a target is kept in hand when there is nothing to do.
const KEPT: Duration = Duration::from_millis(100);
/// How often it looks at the clock.
const TICK: Duration = Duration::from_millis(50);
/// How long what is known of a target outlives its work.
const REMEMBERED: Duration = Duration::from_secs(600);

/// What the conductor is told.
pub(super) enum News {
    /// These targets are in hand from now on.
    Leased { targets: Vec<Uuid>, until: Instant },
    /// The leases of these targets hold until then; others are lost.
    Renewed { targets: HashSet<Uuid>, until: Instant },
    /// A reading has ended.
    Read { target: Uuid, reading: Result<Reading> },
    /// A call has ended.
    Called {
        target: Uuid,
        lane: Lane,
        row: Box<Delivery>,
        judged: Box<Judged>,
    },
    /// What came of calls is written down.
    Written(Vec<(Uuid, DeliverySid)>),
    /// What an endpoint's failures led to.
    Endpoint { target: Uuid, disabled: bool },
}

/// What a reading brought.
pub(super) struct Reading {
    standing: Option<Standing>,
    account: Option<AccountSid>,
    again: Vec<Delivery>,
    fresh: Vec<Delivery>,
    window: Window,
    /// Whether it began at the first channel.
    from_start: bool,
}

pub(super) struct Conductor {
    pub(super) core: Arc<Core>,
    pub(super) client: Client,
    pub(super) nudges: Arc<Nudges>,
    pub(super) news: mpsc::UnboundedSender<News>,
    pub(super) wishes: mpsc::UnboundedSender<Wish>,
    pub(super) entries: mpsc::UnboundedSender<Entry>,
    pub(super) tasks: TaskTracker,
    pub(super) targets: HashMap<Uuid, Target>,
    /// Of targets that are not in hand, and since when.
    pub(super) records: HashMap<Uuid, (Record, Instant)>,
    /// Accounts whose turn it will be, and their targets.
    pub(super) turns: VecDeque<AccountSid>,
    pub(super) lines: HashMap<AccountSid, VecDeque<Uuid>>,
    pub(super) quick: usize,
    pub(super) slow: usize,
    pub(super) held: usize,
    pub(super) readings: usize,
    pub(super) stopping: bool,
}

impl Conductor {
    /// Gives out calls until it is told to stop and what is under way has ended.
    pub(super) async fn run(mut self, mut heard: mpsc::UnboundedReceiver<News>, stop: CancellationToken) {
        let mut ticks = tokio::time::interval(TICK);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut batch = Vec::new();
        loop {
            tokio::select! {
                () = stop.cancelled(), if !self.stopping => self.stop(),
                () = self.nudges.woken() => self.want(),
                _ = heard.recv_many(&mut batch, 1024) => {
                    for news in batch.drain(..) {
                        self.hear(news);
                    }
                }
                _ = ticks.tick() => self.look_at_the_clock(),
            }
            if self.stopping && self.targets.is_empty() {
                return;
            }
            self.read_ahead();
            self.give_out();
        }
    }

    fn stop(&mut self) {
        self.stopping = true;
        let ids: Vec<Uuid> = self.targets.keys().copied().collect();
        for target in self.targets.values_mut() {
            target.put_back();
        }
        self.count_held();
        self.release(&ids);
    }

    /// Targets that may have something due.
    fn want(&mut self) {
        let now = Instant::now();
        let mut wanted = Vec::new();
        for id in self.nudges.take() {
            if let Some(target) = self.targets.get_mut(&id) {
                target.nudged = true;
            } else if !self.stopping
                && self
                    .records
                    .get(&id)
                    .is_none_or(|(record, _)| rests_until(record, now).is_none())
            {
                wanted.push(id);
            }
        }
        if !wanted.is_empty() {
            let _ = self.wishes.send(Wish::Take(wanted));
        }
    }

    fn hear(&mut self, news: News) {
        let now = Instant::now();
        match news {
            News::Leased { targets, until } => {
                for id in targets {
                    let record = self.records.remove(&id).map(|(record, _)| record);
                    let target = self
                        .targets
                        .entry(id)
                        .or_insert_with(|| Target::new(record.unwrap_or_default(), now, until));
                    target.leased_until = target.leased_until.max(until);
                    target.nudged = true;
                }
                if self.stopping {
                    self.stop();
                }
            }
            News::Renewed { targets, until } => {
                for (id, target) in &mut self.targets {
                    if targets.contains(id) {
                        target.leased_until = target.leased_until.max(until);
                    }
                }
            }
            News::Read { target, reading } => self.has_read(target, reading, now),
            News::Called {
                target,
                lane,
                row,
                judged,
            } => self.called(target, lane, &row, *judged, now),
            News::Written(written) => {
                for (id, delivery) in written {
                    if let Some(target) = self.targets.get_mut(&id) {
                        target.written(delivery);
                        target.in_vain = 0;
                        target.read_at = now;
                        if target.held() == 0 {
                            target.idle_since = now;
                        }
                    }
                }
                self.count_held();
                if self.stopping {
                    let ids: Vec<Uuid> = self.targets.keys().copied().collect();
                    self.release(&ids);
                }
            }
            News::Endpoint { target, disabled } => {
                if let Some(target) = self.targets.get_mut(&target) {
                    // Read anew how it stands.
                    target.settings = None;
                    target.nudged = true;
                    if disabled {
                        target.put_back();
                    }
                }
            }
        }
    }

    // --- reading ahead

    fn read_ahead(&mut self) {
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

    fn has_read(&mut self, id: Uuid, reading: Result<Reading>, now: Instant) {
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

    // --- calling

    /// A target that may be called stands in line behind the others of its account.
    fn stand_in_line(&mut self, id: Uuid, now: Instant) {
        let Some(target) = self.targets.get_mut(&id) else {
            return;
        };
        let Some(account) = target.account else { return };
        if target.queued || !target.may_call(now) || target.settings.is_none() {
            return;
        }
        target.queued = true;
        let line = self.lines.entry(account).or_default();
        if line.is_empty() {
            self.turns.push_back(account);
        }
        line.push_back(id);
    }

    fn give_out(&mut self) {
        if self.stopping {
            return;
        }
        let now = Instant::now();
        let mut turned_away = Vec::new();
        while self.quick + self.slow < CALLS
            && let Some(account) = self.turns.pop_front()
        {
            let Some(line) = self.lines.get_mut(&account) else {
                continue;
            };
            let Some(id) = line.pop_front() else {
                self.lines.remove(&account);
                continue;
            };
            if line.is_empty() {
                self.lines.remove(&account);
            } else {
                self.turns.push_back(account);
            }
            let Some(target) = self.targets.get_mut(&id) else {
                continue;
            };
            target.queued = false;
            let has_room = if target.slow {
                self.slow < SLOW_CALLS
            } else {
                self.quick < QUICK_CALLS
            };
            if has_room {
                self.call(id, now);
                self.stand_in_line(id, now);
            } else {
                turned_away.push(id);
            }
        }
        for id in turned_away {
            self.stand_in_line(id, now);
        }
    }

    fn call(&mut self, id: Uuid, now: Instant) {
        let Some(target) = self.targets.get_mut(&id) else {
            return;
        };
        if !target.may_call(now) {
            return;
        }
        let Some(settings) = target.settings.clone() else {
            return;
        };
        let Some((lane, row)) = target.next(now) else {
            return;
        };
        if target.slow {
            self.slow += 1;
        } else {
            self.quick += 1;
        }
        let (core, client, news) = (Arc::clone(&self.core), self.client.clone(), self.news.clone());
        self.tasks.spawn(async move {
            let ladder = &core.settings.webhooks.retry_ladder;
            let judged = attempt::run(&client, &settings.signer, &row, ladder).await;
            let _ = news.send(News::Called {
                target: id,
                lane,
                row: Box::new(row),
                judged: Box::new(judged),
            });
        });
    }

    fn called(&mut self, id: Uuid, lane: Lane, row: &Delivery, judged: Judged, now: Instant) {
        let Some(target) = self.targets.get_mut(&id) else {
            return;
        };
        if target.slow {
            self.slow = self.slow.saturating_sub(1);
        } else {
            self.quick = self.quick.saturating_sub(1);
        }
        let ordered = target.settings.as_ref().is_some_and(|settings| settings.ordered);
        let retried = matches!(judged.attempt.verdict, Verdict::RetryAt(_));
        target.called(lane, row.id, ordered && retried);
        target
            .record
            .pace
            .answered(judged.attempt.took, judged.overloaded);
        target.record.breaker.called(judged.sign == Sign::Failing, now);
        if target.record.breaker.rests(now).is_some() {
            // What waits is in the ledger, not in memory.
            target.put_back();
        }
        if self.stopping {
            target.put_back();
        }
        if let Some(settings) = target.settings.clone() {
            self.tell_endpoint(id, &settings, &judged);
        }
        let outcome = Outcome::of(row, judged.attempt);
        let _ = self.entries.send(Entry { target: id, outcome });
        self.weigh(id, now);
        self.stand_in_line(id, now);
    }

    /// Keeps the books of an endpoint's health.
    fn tell_endpoint(&mut self, id: Uuid, settings: &Arc<Settings>, judged: &Judged) {
        let Some(step) = endpoints::step(settings, judged) else {
            return;
        };
        let (core, news, settings) = (Arc::clone(&self.core), self.news.clone(), Arc::clone(settings));
        self.tasks.spawn(async move {
            let disabled = endpoints::take(&core, &settings, step).await;
            let _ = news.send(News::Endpoint { target: id, disabled });
        });
    }

    /// Counts a target among the quick or the slow.
    fn weigh(&mut self, id: Uuid, now: Instant) {
        let Some(target) = self.targets.get_mut(&id) else {
            return;
        };
        let slow = target.record.pace.is_slow(target.oldest_call(), now);
        if slow == target.slow {
            return;
        }
        target.slow = slow;
        let calls = target.in_flight();
        let (from, to) = if slow {
            (&mut self.quick, &mut self.slow)
        } else {
            (&mut self.slow, &mut self.quick)
        };
        *from = from.saturating_sub(calls);
        *to += calls;
    }

    // --- the clock

    fn look_at_the_clock(&mut self) {
        let now = Instant::now();
        let ids: Vec<Uuid> = self.targets.keys().copied().collect();
        let mut idle = Vec::new();
        for id in ids {
            self.weigh(id, now);
            self.stand_in_line(id, now);
            let Some(target) = self.targets.get_mut(&id) else {
                continue;
            };
            let rests = rests_until(&target.record, now).is_some();
            let lost = target.leased_until <= now;
            if rests || lost {
                target.put_back();
            }
            let kept = now.saturating_duration_since(target.idle_since) < KEPT;
            let wanted = target.nudged || target.unseen;
            if target.is_idle() && (lost || rests || !wanted && !kept) {
                idle.push(id);
            }
        }
        self.release(&idle);
        self.records
            .retain(|_, (_, since)| now.saturating_duration_since(*since) < REMEMBERED);
    }

    /// Lets go of those of these targets that have nothing under way.
    fn release(&mut self, ids: &[Uuid]) {
        let now = Instant::now();
        let mut released = Vec::new();
        for id in ids {
            if self.targets.get(id).is_some_and(Target::is_idle)
                && let Some(target) = self.targets.remove(id)
            {
                self.records.insert(*id, (target.record, now));
                released.push(*id);
            }
        }
        if !released.is_empty() {
            let _ = self.wishes.send(Wish::Release(released));
        }
    }

    fn count_held(&mut self) {
        self.held = self.targets.values().map(Target::held).sum();
    }
}

fn rests_until(record: &Record, now: Instant) -> Option<Instant> {
    record
        .breaker
        .rests(now)
        .max(record.rests_until.filter(|until| *until > now))
}

/// How many further attempts one reading brings.
const AGAIN: usize = 64;

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
