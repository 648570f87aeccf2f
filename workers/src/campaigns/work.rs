//! Working on portions, slice by slice, and giving way to others.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use hubbub_core::{
    Core, Result,
    campaigns::engine::{self, Next, Portion, Pressure, SLICE, SMALL_SLICE, Step},
};
use tokio::sync::{Mutex, Notify, Semaphore};
use tokio_util::sync::CancellationToken;

use crate::post::{Post, outward};

/// How many slices a process has under way: while one is being committed, the next one is made.
const AT_ONCE: u32 = 2;
/// How much longer than a slice takes is the rest behind it, while others are busy.
const REST: u32 = 3;
/// How often a slice is tried again while the database is away or too busy.
const TRIES: u32 = 3;
/// The pause before.
const PAUSE: Duration = Duration::from_millis(100);

/// What a process does for campaigns.
pub(super) struct Work {
    pub(super) core: Arc<Core>,
    post: Arc<Post>,
    slots: Semaphore,
    at_once: u32,
    pressure: Mutex<Pressure>,
    /// A portion is finished.
    pub(super) finished: Notify,
    stop: CancellationToken,
}

impl Work {
    pub(super) fn new(core: Arc<Core>, post: Arc<Post>, stop: CancellationToken) -> Self {
        // SQLite has one writer.
        let at_once = if core.bus.crosses_processes() { AT_ONCE } else { 1 };
        Self {
            core,
            post,
            slots: Semaphore::new(at_once as usize),
            at_once,
            pressure: Mutex::default(),
            finished: Notify::new(),
            stop,
        }
    }

    /// Works on a portion until nobody in it is to be worked on now, its campaign stops or the process does.
    pub(super) async fn portion(&self, portion: &Portion) {
        let mut tries = 0;
        while !self.stop.is_cancelled() {
            match self.slice(portion).await {
                Ok(Step { next: Next::More, .. }) => tries = 0,
                Ok(_) => break,
                Err(error) => {
                    tries += 1;
                    if tries > TRIES {
                        tracing::warn!(
                            ?error,
                            campaign = %portion.key.campaign,
                            portion = portion.number,
                            "a portion of a campaign could not be worked on; it is handed out again"
                        );
                        break;
                    }
                    tokio::time::sleep(PAUSE * tries).await;
                }
            }
        }
        self.finished.notify_waiters();
    }

    /// Works on the portion's next slice when it is its turn.
    async fn slice(&self, portion: &Portion) -> Result<Step> {
        let gives_way = self.gives_way().await;
        let (slots, most) = if gives_way {
            (self.at_once, SMALL_SLICE)
        } else {
            (1, SLICE)
        };
        let turn = self.slots.acquire_many(slots).await.ok();
        let began = Instant::now();
        let step = engine::advance(&self.core, portion, most).await;
        if let Ok(Step {
            next: Next::Outward, ..
        }) = step
        {
            // Nobody else waits for somebody's provider.
            drop(turn);
            return outward::step(&self.post, portion, SLICE).await;
        }
        if gives_way {
            tokio::time::sleep(began.elapsed() * REST).await;
        }
        step
    }

    /// Whether others are busy.
    async fn gives_way(&self) -> bool {
        match self.pressure.lock().await.is_on(&self.core).await {
            Ok(busy) => busy,
            Err(error) => {
                tracing::debug!(?error, "nobody knows whether others are busy");
                true
            }
        }
    }

    /// Works on at most so many recipients of a portion, for a campaign whose rate is the holder's business.
    pub(super) async fn some_of(&self, portion: &Portion, most: usize) -> Result<Step> {
        let most = most.min(SLICE);
        let step = engine::advance(&self.core, portion, most).await?;
        if step.next == Next::Outward {
            return outward::step(&self.post, portion, most).await;
        }
        Ok(step)
    }
}
