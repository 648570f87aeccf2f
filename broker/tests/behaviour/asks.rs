//! Questions.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::{Duration, Instant},
};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::future::join_all;
use hubbub_core::broker::{Answerer, AskClass, AskError, Asks};
use tokio::sync::Semaphore;

use crate::{PATIENCE, Subject, eventually, within};

const CLASS: AskClass = AskClass::PreEvent;

/// Repeats what it is asked, once the gate is open.
pub(crate) struct Echo {
    gate: Semaphore,
    inside: AtomicUsize,
    most: AtomicUsize,
    asked: AtomicUsize,
}

impl Echo {
    pub(crate) fn open() -> Arc<Self> {
        Self::with_gate(1_000_000)
    }

    pub(crate) fn closed() -> Arc<Self> {
        Self::with_gate(0)
    }

    fn with_gate(permits: usize) -> Arc<Self> {
        Arc::new(Self {
            gate: Semaphore::new(permits),
            inside: AtomicUsize::new(0),
            most: AtomicUsize::new(0),
            asked: AtomicUsize::new(0),
        })
    }

    /// Opens the gate for good.
    pub(crate) fn release(&self) {
        self.gate.add_permits(1_000_000);
    }

    pub(crate) async fn has_been_asked(&self, times: usize) {
        eventually(&format!("{times} questions"), || async {
            self.asked.load(SeqCst) >= times
        })
        .await;
    }
}

#[async_trait]
impl Answerer for Echo {
    async fn reply(&self, question: Bytes) -> Bytes {
        self.most.fetch_max(self.inside.fetch_add(1, SeqCst) + 1, SeqCst);
        self.asked.fetch_add(1, SeqCst);
        assert!(question != "panic", "a bug in the answerer");
        self.gate.acquire().await.unwrap().forget();
        self.inside.fetch_sub(1, SeqCst);
        Bytes::from([b"re: ", question.as_ref()].concat())
    }
}

/// Asks and expects the fitting reply.
async fn asks(asks: &dyn Asks, question: String) {
    let reply = asks.ask(CLASS, question.clone().into(), PATIENCE).await.unwrap();
    assert_eq!(reply, format!("re: {question}"));
}

pub(crate) async fn everybody_gets_the_reply_to_its_own_question(Subject { asks, .. }: Subject) {
    let worker = asks.answer(CLASS, 64, Echo::open()).await.unwrap();
    join_all((0..500).map(|number| self::asks(&*asks, format!("question {number}")))).await;
    worker.stop().await;
}

pub(crate) async fn thousands_may_wait_at_once(Subject { asks, .. }: Subject) {
    const CROWD: usize = 2_000;
    let echo = Echo::closed();
    let worker = asks.answer(CLASS, 4_096, echo.clone()).await.unwrap();
    let crowd = join_all((0..CROWD).map(|number| self::asks(&*asks, number.to_string())));
    let release = async {
        echo.has_been_asked(CROWD).await;
        echo.gate.add_permits(CROWD);
    };
    within("all replies", async { tokio::join!(crowd, release) }).await;
    worker.stop().await;
}

pub(crate) async fn who_gets_no_reply_stops_waiting(Subject { asks, .. }: Subject) {
    let echo = Echo::closed();
    let worker = asks.answer(CLASS, 8, echo.clone()).await.unwrap();
    // The link is dialled for the first question.
    let patience = Duration::from_secs(3);
    let began = Instant::now();
    let reply = asks.ask(CLASS, Bytes::from_static(b"anybody?"), patience).await;
    assert!(matches!(reply, Err(AskError::NoReply(_))), "{reply:?}");
    assert!(began.elapsed() >= patience, "after {:?}", began.elapsed());
    echo.gate.add_permits(100);
    self::asks(&*asks, "the next one".into()).await;
    worker.stop().await;
}

pub(crate) async fn without_workers_there_is_no_reply(Subject { asks, .. }: Subject) {
    let reply = asks
        .ask(CLASS, Bytes::from_static(b"anybody?"), Duration::from_millis(500))
        .await;
    assert!(reply.is_err(), "{reply:?}");
}

pub(crate) async fn a_panic_is_no_reply_and_does_not_stop_the_worker(Subject { asks, .. }: Subject) {
    let worker = asks.answer(CLASS, 1, Echo::open()).await.unwrap();
    let began = Instant::now();
    let reply = asks.ask(CLASS, Bytes::from_static(b"panic"), PATIENCE).await;
    assert!(matches!(reply, Err(AskError::NoReply(_))), "{reply:?}");
    assert!(began.elapsed() < PATIENCE / 2, "it is known at once");
    self::asks(&*asks, "the next one".into()).await;
    worker.stop().await;
}

pub(crate) async fn no_more_than_agreed_are_answered_at_a_time(Subject { asks, .. }: Subject) {
    let echo = Echo::closed();
    let worker = asks.answer(CLASS, 2, echo.clone()).await.unwrap();
    let crowd = join_all((0..10).map(|number| self::asks(&*asks, number.to_string())));
    let release = async {
        for number in 1..=10 {
            echo.has_been_asked(number).await;
            echo.gate.add_permits(1);
        }
    };
    within("all replies", async { tokio::join!(crowd, release) }).await;
    assert_eq!(echo.most.load(SeqCst), 2);
    worker.stop().await;
}

pub(crate) async fn classes_do_not_hear_each_other(Subject { asks, .. }: Subject) {
    let (hooks, trials) = (Echo::open(), Echo::open());
    let one = asks.answer(CLASS, 8, hooks.clone()).await.unwrap();
    let other = asks.answer(AskClass::Trial, 8, trials.clone()).await.unwrap();
    self::asks(&*asks, "for one".into()).await;
    assert_eq!((hooks.asked.load(SeqCst), trials.asked.load(SeqCst)), (1, 0));
    one.stop().await;
    other.stop().await;
}

pub(crate) async fn stopping_waits_for_questions_in_hand(Subject { asks, .. }: Subject) {
    let echo = Echo::closed();
    let worker = asks.answer(CLASS, 8, echo.clone()).await.unwrap();
    let asked = self::asks(&*asks, "in hand".into());
    let stop = async {
        echo.has_been_asked(1).await;
        let mut stopping = tokio::spawn(worker.stop());
        let early = tokio::time::timeout(Duration::from_millis(300), &mut stopping).await;
        assert!(early.is_err(), "stopped with a question in hand");
        echo.gate.add_permits(1);
        within("the stop", stopping).await.unwrap();
    };
    tokio::join!(asked, stop);
}
