//! One question to the database for many who ask it at the same time.
//!
//! Whoever asks gets an answer that was looked up after it asked, as if it had asked alone: a question that arrives while
//! a look-up of its key is under way waits for the next one, which answers everybody who waits by then.

use std::{
    collections::HashMap,
    hash::Hash,
    mem,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::sync::oneshot;

use crate::error::{Error, ErrorCode, Result};

/// Look-ups by key.
pub(crate) struct Coalesce<K: Copy + Eq + Hash, V>(Table<K, V>);

/// Those who wait, by key. A key is in the table while somebody asks.
type Table<K, V> = Arc<Mutex<HashMap<K, Vec<oneshot::Sender<Turn<K, V>>>>>>;

/// What somebody who waits is told.
enum Turn<K: Copy + Eq + Hash, V> {
    /// The answer.
    Done(Result<V, ErrorCode>),
    /// It is its turn to ask.
    Ask(Asking<K, V>),
}

/// The right to ask, for oneself and for others. When it is lost half-way, those begin anew.
struct Asking<K: Copy + Eq + Hash, V> {
    table: Table<K, V>,
    key: K,
    others: Vec<oneshot::Sender<Turn<K, V>>>,
}

impl<K: Copy + Eq + Hash, V> Default for Coalesce<K, V> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<K: Copy + Eq + Hash, V: Clone> Coalesce<K, V> {
    /// The answer of `ask`, or of somebody else's `ask` for this key that began after this call.
    ///
    /// # Errors
    /// Those of `ask`; who only waited gets the error's code.
    pub(crate) async fn ask<A, F>(&self, key: K, ask: A) -> Result<V>
    where
        A: Fn() -> F,
        F: Future<Output = Result<V>>,
    {
        loop {
            let asking = match self.join(key) {
                Ok(asking) => asking,
                Err(turn) => match turn.await {
                    Ok(Turn::Done(answer)) => return answer.map_err(Error::from),
                    Ok(Turn::Ask(asking)) => asking,
                    // Who asked was cancelled.
                    Err(_) => continue,
                },
            };
            let answer = ask().await;
            asking.share(&answer);
            return answer;
        }
    }

    /// The right to ask, or a place among those who wait.
    fn join(&self, key: K) -> Result<Asking<K, V>, oneshot::Receiver<Turn<K, V>>> {
        let mut table = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(waiting) = table.get_mut(&key) {
            let (sender, turn) = oneshot::channel();
            waiting.push(sender);
            return Err(turn);
        }
        table.insert(key, Vec::new());
        Ok(Asking {
            table: Arc::clone(&self.0),
            key,
            others: Vec::new(),
        })
    }
}

impl<K: Copy + Eq + Hash, V: Clone> Asking<K, V> {
    /// Tells the others, and lets the first of those who came meanwhile ask for all of them.
    fn share(mut self, answer: &Result<V>) {
        for other in mem::take(&mut self.others) {
            let answer = match answer {
                Ok(value) => Ok(value.clone()),
                Err(error) => Err(error.code()),
            };
            let _ = other.send(Turn::Done(answer));
        }
        let mut waiting = {
            let mut table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
            table.get_mut(&self.key).map(mem::take).unwrap_or_default()
        };
        if !waiting.is_empty() {
            let next = waiting.swap_remove(0);
            self.others = waiting;
            // When it has gone meanwhile, the right comes back in the error, is dropped, and the others begin anew.
            let _ = next.send(Turn::Ask(self));
        }
    }
}

impl<K: Copy + Eq + Hash, V> Drop for Asking<K, V> {
    fn drop(&mut self) {
        self.table
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&self.key);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::sync::Semaphore;

    use super::*;

    struct Slow {
        all: Coalesce<u8, usize>,
        asked: AtomicUsize,
        gate: Semaphore,
    }

    impl Slow {
        fn new() -> Arc<Self> {
            Arc::new(Self {
                all: Coalesce::default(),
                asked: AtomicUsize::new(0),
                gate: Semaphore::new(0),
            })
        }

        async fn ask(self: Arc<Self>) -> Result<usize> {
            self.all
                .ask(1, || async {
                    let number = self.asked.fetch_add(1, Ordering::SeqCst);
                    self.gate
                        .acquire()
                        .await
                        .map_err(|_| Error::new(ErrorCode::Unavailable))?
                        .forget();
                    Ok(number)
                })
                .await
        }

        async fn until_asked(&self, times: usize) {
            while self.asked.load(Ordering::SeqCst) < times {
                tokio::task::yield_now().await;
            }
        }

        async fn until_waiting(&self, count: usize) {
            while self.all.0.lock().unwrap().get(&1).map_or(0, Vec::len) < count {
                tokio::task::yield_now().await;
            }
        }
    }

    #[tokio::test]
    async fn who_comes_while_somebody_asks_shares_the_next_answer() {
        let slow = Slow::new();
        let first = tokio::spawn(Arc::clone(&slow).ask());
        slow.until_asked(1).await;
        let later: Vec<_> = (0..5).map(|_| tokio::spawn(Arc::clone(&slow).ask())).collect();
        slow.until_waiting(5).await;
        slow.gate.add_permits(1);
        assert_eq!(first.await.unwrap().unwrap(), 0);
        slow.until_asked(2).await;
        slow.gate.add_permits(1);
        for later in later {
            assert_eq!(later.await.unwrap().unwrap(), 1);
        }
        assert!(slow.all.0.lock().unwrap().is_empty());
    }

    #[tokio::test]
    async fn nobody_waits_for_somebody_who_was_cancelled() {
        let slow = Slow::new();
        let first = tokio::spawn(Arc::clone(&slow).ask());
        slow.until_asked(1).await;
        let second = tokio::spawn(Arc::clone(&slow).ask());
        slow.until_waiting(1).await;
        let third = tokio::spawn(Arc::clone(&slow).ask());
        slow.until_waiting(2).await;
        first.abort();
        slow.until_asked(2).await;
        slow.gate.add_permits(5);
        assert!(second.await.unwrap().is_ok());
        assert!(third.await.unwrap().is_ok());
        assert!(slow.all.0.lock().unwrap().is_empty());
    }

    #[tokio::test]
    async fn errors_are_shared_by_their_code() {
        let slow = Slow::new();
        let first = tokio::spawn(Arc::clone(&slow).ask());
        slow.until_asked(1).await;
        let second = tokio::spawn(Arc::clone(&slow).ask());
        slow.until_waiting(1).await;
        slow.gate.close();
        assert!(first.await.unwrap().is_err());
        assert_eq!(second.await.unwrap().unwrap_err().code(), ErrorCode::Unavailable);
    }
}
