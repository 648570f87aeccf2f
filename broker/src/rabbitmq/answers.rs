//! Answering: one connection, one channel, and a slot for each question in hand.

use std::{panic::AssertUnwindSafe, sync::Arc, time::Duration};

use async_trait::async_trait;
use futures_util::{FutureExt, StreamExt};
use hubbub_core::broker::{Answerer, AskClass, Consumer as Guard};
use lapin::{
    Channel, Consumer,
    message::Delivery,
    options::{
        BasicAckOptions, BasicCancelOptions, BasicConsumeOptions, BasicPublishOptions, BasicQosOptions,
    },
    types::{FieldTable, ShortString},
};
use tokio::{
    sync::{Semaphore, oneshot},
    task::JoinHandle,
    time::timeout,
};
use tokio_util::{
    sync::{CancellationToken, DropGuard},
    task::TaskTracker,
};

use super::{
    link::{Dialer, Link, Lost},
    topology::{self, Names},
    wire,
};

const CANCEL_LIMIT: Duration = Duration::from_secs(1);
/// Consumer tags need only differ on one channel.
const TAG: &str = "answers";

/// Somebody who answers. Dropping it stops taking questions without waiting for those in hand.
pub(super) struct AnswerConsumer {
    stopping: DropGuard,
    task: JoinHandle<()>,
}

#[async_trait]
impl Guard for AnswerConsumer {
    async fn stop(self: Box<Self>) {
        let Self { stopping, task } = *self;
        drop(stopping);
        if task.await.is_err() {
            tracing::error!("a consumer of questions did not end well");
        }
    }
}

/// Answers the questions of one class.
struct Desk {
    names: Names,
    class: AskClass,
    answerer: Arc<dyn Answerer>,
    at_once: u16,
    /// The slots outlive a session: questions of a lost one are still worked on while the next one begins.
    slots: Arc<Semaphore>,
    in_hand: TaskTracker,
    stopping: CancellationToken,
}

/// Starts answering; the receiver hears when the first session has begun.
pub(super) fn start(
    dialer: Dialer,
    names: Names,
    class: AskClass,
    at_once: u16,
    answerer: Arc<dyn Answerer>,
) -> (AnswerConsumer, oneshot::Receiver<()>) {
    let (started, has_started) = oneshot::channel();
    let stopping = CancellationToken::new();
    let at_once = at_once.max(1);
    let desk = Desk {
        names,
        class,
        answerer,
        at_once,
        slots: Arc::new(Semaphore::new(usize::from(at_once))),
        in_hand: TaskTracker::new(),
        stopping: stopping.clone(),
    };
    let task = tokio::spawn(desk.run(dialer, started));
    (
        AnswerConsumer {
            stopping: stopping.drop_guard(),
            task,
        },
        has_started,
    )
}

impl Desk {
    async fn run(self, mut dialer: Dialer, started: oneshot::Sender<()>) {
        let mut started = Some(started);
        loop {
            let Some(mut link) = self.stopping.run_until_cancelled(dialer.dial()).await else {
                break;
            };
            match self.session(&mut link, &mut dialer, &mut started).await {
                Ok(()) => return link.close().await,
                Err(lost) => dialer.complain(&lost.0),
            }
            link.close().await;
        }
        self.drain().await;
    }

    async fn drain(&self) {
        self.in_hand.close();
        self.in_hand.wait().await;
    }

    /// Answers over one connection until that is lost (`Err`) or, told to stop, the last question in hand is answered
    /// (`Ok`).
    async fn session(
        &self,
        Link { connection, pulse }: &mut Link,
        dialer: &mut Dialer,
        started: &mut Option<oneshot::Sender<()>>,
    ) -> Result<(), Lost> {
        let channel = connection.create_channel().await?;
        topology::declare_asks(&channel, &self.names).await?;
        channel
            .basic_qos(self.at_once, BasicQosOptions::default())
            .await?;
        let (options, arguments) = (BasicConsumeOptions::default(), FieldTable::default());
        let consumer = channel
            .basic_consume(self.names.ask_queue(self.class), TAG.into(), options, arguments)
            .await?;
        dialer.in_service();
        if let Some(started) = started.take() {
            let _ = started.send(());
        }
        tokio::select! {
            lost = pulse.lost(connection, |_| {}) => Err(lost),
            lost = self.pump(&channel, consumer) => Err(lost),
            () = self.stopping.cancelled() => {
                let cancel = channel.basic_cancel(TAG.into(), BasicCancelOptions::default());
                let _ = timeout(CANCEL_LIMIT, cancel).await;
                // The channel stays open for the replies to what is in hand.
                self.drain().await;
                Ok(())
            }
        }
    }

    async fn pump(&self, channel: &Channel, mut consumer: Consumer) -> Lost {
        while let Some(delivery) = consumer.next().await {
            let delivery = match delivery {
                Ok(delivery) => delivery,
                Err(error) => return error.into(),
            };
            let Ok(slot) = Arc::clone(&self.slots).acquire_owned().await else {
                return Lost("no slots".into());
            };
            let (channel, answerer) = (channel.clone(), Arc::clone(&self.answerer));
            self.in_hand.spawn(async move {
                if let Err(error) = answer(&channel, &*answerer, delivery).await {
                    // The channel is gone. Whoever asked knows, or another worker gets the question.
                    tracing::debug!(%error, "a reply was not sent");
                }
                drop(slot);
            });
        }
        Lost(format!("the queue for {} questions is gone", self.class.name()))
    }
}

/// Replies, then acknowledges: the question of a worker that dies goes to another one.
async fn answer(channel: &Channel, answerer: &dyn Answerer, delivery: Delivery) -> lapin::Result<()> {
    let Delivery {
        properties,
        data,
        acker,
        ..
    } = delivery;
    if let Some(reply_to) = properties.reply_to().clone() {
        let reply = AssertUnwindSafe(answerer.reply(data.into())).catch_unwind().await;
        if reply.is_err() {
            tracing::error!("the answer to a question panicked");
        }
        let reply = reply.ok();
        let properties = wire::reply_properties(&properties, reply.is_some());
        let body = reply.as_deref().unwrap_or_default();
        // When nobody waits any more its queue may be gone, and the reply goes nowhere.
        let options = BasicPublishOptions::default();
        channel
            .basic_publish(ShortString::default(), reply_to, options, body, properties)
            .await?;
    } else {
        tracing::warn!("a question that nobody waits for");
    }
    acker.ack(BasicAckOptions::default()).await.map(drop)
}
