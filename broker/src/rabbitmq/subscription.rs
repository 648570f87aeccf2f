//! A gateway's ear: one exclusive queue, bound to the buckets that have local subscribers.

use std::{
    collections::{BTreeSet, HashMap},
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use async_trait::async_trait;
use futures_util::{StreamExt, future::try_join_all};
use hubbub_core::broker::{BrokerError, BucketBinder, BusSignal};
use lapin::{
    Channel, Consumer,
    message::Delivery,
    options::{BasicAckOptions, BasicConsumeOptions, BasicQosOptions, QueueBindOptions},
    types::{FieldTable, ShortString},
};
use parking_lot::Mutex;
use tokio::{
    sync::{mpsc, oneshot},
    time::timeout,
};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{
    link::{Dialer, Link, Lost},
    topology::{self, Names, bucket_key},
    wire,
};

/// Messages that the broker sends ahead of our acknowledgements.
const PREFETCH: u16 = 512;
/// Messages that are acknowledged together.
const ACK_BATCH: usize = 64;
/// Binds and unbinds that wait for the task.
const WISHES: usize = 64;
/// How long a bind or unbind may take before its caller is told that the broker is away.
const BIND_LIMIT: Duration = Duration::from_secs(2);

/// Asks for a bucket, or gives it up.
struct Wish {
    bucket: u8,
    wanted: bool,
    done: oneshot::Sender<Result<(), BrokerError>>,
}

/// Sends wishes to the subscription's task.
pub(super) struct Binder(mpsc::Sender<Wish>);

impl Binder {
    async fn wish(&self, bucket: u8, wanted: bool) -> Result<(), BrokerError> {
        let (done, answer) = oneshot::channel();
        let gone = || BrokerError::Unavailable("the subscription has ended".into());
        // Sending is not cut short, or the wish might be lost; the task always reads.
        self.0
            .send(Wish { bucket, wanted, done })
            .await
            .map_err(|_| gone())?;
        match timeout(BIND_LIMIT, answer).await {
            Ok(answer) => answer.map_err(|_| gone())?,
            Err(_) => Err(BrokerError::Unavailable("RabbitMQ did not answer in time".into())),
        }
    }
}

#[async_trait]
impl BucketBinder for Binder {
    async fn bind(&self, bucket: u8) -> Result<(), BrokerError> {
        self.wish(bucket, true).await
    }

    async fn unbind(&self, bucket: u8) -> Result<(), BrokerError> {
        self.wish(bucket, false).await
    }
}

/// The task that keeps a subscription alive.
pub(super) struct Subscription {
    pub(super) dialer: Dialer,
    pub(super) names: Names,
    pub(super) node: Uuid,
    /// Counts the sessions of all subscriptions of this process.
    pub(super) sessions: Arc<AtomicU64>,
    pub(super) signals: mpsc::Sender<BusSignal>,
    /// Told once, when the first session begins.
    pub(super) started: Option<oneshot::Sender<()>>,
}

impl Subscription {
    /// Starts the task. It runs until the receiver of signals is dropped or `stop` is cancelled.
    pub(super) fn start(self, stop: CancellationToken) -> Binder {
        let (sender, wishes) = mpsc::channel(WISHES);
        let wanted = Wanted {
            wishes,
            buckets: BTreeSet::new(),
        };
        tokio::spawn(async move { stop.run_until_cancelled(self.run(wanted)).await });
        Binder(sender)
    }

    async fn run(mut self, mut wanted: Wanted) {
        loop {
            let mut link = tokio::select! {
                link = self.dialer.dial() => link,
                never = wanted.note_only() => match never {},
                () = self.signals.closed() => return,
            };
            match self.session(&mut link, &mut wanted).await {
                Ok(()) => return link.close().await,
                Err(lost) => self.dialer.complain(&lost.0),
            }
            link.close().await;
        }
    }

    /// Listens over one connection until that is lost (`Err`) or nobody wants to hear (`Ok`).
    async fn session(&mut self, link: &mut Link, wanted: &mut Wanted) -> Result<(), Lost> {
        let Link { connection, pulse } = link;
        let channel = connection.create_channel().await?;
        let ear = Ear {
            queue: self
                .names
                .bus_queue(self.node, self.sessions.fetch_add(1, Relaxed)),
            exchange: self.names.bus(),
            gaps: Mutex::default(),
            channel,
        };
        topology::declare_bus(&ear.channel, &self.names).await?;
        topology::declare_bus_queue(&ear.channel, &ear.queue).await?;
        let buckets = wanted.buckets.iter().map(|bucket| Some(*bucket)).chain([None]);
        try_join_all(buckets.map(|bucket| ear.bind(bucket))).await?;
        ear.channel
            .basic_qos(PREFETCH, BasicQosOptions::default())
            .await?;
        let (options, arguments) = (BasicConsumeOptions::default(), FieldTable::default());
        let consumer = ear
            .channel
            .basic_consume(ear.queue.clone(), "bus".into(), options, arguments)
            .await?;
        self.dialer.in_service();
        // Whoever subscribed and was told that all is well has missed nothing yet.
        let missed = self
            .started
            .take()
            .is_none_or(|started| started.send(()).is_err());
        // Side by side: a bind must not wait for a gateway that is slow to read its signals.
        tokio::select! {
            lost = pulse.lost(connection, |_| {}) => Err(lost),
            lost = wanted.carry_out(&ear) => Err(lost),
            ended = ear.forward(consumer, &self.signals, missed) => ended,
            () = self.signals.closed() => Ok(()),
        }
    }
}

/// What the gateway asks for and what it has asked for so far.
struct Wanted {
    wishes: mpsc::Receiver<Wish>,
    buckets: BTreeSet<u8>,
}

impl Wanted {
    /// While there is no link: remembers wishes for the next session. Cancel-safe, like [`Self::carry_out`].
    async fn note_only(&mut self) -> Infallible {
        while let Some(wish) = self.wishes.recv().await {
            self.note(&wish);
            let _ = wish.done.send(Err(BrokerError::Unavailable(
                "the link to RabbitMQ is down".into(),
            )));
        }
        std::future::pending().await
    }

    /// Binds and unbinds as asked, one after the other.
    async fn carry_out(&mut self, ear: &Ear) -> Lost {
        while let Some(wish) = self.wishes.recv().await {
            let result = match (self.note(&wish), wish.wanted) {
                (false, _) => Ok(()),
                (true, true) => ear.bind(Some(wish.bucket)).await,
                (true, false) => ear.unbind(wish.bucket).await,
            };
            if let Err(lost) = result {
                let _ = wish.done.send(Err(BrokerError::Unavailable(lost.0.clone())));
                return lost;
            }
            let _ = wish.done.send(Ok(()));
        }
        // The binder is gone; what is bound stays so.
        std::future::pending().await
    }

    /// Whether the wish changes anything.
    fn note(&mut self, wish: &Wish) -> bool {
        if wish.wanted {
            self.buckets.insert(wish.bucket)
        } else {
            self.buckets.remove(&wish.bucket)
        }
    }
}

/// The queue of one session.
struct Ear {
    channel: Channel,
    queue: ShortString,
    exchange: ShortString,
    gaps: Mutex<Gaps>,
}

impl Ear {
    async fn bind(&self, bucket: Option<u8>) -> Result<(), Lost> {
        self.gaps.lock().forget(bucket);
        let (queue, exchange, key) = (self.queue.clone(), self.exchange.clone(), bucket_key(bucket));
        let (options, arguments) = (QueueBindOptions::default(), FieldTable::default());
        Ok(self
            .channel
            .queue_bind(queue, exchange, key, options, arguments)
            .await?)
    }

    async fn unbind(&self, bucket: u8) -> Result<(), Lost> {
        let (queue, exchange, key) = (
            self.queue.clone(),
            self.exchange.clone(),
            bucket_key(Some(bucket)),
        );
        Ok(self
            .channel
            .queue_unbind(queue, exchange, key, FieldTable::default())
            .await?)
    }

    /// Hands deliveries on and acknowledges them. The prefetch holds back a broker that is faster than the gateway.
    /// `missed`: something was lost before the first of them.
    async fn forward(
        &self,
        consumer: Consumer,
        signals: &mpsc::Sender<BusSignal>,
        missed: bool,
    ) -> Result<(), Lost> {
        if missed && signals.send(BusSignal::Reconnected).await.is_err() {
            return Ok(());
        }
        let mut chunks = consumer.ready_chunks(ACK_BATCH);
        while let Some(chunk) = chunks.next().await {
            let mut last = None;
            for delivery in chunk {
                let Delivery {
                    routing_key,
                    properties,
                    data,
                    acker,
                    ..
                } = delivery?;
                last = Some(acker);
                let Some(message) = wire::decode_bus(routing_key.as_str(), data) else {
                    tracing::warn!("a bus message that this version cannot read");
                    continue;
                };
                let gap =
                    self.gaps
                        .lock()
                        .after(message.origin, message.bucket, wire::bus_number(&properties));
                if gap && signals.send(BusSignal::Reconnected).await.is_err() {
                    return Ok(());
                }
                if signals.send(BusSignal::Message(message)).await.is_err() {
                    return Ok(());
                }
            }
            if let Some(acker) = last {
                acker.ack(BasicAckOptions { multiple: true }).await?;
            }
        }
        Err(Lost("the bus queue is gone".into()))
    }
}

/// Notices messages that the broker dropped because this process did not keep up.
///
/// Senders number their messages per bucket. A jump is a loss, except across a rebind of the bucket.
#[derive(Default)]
struct Gaps {
    last: HashMap<(Uuid, Option<u8>), u64>,
}

impl Gaps {
    /// Senders come and go; beyond this many entries all are forgotten, which only blinds us for one message each.
    const MOST: usize = 1 << 16;

    /// A bucket that is bound anew: what was sent while it was not bound was not meant for us.
    fn forget(&mut self, bucket: Option<u8>) {
        self.last.retain(|(_, it), _| *it != bucket);
    }

    fn after(&mut self, origin: Uuid, bucket: Option<u8>, number: Option<u64>) -> bool {
        let Some(number) = number else { return false };
        if self.last.len() >= Self::MOST {
            self.last.clear();
        }
        self.last
            .insert((origin, bucket), number)
            .is_some_and(|last| number > last + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_jump_in_the_numbers_of_one_sender_and_bucket_is_a_gap() {
        let (mut gaps, one, other) = (Gaps::default(), Uuid::from_u128(1), Uuid::from_u128(2));
        assert!(
            !gaps.after(one, Some(3), Some(10)),
            "the first number means nothing"
        );
        assert!(!gaps.after(one, Some(3), Some(11)));
        assert!(
            !gaps.after(one, Some(4), Some(20)),
            "buckets count for themselves"
        );
        assert!(!gaps.after(other, Some(3), Some(30)), "senders too");
        assert!(gaps.after(one, Some(3), Some(13)));
        assert!(!gaps.after(one, Some(3), Some(1)), "a sender that began anew");
        gaps.forget(Some(3));
        assert!(
            !gaps.after(one, Some(3), Some(90)),
            "a bucket that was bound anew"
        );
    }
}
