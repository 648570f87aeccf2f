//! Giving calls out, and what comes of them.

use std::{sync::Arc, time::Instant};

use hubbub_core::{
    entities::webhook_delivery::Model as Delivery,
    webhooks::outcomes::{Outcome, Verdict},
};
use uuid::Uuid;

use super::{Conductor, News};
use crate::webhooks::{
    attempt, endpoints,
    recorder::Entry,
    standing::Settings,
    target::Lane,
    verdict::{Judged, Sign},
};

/// The most calls under way at targets that are known to be quick.
const QUICK_CALLS: usize = 256;
/// The most at those that are not. What hangs can take no more than this from the others.
const SLOW_CALLS: usize = 256;
/// The most in all, also when many quick targets begin to hang at once.
const CALLS: usize = 1024;

impl Conductor {
    /// A target that may be called stands in line behind the others of its account.
    pub(super) fn stand_in_line(&mut self, id: Uuid, now: Instant) {
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

    pub(super) fn give_out(&mut self) {
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

    pub(super) fn called(&mut self, id: Uuid, lane: Lane, row: &Delivery, judged: Judged, now: Instant) {
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
    pub(super) fn weigh(&mut self, id: Uuid, now: Instant) {
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
}
