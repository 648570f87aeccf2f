//! One campaign in hand: who its recipients are, what is handed out, when it is over.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use hubbub_core::{
    Result,
    broker::{Job, JobClass},
    campaigns::{
        CANCELLED, CHAT, FAILED, INDIVIDUAL, RESOLVED, RUNNING, SCHEDULED,
        engine::{self, Key, Next, Portion, runs},
    },
    entities::campaign,
};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{pace::Pace, work::Work};

/// How many portions are handed out at a time: what one campaign has in the queues, so that others get their turn.
const WINDOW: usize = 8;
/// A portion that was handed out so long ago and is not finished is handed out again.
const LOST: Duration = Duration::from_secs(4);
/// How often it looks what others have finished.
const LOOK: Duration = Duration::from_millis(100);
/// How often operators hear of it at most.
const TELL: Duration = Duration::from_secs(1);
/// The pause after a failure.
const PAUSE: Duration = Duration::from_millis(500);

/// A campaign in hand.
pub(super) struct Holder {
    work: Arc<Work>,
    key: Key,
    /// Before this number nobody is pending, but for those who wait for their morning.
    from: i32,
    handed: HashMap<i32, Instant>,
    pace: Option<Pace>,
    told: Instant,
}

/// What follows a round.
enum Then {
    /// Another one, at once or after this time.
    Again(Duration),
    /// There is nothing to do any more, or not here.
    Over,
}

impl Holder {
    pub(super) fn new(work: Arc<Work>, key: Key) -> Self {
        Self {
            work,
            key,
            from: 0,
            handed: HashMap::new(),
            pace: None,
            told: Instant::now(),
        }
    }

    /// Goes on until the campaign is over, stops, or is another process's.
    pub(super) async fn run(mut self, lost: CancellationToken) {
        let mut failures = 0_u32;
        while !lost.is_cancelled() {
            let pause = match self.round().await {
                Ok(Then::Over) => break,
                Ok(Then::Again(pause)) => {
                    failures = 0;
                    pause
                }
                Err(error) => {
                    failures += 1;
                    if failures == 1 {
                        tracing::warn!(?error, campaign = %self.key.campaign, "a campaign is held up; trying again");
                    }
                    PAUSE
                }
            };
            if !pause.is_zero() {
                tokio::select! {
                    () = lost.cancelled() => break,
                    () = tokio::time::sleep(pause) => {}
                    () = self.work.finished.notified(), if self.pace.is_none() => {}
                }
            }
        }
        let core = &self.work.core;
        if let Err(error) = runs::release(core.db.writer(), core.node, self.key).await {
            tracing::debug!(?error, "a lease on a campaign runs out by itself");
        }
    }

    async fn round(&mut self) -> Result<Then> {
        let core = Arc::clone(&self.work.core);
        let Some(campaign) = engine::load(&core, self.key).await? else {
            return Ok(Then::Over);
        };
        match campaign.status.as_str() {
            SCHEDULED => match engine::begin_if_due(&core, &campaign).await? {
                Some(now) if now.status == RUNNING => Ok(Then::Again(Duration::ZERO)),
                _ => Ok(Then::Over),
            },
            RUNNING => match self.go_on(&campaign).await {
                // What repeating does not change: the audience or the channel is gone.
                Err(refused) if (400..500).contains(&refused.code().status()) => {
                    engine::fail(&core, &campaign, refused.message()).await?;
                    Ok(Then::Again(Duration::ZERO))
                }
                other => other,
            },
            CANCELLED | FAILED => {
                engine::clear_away(&core, &campaign).await?;
                Ok(Then::Over)
            }
            _ => Ok(Then::Over),
        }
    }

    async fn go_on(&mut self, campaign: &campaign::Model) -> Result<Then> {
        let core = Arc::clone(&self.work.core);
        let mut campaign = campaign.clone();
        let is_together = campaign.mode != INDIVIDUAL && campaign.via == CHAT;
        if is_together && !campaign.dry_run {
            match engine::send_together(&core, &campaign).await? {
                Some(now) => campaign = now,
                None => return Ok(Then::Over),
            }
        }
        let mut pause = LOOK;
        if campaign.phase != RESOLVED {
            match engine::resolve(&core, &campaign).await? {
                Some(now) => campaign = now,
                None => return Ok(Then::Over),
            }
            pause = Duration::ZERO;
        }
        if self.told.elapsed() >= TELL {
            self.told = Instant::now();
            engine::tell_progress(&core, &campaign).await?;
        }
        let joining = is_together && engine::is_joining(core.db.reader(), &campaign).await?;
        let numbers = self.waiting(joining).await?;
        if numbers.is_empty() {
            self.handed.clear();
            if campaign.phase == RESOLVED {
                return match engine::end_if_done(&core, &campaign).await? {
                    Some(now) if now.status == RUNNING => Ok(Then::Again(LOOK)),
                    _ => Ok(Then::Over),
                };
            }
        }
        // Those who were sent to already need no pace to be written down.
        let is_paced = joining || !is_together;
        match campaign.rate_per_second.filter(|_| is_paced) {
            Some(rate) => {
                let wait = self.keep_pace(rate, &numbers).await?;
                Ok(Then::Again(pause.min(wait)))
            }
            None => {
                self.pace = None;
                self.hand_out(&numbers).await;
                Ok(Then::Again(pause))
            }
        }
    }

    /// The first portions in which somebody is to be worked on now.
    async fn waiting(&mut self, joining: bool) -> Result<Vec<i32>> {
        let db = self.work.core.db.reader();
        let mut numbers = engine::waiting(db, self.key, self.from, joining, 2 * WINDOW).await?;
        if numbers.is_empty() && self.from > 0 {
            // It may be morning for somebody.
            numbers = engine::waiting(db, self.key, 0, joining, 2 * WINDOW).await?;
        }
        self.from = numbers.first().copied().unwrap_or(0);
        Ok(numbers)
    }

    /// Hands portions out, and those again that seem to be lost.
    async fn hand_out(&mut self, numbers: &[i32]) {
        self.handed.retain(|number, _| numbers.contains(number));
        let now = Instant::now();
        let mut out = Vec::new();
        for number in numbers {
            let is_out = self
                .handed
                .get(number)
                .is_some_and(|at| now.saturating_duration_since(*at) < LOST);
            let has_room = self.handed.len() < WINDOW || self.handed.contains_key(number);
            if !is_out && has_room {
                self.handed.insert(*number, now);
                out.push(*number);
            }
        }
        if out.is_empty() {
            return;
        }
        let jobs = out.iter().filter_map(|number| self.job(*number)).collect();
        if let Err(error) = self.work.core.jobs.enqueue(jobs).await {
            tracing::debug!(%error, "no broker takes jobs; the holder works by itself");
            // Some of them may be out all the same, and are worked on once.
            if let Some(number) = out.first() {
                self.work.portion(&self.portion(*number)).await;
            }
            for number in out {
                self.handed.remove(&number);
            }
        }
    }

    fn portion(&self, number: i32) -> Portion {
        Portion {
            key: self.key,
            number,
        }
    }

    fn job(&self, number: i32) -> Option<Job> {
        let payload = serde_json::to_vec(&self.portion(number)).ok()?;
        Some(Job {
            id: Uuid::now_v7(),
            class: JobClass::Campaign,
            shard_key: u64::from(number.unsigned_abs()),
            attempt: 0,
            payload: payload.into(),
        })
    }

    /// Works on as many recipients as are due by the campaign's rate; answers when to look again.
    async fn keep_pace(&mut self, rate: i32, numbers: &[i32]) -> Result<Duration> {
        let now = Instant::now();
        let mut due = self.pace.get_or_insert_with(|| Pace::new(rate, now)).due(now);
        for number in numbers {
            while due > 0 {
                let portion = self.portion(*number);
                let step = self.work.some_of(&portion, due).await?;
                due = due.saturating_sub(step.done);
                if let Some(pace) = &mut self.pace {
                    pace.took(step.done);
                }
                if step.next != Next::More || step.done == 0 {
                    break;
                }
            }
        }
        Ok(self.pace.as_ref().map_or(LOOK, Pace::pause))
    }
}
