//! A target that this process has in hand: what of its queue is in memory, in which order it may go, and how the target
//! fares.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    sync::Arc,
    time::Instant,
};

use hubbub_core::{
    entities::webhook_delivery::Model as Delivery,
    sid::{AccountSid, ChannelSid, DeliverySid},
};

use super::{
    breaker::Breaker,
    pace::Pace,
    standing::{BELIEVED, Settings},
};

/// How few deliveries wait in memory when more is read.
const FEW: usize = 32;

/// What goes one after the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Lane {
    /// First attempts of a channel; every attempt of it where the order is strict.
    Channel(ChannelSid),
    /// A further attempt, or an event of no channel.
    Alone(DeliverySid),
}

/// What is known of a target beyond the time in which it is in hand.
#[derive(Debug, Clone, Default)]
pub(super) struct Record {
    pub(super) breaker: Breaker,
    pub(super) pace: Pace,
    /// Until when it is not looked at.
    pub(super) rests_until: Option<Instant>,
    /// How often in a row it was found that may not be called.
    pub(super) found_waiting: u32,
}

/// A target in hand.
pub(super) struct Target {
    pub(super) record: Record,
    /// Whose it is, once something of it was read.
    pub(super) account: Option<AccountSid>,
    pub(super) settings: Option<Arc<Settings>>,
    /// Until when the lease holds.
    pub(super) leased_until: Instant,
    /// Whether something may have come since it was last read.
    pub(super) nudged: bool,
    /// Whether the last reading left something behind.
    pub(super) unseen: bool,
    pub(super) reading: bool,
    /// Not before this moment is it read again.
    pub(super) read_at: Instant,
    /// How often in a row reading brought nothing.
    pub(super) in_vain: u32,
    /// Where the next reading begins.
    pub(super) cursor: Option<ChannelSid>,
    /// How many channels the last round saw.
    pub(super) lanes_seen: usize,
    pub(super) idle_since: Instant,
    /// Whether it is counted among the slow.
    pub(super) slow: bool,
    /// Whether it stands in line for the next call.
    pub(super) queued: bool,
    lanes: HashMap<Lane, VecDeque<Delivery>>,
    /// How many deliveries wait in the lanes.
    waiting: usize,
    ready: VecDeque<Lane>,
    /// Calls under way, and when they began.
    calls: HashMap<DeliverySid, Instant>,
    /// Everything in memory or not yet written down: what is read of it is no news.
    held: HashSet<DeliverySid>,
    /// Lanes that wait until a failure is written down, by what failed.
    blocked: HashMap<DeliverySid, Lane>,
    /// Written down while a reading was under way, which may have seen it as it was before.
    leaving: Vec<DeliverySid>,
}

impl Target {
    pub(super) fn new(record: Record, now: Instant, leased_until: Instant) -> Self {
        Self {
            record,
            account: None,
            settings: None,
            leased_until,
            nudged: true,
            unseen: false,
            reading: false,
            read_at: now,
            in_vain: 0,
            cursor: None,
            lanes_seen: 0,
            idle_since: now,
            slow: true,
            queued: false,
            lanes: HashMap::new(),
            waiting: 0,
            ready: VecDeque::new(),
            calls: HashMap::new(),
            held: HashSet::new(),
            blocked: HashMap::new(),
            leaving: Vec::new(),
        }
    }

    /// Calls under way.
    pub(super) fn in_flight(&self) -> usize {
        self.calls.len()
    }

    /// Deliveries in memory.
    pub(super) fn held(&self) -> usize {
        self.held.len()
    }

    /// When the oldest call under way began.
    pub(super) fn oldest_call(&self) -> Option<Instant> {
        self.calls.values().min().copied()
    }

    /// Whether something waits in memory.
    pub(super) fn has_waiting(&self) -> bool {
        self.waiting > 0
    }

    /// Whether it has to be asked anew how it stands with the target.
    fn is_stale(&self, now: Instant) -> bool {
        self.settings
            .as_ref()
            .is_none_or(|settings| now.saturating_duration_since(settings.read_at) > BELIEVED)
    }

    /// Whether there is nothing to wait for.
    pub(super) fn is_idle(&self) -> bool {
        self.held.is_empty() && !self.reading
    }

    /// Takes in what was read; answers how much of it was new.
    pub(super) fn take_in(&mut self, rows: Vec<Delivery>, ordered: bool) -> usize {
        let mut new = 0;
        for row in rows {
            let lane = match row.channel_id {
                Some(channel) if ordered || row.attempts == 0 => Lane::Channel(channel),
                _ => Lane::Alone(row.id),
            };
            if self.held.contains(&row.id) || self.blocked.values().any(|blocked| *blocked == lane) {
                continue;
            }
            self.held.insert(row.id);
            self.waiting += 1;
            new += 1;
            let waiting = self.lanes.entry(lane).or_insert_with(|| {
                self.ready.push_back(lane);
                VecDeque::new()
            });
            waiting.push_back(row);
        }
        new
    }

    /// A reading has ended.
    pub(super) fn has_read(&mut self) {
        self.reading = false;
        for id in std::mem::take(&mut self.leaving) {
            self.let_go(id);
        }
    }

    /// Whether a call may begin.
    pub(super) fn may_call(&self, now: Instant) -> bool {
        let most = if self.record.breaker.is_trial() {
            1
        } else {
            self.record.pace.limit()
        };
        !self.ready.is_empty()
            && self.calls.len() < most
            && now < self.leased_until
            && self
                .settings
                .as_ref()
                .is_some_and(|settings| now.saturating_duration_since(settings.read_at) < BELIEVED * 3)
            && self.record.breaker.rests(now).is_none()
            && self.record.rests_until.is_none_or(|until| until <= now)
    }

    /// Whether the lanes in memory do not suffice for the calls that it may have.
    pub(super) fn wants_reading(&self, now: Instant) -> bool {
        (self.nudged || self.unseen && self.waiting < FEW || !self.ready.is_empty() && self.is_stale(now))
            && !self.reading
            && self.read_at <= now
            && (self.ready.len() + self.calls.len() < self.record.pace.limit() || self.is_stale(now))
            && self.record.breaker.rests(now).is_none()
            && self.record.rests_until.is_none_or(|until| until <= now)
    }

    /// The next delivery, whose call begins.
    pub(super) fn next(&mut self, now: Instant) -> Option<(Lane, Delivery)> {
        while let Some(lane) = self.ready.pop_front() {
            if let Some(row) = self.lanes.get_mut(&lane).and_then(VecDeque::pop_front) {
                self.calls.insert(row.id, now);
                self.waiting -= 1;
                return Some((lane, row));
            }
            self.lanes.remove(&lane);
        }
        None
    }

    /// A call has ended; the next of its lane may follow. Where the order is strict and it has to be made again
    /// (`blocks`), the lane waits for that.
    pub(super) fn called(&mut self, lane: Lane, id: DeliverySid, blocks: bool) {
        self.calls.remove(&id);
        if blocks {
            self.drop_lane(lane);
            self.blocked.insert(id, lane);
        } else if self.lanes.get(&lane).is_some_and(|waiting| !waiting.is_empty()) {
            self.ready.push_back(lane);
        } else {
            self.lanes.remove(&lane);
        }
    }

    /// What came of a call is written down, or never will be.
    pub(super) fn written(&mut self, id: DeliverySid) {
        if self.reading {
            self.leaving.push(id);
        } else {
            self.let_go(id);
        }
    }

    fn let_go(&mut self, id: DeliverySid) {
        self.held.remove(&id);
        self.blocked.remove(&id);
    }

    fn drop_lane(&mut self, lane: Lane) {
        for row in self.lanes.remove(&lane).unwrap_or_default() {
            self.waiting -= 1;
            self.held.remove(&row.id);
        }
        self.ready.retain(|ready| *ready != lane);
    }

    /// Forgets what has not begun: it is in the ledger.
    pub(super) fn put_back(&mut self) {
        for lane in std::mem::take(&mut self.ready) {
            self.drop_lane(lane);
        }
        for waiting in self.lanes.values_mut() {
            for row in waiting.drain(..) {
                self.waiting -= 1;
                self.held.remove(&row.id);
            }
        }
        self.nudged = true;
    }
}
