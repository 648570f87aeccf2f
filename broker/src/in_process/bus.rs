//! Fan-out to the gateways of this process (one, but any number in tests).

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use async_trait::async_trait;
use hubbub_core::broker::{BUCKETS, BrokerError, BucketBinder, BusMessage, BusSignal, BusSubscription};
use parking_lot::RwLock;
use tokio::sync::mpsc;

/// Signals that a subscriber may leave unread before publishers wait for it.
const CAPACITY: usize = 1024;

/// How long a publisher waits for a full subscriber before that subscriber is left behind.
const PATIENCE: Duration = Duration::from_secs(2);

/// Which buckets a subscriber has bound.
struct Bindings([AtomicBool; BUCKETS]);

impl Bindings {
    fn wants(&self, bucket: Option<u8>) -> bool {
        bucket.is_none_or(|bucket| self.0[usize::from(bucket)].load(Relaxed))
    }
}

#[async_trait]
impl BucketBinder for Bindings {
    async fn bind(&self, bucket: u8) -> Result<(), BrokerError> {
        self.0[usize::from(bucket)].store(true, Relaxed);
        Ok(())
    }

    async fn unbind(&self, bucket: u8) -> Result<(), BrokerError> {
        self.0[usize::from(bucket)].store(false, Relaxed);
        Ok(())
    }
}

struct Subscriber {
    bindings: Arc<Bindings>,
    signals: mpsc::Sender<BusSignal>,
    /// It did not keep up and has lost messages that it has not been told about yet.
    left_behind: AtomicBool,
}

impl Subscriber {
    async fn deliver(&self, message: BusMessage) {
        if self.left_behind.swap(false, Relaxed) && self.signals.try_send(BusSignal::Reconnected).is_err() {
            self.left_behind.store(true, Relaxed);
            return;
        }
        let signal = BusSignal::Message(message);
        if let Err(mpsc::error::SendTimeoutError::Timeout(_)) =
            self.signals.send_timeout(signal, PATIENCE).await
        {
            tracing::warn!("a bus subscriber does not keep up and will have to heal from the database");
            self.left_behind.store(true, Relaxed);
        }
    }
}

/// The subscribers of this process.
#[derive(Default)]
pub(super) struct LocalBus {
    subscribers: RwLock<Vec<Arc<Subscriber>>>,
}

impl LocalBus {
    /// Hands every message to whoever bound its bucket.
    pub(super) async fn publish(&self, messages: Vec<BusMessage>) {
        let subscribers = self.subscribers.read().clone();
        for message in messages {
            for subscriber in subscribers.iter().filter(|it| it.bindings.wants(message.bucket)) {
                subscriber.deliver(message.clone()).await;
            }
        }
        if subscribers
            .iter()
            .any(|subscriber| subscriber.signals.is_closed())
        {
            self.subscribers
                .write()
                .retain(|subscriber| !subscriber.signals.is_closed());
        }
    }

    /// Adds a subscriber with nothing bound; it leaves by dropping its receiver.
    pub(super) fn subscribe(&self) -> BusSubscription {
        let (sender, signals) = mpsc::channel(CAPACITY);
        let bindings = Arc::new(Bindings([const { AtomicBool::new(false) }; BUCKETS]));
        let subscriber = Subscriber {
            bindings: bindings.clone(),
            signals: sender,
            left_behind: AtomicBool::new(false),
        };
        self.subscribers.write().push(Arc::new(subscriber));
        BusSubscription {
            binder: bindings,
            signals,
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use uuid::Uuid;

    use super::*;

    fn message(text: &'static str) -> BusMessage {
        BusMessage {
            origin: Uuid::nil(),
            bucket: None,
            topics: vec![],
            payload: Bytes::from_static(text.as_bytes()),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_subscriber_that_does_not_read_is_left_behind_and_told_so() {
        let bus = LocalBus::default();
        let mut stuck = bus.subscribe();
        bus.publish(vec![message("kept"); CAPACITY]).await;
        let before = tokio::time::Instant::now();
        bus.publish(vec![message("lost"); 10]).await;
        assert_eq!(before.elapsed(), PATIENCE, "only the first message waits");

        for _ in 0..CAPACITY {
            assert!(
                matches!(stuck.signals.recv().await, Some(BusSignal::Message(it)) if it == message("kept"))
            );
        }
        bus.publish(vec![message("next")]).await;
        assert!(matches!(stuck.signals.recv().await, Some(BusSignal::Reconnected)));
        assert!(matches!(stuck.signals.recv().await, Some(BusSignal::Message(it)) if it == message("next")));
    }

    #[tokio::test]
    async fn a_subscriber_that_left_is_forgotten() {
        let bus = LocalBus::default();
        drop(bus.subscribe());
        bus.publish(vec![message("anyone?")]).await;
        assert!(bus.subscribers.read().is_empty());
    }
}
