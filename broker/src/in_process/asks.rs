//! Questions in memory: handed to whoever of this process answers.

use std::{
    panic::AssertUnwindSafe,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::FutureExt;
use hubbub_core::broker::{Answerer, AskClass, AskError, Consumer};
use tokio::{
    sync::{Mutex, Semaphore, mpsc, oneshot},
    time::timeout,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// Questions that wait for a worker before more are refused.
const CAPACITY: usize = 16_384;

struct Question {
    question: Bytes,
    /// Dropped without a reply when there is none.
    reply: oneshot::Sender<Bytes>,
}

/// The questions of one class.
struct Lane {
    sender: mpsc::Sender<Question>,
    receiver: Mutex<mpsc::Receiver<Question>>,
    /// How many answer. Without any, nobody need wait.
    answerers: AtomicUsize,
}

/// All classes, in the order of [`AskClass::ALL`].
pub(super) struct LocalAsks(Vec<(AskClass, Arc<Lane>)>);

impl Default for LocalAsks {
    fn default() -> Self {
        let lane = |class| {
            let (sender, receiver) = mpsc::channel(CAPACITY);
            let lane = Lane {
                sender,
                receiver: Mutex::new(receiver),
                answerers: AtomicUsize::new(0),
            };
            (class, Arc::new(lane))
        };
        Self(AskClass::ALL.into_iter().map(lane).collect())
    }
}

impl LocalAsks {
    fn of(&self, class: AskClass) -> Option<&Arc<Lane>> {
        self.0.iter().find(|(it, _)| *it == class).map(|(_, lane)| lane)
    }

    pub(super) async fn ask(
        &self,
        class: AskClass,
        question: Bytes,
        patience: Duration,
    ) -> Result<Bytes, AskError> {
        let not_asked = |why: &str| AskError::NotAsked(why.into());
        let lane = self
            .of(class)
            .filter(|lane| lane.answerers.load(Relaxed) > 0)
            .ok_or_else(|| not_asked("this process has no workers"))?;
        let (reply, answer) = oneshot::channel();
        lane.sender
            .try_send(Question { question, reply })
            .map_err(|_| not_asked("too many questions wait for a worker"))?;
        match timeout(patience, answer).await {
            Ok(Ok(reply)) => Ok(reply),
            Ok(Err(_)) => Err(AskError::NoReply("the worker failed".into())),
            Err(_) => Err(AskError::NoReply("it took too long".into())),
        }
    }

    pub(super) fn answer(
        &self,
        class: AskClass,
        at_once: u16,
        answerer: &Arc<dyn Answerer>,
    ) -> Box<dyn Consumer> {
        let consumer = LocalAnswers {
            stopping: CancellationToken::new(),
            tasks: TaskTracker::new(),
        };
        if let Some(lane) = self.of(class) {
            let desk = Desk {
                lane: Arc::clone(lane),
                answerer: Arc::clone(answerer),
                slots: Arc::new(Semaphore::new(usize::from(at_once.max(1)))),
                tasks: consumer.tasks.clone(),
            };
            lane.answerers.fetch_add(1, Relaxed);
            let stopping = consumer.stopping.clone();
            consumer.tasks.spawn(async move {
                stopping.run_until_cancelled(desk.run()).await;
                desk.lane.answerers.fetch_sub(1, Relaxed);
            });
        }
        Box::new(consumer)
    }
}

/// One who answers.
struct Desk {
    lane: Arc<Lane>,
    answerer: Arc<dyn Answerer>,
    slots: Arc<Semaphore>,
    tasks: TaskTracker,
}

impl Desk {
    async fn run(&self) {
        loop {
            // The slot first, so that a question which is taken is also worked on.
            let Ok(slot) = self.slots.clone().acquire_owned().await else {
                return;
            };
            let Some(Question { question, reply }) = self.lane.receiver.lock().await.recv().await else {
                return;
            };
            if reply.is_closed() {
                continue; // Nobody waits any more.
            }
            let answerer = Arc::clone(&self.answerer);
            self.tasks.spawn(async move {
                match AssertUnwindSafe(answerer.reply(question)).catch_unwind().await {
                    Ok(answer) => drop(reply.send(answer)),
                    Err(_) => tracing::error!("the answer to a question panicked"),
                }
                drop(slot);
            });
        }
    }
}

struct LocalAnswers {
    stopping: CancellationToken,
    tasks: TaskTracker,
}

#[async_trait]
impl Consumer for LocalAnswers {
    async fn stop(self: Box<Self>) {
        self.stopping.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }
}

impl Drop for LocalAnswers {
    fn drop(&mut self) {
        self.stopping.cancel();
    }
}
