//! One question to the database for many who ask different things of one kind at the same time.
//!
//! Nobody is waited for: who asks while nothing is being looked up is answered alone, and those who ask meanwhile are
//! answered together by the next look-up. What somebody is told was looked up after it asked.

use std::{mem, sync::Arc};

use parking_lot::Mutex;
use tokio::{sync::oneshot, time::timeout};

use crate::{
    db::TRANSACTION_LIMIT,
    error::{Error, ErrorCode, Result},
};

/// How many are answered by one look-up.
const MOST: usize = 64;
/// How many look-ups of one kind go on at the same time.
const LOOK_UPS: usize = 2;

/// Questions of one kind. Cheap to clone.
pub(crate) struct Together<Q, A>(Arc<Mutex<State<Q, A>>>);

type Waiting<Q, A> = Vec<(Q, oneshot::Sender<Result<A, ErrorCode>>)>;

struct State<Q, A> {
    waiting: Waiting<Q, A>,
    look_ups: usize,
}

impl<Q, A> Default for Together<Q, A> {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(State {
            waiting: Vec::new(),
            look_ups: 0,
        })))
    }
}

impl<Q: Send + 'static, A: Send + 'static> Together<Q, A> {
    /// The answer to `question`. `look_up` answers many, in their order.
    ///
    /// # Errors
    /// The code of what `look_up` fails with.
    pub(crate) async fn ask<L, F>(&self, question: Q, look_up: L) -> Result<A>
    where
        L: Fn(Vec<Q>) -> F + Send + 'static,
        F: Future<Output = Result<Vec<A>>> + Send + 'static,
    {
        let (sender, answer) = oneshot::channel();
        if self.join(question, sender) {
            let table = Arc::clone(&self.0);
            // On its own: others are answered too, whatever becomes of who asked first.
            tokio::spawn(async move {
                let mut turn = Turn(table);
                while let Some(waiting) = turn.next() {
                    let (questions, senders): (Vec<Q>, Vec<_>) = waiting.into_iter().unzip();
                    // A network may swallow an answer without a word.
                    let answers = timeout(2 * TRANSACTION_LIMIT, look_up(questions)).await;
                    let answers = answers.unwrap_or_else(|_| Err(Error::new(ErrorCode::Unavailable)));
                    answer_all(senders, answers);
                }
            });
        }
        match answer.await {
            Ok(answer) => answer.map_err(Error::from),
            Err(_) => Err(Error::new(ErrorCode::Unavailable)),
        }
    }

    /// Waits with the others; true when nobody else will look it up.
    fn join(&self, question: Q, sender: oneshot::Sender<Result<A, ErrorCode>>) -> bool {
        let mut state = self.0.lock();
        state.waiting.push((question, sender));
        let begins = state.look_ups < LOOK_UPS;
        state.look_ups += usize::from(begins);
        begins
    }
}

/// The right to look up, which ends when nobody waits any more, and with a panic.
struct Turn<Q, A>(Arc<Mutex<State<Q, A>>>);

impl<Q, A> Turn<Q, A> {
    fn next(&mut self) -> Option<Waiting<Q, A>> {
        let mut state = self.0.lock();
        if state.waiting.is_empty() {
            return None;
        }
        let rest = if state.waiting.len() > MOST {
            state.waiting.split_off(MOST)
        } else {
            Vec::new()
        };
        Some(mem::replace(&mut state.waiting, rest))
    }
}

impl<Q, A> Drop for Turn<Q, A> {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.look_ups -= 1;
        if std::thread::panicking() && state.look_ups == 0 {
            // They are told that there is no answer.
            state.waiting.clear();
        }
    }
}

fn answer_all<A>(senders: Vec<oneshot::Sender<Result<A, ErrorCode>>>, answers: Result<Vec<A>>) {
    match answers {
        Ok(answers) => {
            debug_assert_eq!(senders.len(), answers.len());
            for (sender, answer) in senders.into_iter().zip(answers) {
                let _ = sender.send(Ok(answer));
            }
        }
        Err(error) => {
            tracing::debug!(?error, asked = senders.len(), "questions could not be answered");
            for sender in senders {
                let _ = sender.send(Err(error.code()));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use futures_util::future::join_all;
    use tokio::sync::Semaphore;

    use super::*;

    #[tokio::test]
    async fn who_asks_meanwhile_is_answered_together() {
        let together = Together::<u32, u32>::default();
        let (gate, look_ups) = (Arc::new(Semaphore::new(0)), Arc::new(AtomicUsize::new(0)));
        let asking = join_all((0..200).map(|question| {
            let (gate, look_ups) = (Arc::clone(&gate), Arc::clone(&look_ups));
            together.ask(question, move |questions: Vec<u32>| {
                let (gate, look_ups) = (Arc::clone(&gate), Arc::clone(&look_ups));
                async move {
                    look_ups.fetch_add(1, Ordering::Relaxed);
                    assert!(questions.len() <= MOST);
                    gate.acquire().await.unwrap().forget();
                    Ok(questions.into_iter().map(|question| question * 2).collect())
                }
            })
        }));
        let opening = async { gate.add_permits(200) };
        let (answers, ()) = tokio::join!(asking, opening);
        for (question, answer) in answers.into_iter().enumerate() {
            assert_eq!(answer.unwrap() as usize, question * 2);
        }
        assert!(look_ups.load(Ordering::Relaxed) <= LOOK_UPS + 200usize.div_ceil(MOST));
    }

    #[tokio::test]
    async fn all_who_asked_hear_of_a_failure_and_the_next_ones_ask_anew() {
        let together = Together::<u32, u32>::default();
        let failing = |_| async { Err(Error::new(ErrorCode::Unavailable)) };
        let (one, other) = tokio::join!(together.ask(1, failing), together.ask(2, failing));
        assert_eq!(one.unwrap_err().code(), ErrorCode::Unavailable);
        assert_eq!(other.unwrap_err().code(), ErrorCode::Unavailable);
        assert_eq!(together.ask(3, |asked| async { Ok(asked) }).await.unwrap(), 3);
    }

    #[tokio::test]
    async fn who_gives_up_leaves_the_others_their_answers() {
        let together = Arc::new(Together::<u32, u32>::default());
        let gate = Arc::new(Semaphore::new(0));
        let slow = {
            let gate = Arc::clone(&gate);
            move |asked: Vec<u32>| {
                let gate = Arc::clone(&gate);
                async move {
                    gate.acquire().await.unwrap().forget();
                    Ok(asked)
                }
            }
        };
        let first = tokio::spawn({
            let (together, slow) = (Arc::clone(&together), slow.clone());
            async move { together.ask(1, slow).await }
        });
        tokio::task::yield_now().await;
        first.abort();
        gate.add_permits(10);
        assert_eq!(together.ask(2, slow).await.unwrap(), 2);
    }
}
