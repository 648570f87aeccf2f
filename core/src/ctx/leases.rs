//! Answers of the database that are good for a moment.
//!
//! An answer is used for [`LEASE`], counted from before it was looked up. A change of what was answered is made known
//! to the caller only when every lease that may have begun before its commit has ended ([`outlived`]), on whatever node:
//! so nobody can tell that an answer was kept. That needs neither messages between nodes nor clocks that agree.

use std::{
    collections::HashMap,
    hash::Hash,
    sync::Arc,
    time::{Duration, Instant},
};

use parking_lot::Mutex;

use crate::{coalesce::Coalesce, error::Result};

/// How long an answer is used.
const LEASE: Duration = Duration::from_millis(25);
/// So many answers are kept before those that are too old are looked for.
const TIDY_FROM: usize = 256;

/// Waits until no node uses what was looked up before now any more.
pub(super) async fn outlived() {
    // Instants are compared with a strict "less"; the timer's own granularity is a millisecond.
    tokio::time::sleep(LEASE).await;
}

/// What there is by key. What there is not is looked up each time.
pub(super) struct Leases<K: Copy + Eq + Hash, M> {
    known: Mutex<Known<K, M>>,
    asked: Coalesce<K, Option<Arc<M>>>,
}

struct Known<K, M> {
    answers: HashMap<K, (Instant, Arc<M>)>,
    /// Moves on with each change of this process: what was being looked up meanwhile may be the old state.
    generation: u64,
    tidy_at: usize,
}

impl<K: Copy + Eq + Hash, M> Default for Leases<K, M> {
    fn default() -> Self {
        let known = Known {
            answers: HashMap::new(),
            generation: 0,
            tidy_at: TIDY_FROM,
        };
        Self {
            known: Mutex::new(known),
            asked: Coalesce::default(),
        }
    }
}

impl<K: Copy + Eq + Hash, M> Leases<K, M> {
    /// What is known of the key, or else the answer of `ask`.
    ///
    /// # Errors
    /// Those of `ask`.
    pub(super) async fn ask<A, F>(&self, key: K, ask: A) -> Result<Option<Arc<M>>>
    where
        A: Fn() -> F,
        F: Future<Output = Result<Option<M>>>,
    {
        if let Some(known) = self.fresh(key) {
            return Ok(Some(known));
        }
        let look_up = || async {
            // Whoever waited for its turn may find what was looked up meanwhile.
            if let Some(known) = self.fresh(key) {
                return Ok(Some(known));
            }
            let (generation, began) = (self.known.lock().generation, Instant::now());
            let answer = ask().await?.map(Arc::new);
            if let Some(answer) = &answer {
                self.keep(key, answer, generation, began);
            }
            Ok(answer)
        };
        self.asked.ask(key, look_up).await
    }

    /// Forgets what this process knows: it has changed.
    pub(super) fn forget(&self) {
        let mut known = self.known.lock();
        known.generation += 1;
        known.answers.clear();
    }

    fn fresh(&self, key: K) -> Option<Arc<M>> {
        let known = self.known.lock();
        let (began, answer) = known.answers.get(&key)?;
        (began.elapsed() < LEASE).then(|| Arc::clone(answer))
    }

    fn keep(&self, key: K, answer: &Arc<M>, generation: u64, began: Instant) {
        let mut known = self.known.lock();
        if known.generation != generation {
            return;
        }
        if known.answers.len() >= known.tidy_at {
            known.answers.retain(|_, (began, _)| began.elapsed() < LEASE);
            known.answers.shrink_to(TIDY_FROM);
            known.tidy_at = TIDY_FROM.max(known.answers.len() * 2);
        }
        known.answers.insert(key, (began, Arc::clone(answer)));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    /// Answers with how often it was asked.
    struct Source {
        leases: Leases<u8, u32>,
        asked: AtomicU32,
    }

    impl Source {
        fn new() -> Self {
            Self {
                leases: Leases::default(),
                asked: AtomicU32::new(0),
            }
        }

        async fn ask(&self, key: u8) -> u32 {
            let ask = || async { Ok(Some(self.asked.fetch_add(1, Ordering::SeqCst) + 1)) };
            *self.leases.ask(key, ask).await.unwrap().unwrap()
        }
    }

    #[tokio::test]
    async fn an_answer_is_used_until_its_lease_ends() {
        let source = Source::new();
        let began = Instant::now();
        let mut last = source.ask(1).await;
        assert_eq!(last, 1);
        while source.asked.load(Ordering::SeqCst) == 1 {
            last = source.ask(1).await;
        }
        assert!(began.elapsed() >= LEASE, "{:?}", began.elapsed());
        assert_eq!(last, 2);
    }

    #[tokio::test]
    async fn who_has_waited_sees_the_change() {
        let source = Source::new();
        assert_eq!(source.ask(1).await, 1);
        outlived().await;
        assert_eq!(source.ask(1).await, 2);
    }

    #[tokio::test]
    async fn what_is_forgotten_is_looked_up() {
        let source = Source::new();
        source.ask(1).await;
        source.leases.forget();
        assert_eq!(source.ask(1).await, 2);
    }

    #[tokio::test]
    async fn what_was_being_looked_up_while_it_changed_is_not_kept() {
        let source = Source::new();
        let ask = || async {
            source.leases.forget();
            Ok(Some(100))
        };
        assert_eq!(*source.leases.ask(1, ask).await.unwrap().unwrap(), 100);
        assert_eq!(source.ask(1).await, 1);
    }

    #[tokio::test]
    async fn nothing_is_not_kept() {
        let leases: Leases<u8, u32> = Leases::default();
        assert!(leases.ask(1, || async { Ok(None) }).await.unwrap().is_none());
        assert!(leases.ask(1, || async { Ok(Some(1)) }).await.unwrap().is_some());
    }

    #[tokio::test]
    async fn old_answers_do_not_pile_up() {
        let source = Source::new();
        for round in 0..4_u8 {
            for key in 0..=255 {
                source.ask(key).await;
            }
            outlived().await;
            assert!(
                source.leases.known.lock().answers.len() <= 2 * TIDY_FROM,
                "round {round}"
            );
        }
    }
}
