//! Delivery of webhooks. The ledger in the database says what is due; a job from the broker only says that it is
//! worth looking now. A process takes whole targets in hand, so that the order of each, how much it is called at once
//! and how it fares are known in one place, and what waits costs nothing until it is its turn.

mod attempt;
mod breaker;
mod conductor;
mod endpoints;
mod lessee;
mod pace;
mod recorder;
mod standing;
mod target;
mod verdict;

use std::{
    collections::{HashMap, HashSet, VecDeque},
    sync::Arc,
    time::{Duration, Instant},
};

use async_trait::async_trait;
use hubbub_core::{
    Core,
    broker::{Job, JobHandler, Outcome},
    events::publisher::Due,
    webhooks::queue,
};
use parking_lot::Mutex;
use tokio::sync::{Notify, mpsc};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use uuid::Uuid;

use self::conductor::{Conductor, News};
use crate::outbound::Client;

/// How often the ledger is asked for what became due by time, or was left by a process that died.
const INTERVAL: Duration = Duration::from_millis(250);
/// How much longer than a look takes is the pause behind it.
const SHARE: u32 = 8;
/// How many targets one look finds in each kind of queue.
const TARGETS: i32 = 500;

/// Targets that may have something due.
#[derive(Default)]
pub(crate) struct Nudges {
    targets: Mutex<HashSet<Uuid>>,
    wake: Notify,
}

impl Nudges {
    fn add(&self, targets: impl IntoIterator<Item = Uuid>) {
        self.targets.lock().extend(targets);
        self.wake.notify_one();
    }

    async fn woken(&self) {
        self.wake.notified().await;
    }

    fn take(&self) -> HashSet<Uuid> {
        std::mem::take(&mut *self.targets.lock())
    }
}

/// Hears what the broker says is due.
struct Ear(Arc<Nudges>);

#[async_trait]
impl JobHandler for Ear {
    async fn run(&self, job: Job) -> Outcome {
        match serde_json::from_slice::<Due>(&job.payload) {
            Ok(due) => {
                self.0.add(due.targets);
                Outcome::Done
            }
            Err(error) => Outcome::DeadLetter(format!("not a webhook job of this version: {error}")),
        }
    }
}

/// Starts delivering; the answer is to hear of jobs.
pub(crate) fn start(
    core: &Arc<Core>,
    client: Client,
    tasks: &TaskTracker,
    stop: &CancellationToken,
) -> Arc<dyn JobHandler> {
    let nudges = Arc::new(Nudges::default());
    let (news, heard) = mpsc::unbounded_channel();
    let (wishes, wished) = mpsc::unbounded_channel();
    let (entries, made) = mpsc::unbounded_channel();
    let told = news.clone();
    let written = move |done| {
        let _ = told.send(News::Written(done));
    };
    tasks.spawn(recorder::run(Arc::clone(core), made, written));
    tasks.spawn(lessee::run(Arc::clone(core), wished, news.clone()));
    tasks.spawn(poll(Arc::clone(core), Arc::clone(&nudges), stop.clone()));
    let conductor = Conductor {
        core: Arc::clone(core),
        client,
        nudges: Arc::clone(&nudges),
        news,
        wishes,
        entries,
        tasks: tasks.clone(),
        targets: HashMap::new(),
        records: HashMap::new(),
        turns: VecDeque::new(),
        lines: HashMap::new(),
        quick: 0,
        slow: 0,
        held: 0,
        readings: 0,
        stopping: false,
    };
    tasks.spawn(conductor.run(heard, stop.clone()));
    Arc::new(Ear(nudges))
}

/// Finds targets with deliveries that are due.
async fn poll(core: Arc<Core>, nudges: Arc<Nudges>, stop: CancellationToken) {
    let mut after = None;
    loop {
        let began = Instant::now();
        match queue::due_targets(core.db.reader(), after, TARGETS).await {
            Ok(look) => {
                after = look.next;
                nudges.add(look.due);
            }
            Err(error) => {
                tracing::warn!(?error, "the ledger of webhooks could not be read; trying again");
            }
        }
        let pause = if after.is_some() { Duration::ZERO } else { INTERVAL };
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(pause.max(began.elapsed() * SHARE)) => {}
        }
    }
}
