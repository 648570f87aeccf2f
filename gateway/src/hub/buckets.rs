//! Which buckets of the bus this process listens to: those of the topics that its clients hear.

use std::{collections::HashMap, sync::Arc, time::Duration};

use hubbub_core::{
    broker::{BUCKETS, BucketBinder},
    topic::Topic,
};
use parking_lot::Mutex;
use tokio::sync::{mpsc, watch};

/// How long a join waits for the bus before it relies on the audit.
const PATIENCE: Duration = Duration::from_secs(2);

/// Counted interest in topics and, through them, in buckets.
pub(crate) struct Buckets {
    state: Arc<Mutex<State>>,
    changes: mpsc::UnboundedSender<u8>,
    bound: watch::Receiver<[bool; BUCKETS]>,
    /// In process nothing needs to be bound.
    shared: bool,
}

struct State {
    topics: HashMap<u64, usize>,
    buckets: [u32; BUCKETS],
}

impl Buckets {
    pub(crate) fn start(binder: Arc<dyn BucketBinder>, shared: bool) -> Self {
        let state = Arc::new(Mutex::new(State {
            topics: HashMap::new(),
            buckets: [0; BUCKETS],
        }));
        let (changes, incoming) = mpsc::unbounded_channel();
        let (announce, bound) = watch::channel([false; BUCKETS]);
        tokio::spawn(follow(binder, Arc::clone(&state), incoming, announce));
        Self {
            state,
            changes,
            bound,
            shared,
        }
    }

    /// A first local subscriber of the topic.
    pub(crate) fn interest(&self, topic: Topic) {
        let mut state = self.state.lock();
        let count = state.topics.entry(topic.0).or_insert(0);
        *count += 1;
        if *count == 1 {
            let bucket = usize::from(topic.bucket());
            state.buckets[bucket] += 1;
            if state.buckets[bucket] == 1 && self.shared {
                let _ = self.changes.send(topic.bucket());
            }
        }
    }

    /// The last local subscriber of the topic is gone.
    pub(crate) fn no_interest(&self, topic: Topic) {
        let mut state = self.state.lock();
        let Some(count) = state.topics.get_mut(&topic.0) else {
            return;
        };
        *count -= 1;
        if *count == 0 {
            state.topics.remove(&topic.0);
            let bucket = usize::from(topic.bucket());
            state.buckets[bucket] -= 1;
            if state.buckets[bucket] == 0 && self.shared {
                let _ = self.changes.send(topic.bucket());
            }
        }
    }

    /// Whether any of these topics has a local subscriber.
    pub(crate) fn concerns(&self, topics: &[u64]) -> bool {
        let state = self.state.lock();
        topics.iter().any(|topic| state.topics.contains_key(topic))
    }

    /// Waits until the buckets of these topics are bound, but not for a broker that is away.
    pub(crate) async fn bound(&self, topics: impl IntoIterator<Item = Topic>) {
        if !self.shared {
            return;
        }
        let wanted: Vec<usize> = topics
            .into_iter()
            .map(|topic| usize::from(topic.bucket()))
            .collect();
        let mut bound = self.bound.clone();
        let all = bound.wait_for(|bound| wanted.iter().all(|bucket| bound[*bucket]));
        let _ = tokio::time::timeout(PATIENCE, all).await;
    }
}

/// Binds and unbinds one at a time, always towards what is wanted now.
async fn follow(
    binder: Arc<dyn BucketBinder>,
    state: Arc<Mutex<State>>,
    mut changes: mpsc::UnboundedReceiver<u8>,
    announce: watch::Sender<[bool; BUCKETS]>,
) {
    while let Some(bucket) = changes.recv().await {
        let place = usize::from(bucket);
        let wanted = state.lock().buckets[place] > 0;
        if wanted == announce.borrow()[place] {
            continue;
        }
        let outcome = if wanted {
            binder.bind(bucket).await
        } else {
            binder.unbind(bucket).await
        };
        if let Err(error) = outcome {
            // The binder keeps the wish and carries it out on reconnect, and a reconnect is followed by an audit.
            tracing::debug!(%error, bucket, "the bus is away; the bucket follows on reconnect");
        }
        announce.send_modify(|bound| bound[place] = wanted);
    }
}
