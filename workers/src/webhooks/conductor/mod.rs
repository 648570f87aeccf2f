//! Who is called next. One task knows all targets that this process has in hand; it reads a little of their queues
//! ahead, and gives the calls out: accounts in turn, of an account its targets in turn, of a target its channels in
//! turn. Reading, calling and writing down are tasks of their own, which tell it what came of them.

mod calling;
mod reading;

use std::{
    collections::{HashMap, HashSet, VecDeque},
    sync::Arc,
    time::{Duration, Instant},
};

use hubbub_core::{
    Core, Result,
    entities::webhook_delivery::Model as Delivery,
    sid::{AccountSid, DeliverySid},
};
use tokio::sync::mpsc;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use uuid::Uuid;

use self::reading::Reading;
use super::{
    Nudges,
    lessee::Wish,
    recorder::Entry,
    target::{Lane, Record, Target},
    verdict::Judged,
};
use crate::outbound::Client;

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
