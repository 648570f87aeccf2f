//! What both brokers promise, tested the same way on each.
//!
//! The RabbitMQ half needs `HUBBUB_TEST_AMQP_URL`; the restart test also `HUBBUB_TEST_RABBITMQ_RESTART`, a shell
//! command that stops the broker and starts it again. Without them these tests say that they were skipped.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stderr)]

mod asks;
mod bus;
mod jobs;
mod rabbit;

use std::{
    future::Future,
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use hubbub_broker::InProcess;
use hubbub_core::broker::{Asks, Bus, BusMessage, BusSignal, BusSubscription, Jobs};
use uuid::Uuid;

/// Longer than anything here takes, shorter than anybody's patience.
const PATIENCE: Duration = Duration::from_secs(30);

/// A broker under test, and what it takes to look inside.
#[derive(Clone)]
struct Subject {
    bus: Arc<dyn Bus>,
    jobs: Arc<dyn Jobs>,
    asks: Arc<dyn Asks>,
    rabbit: Option<rabbit::Inspector>,
}

impl Subject {
    fn in_process() -> Self {
        let broker = Arc::new(InProcess::new());
        Self {
            bus: broker.clone(),
            jobs: broker.clone(),
            asks: broker,
            rabbit: None,
        }
    }
}

/// Runs each named behaviour on both brokers.
macro_rules! on_both_brokers {
    ($($module:ident::$behaviour:ident)*) => {
        mod in_process {
            $(#[tokio::test] async fn $behaviour() { super::$module::$behaviour(super::Subject::in_process()).await; })*
        }
        mod rabbitmq {
            $(#[tokio::test] async fn $behaviour() {
                if let Some(subject) = super::rabbit::subject(stringify!($behaviour)).await {
                    super::$module::$behaviour(subject.clone()).await;
                    super::rabbit::clean_up(subject).await;
                }
            })*
        }
    };
}

on_both_brokers! {
    asks::everybody_gets_the_reply_to_its_own_question
    asks::thousands_may_wait_at_once
    asks::who_gets_no_reply_stops_waiting
    asks::without_workers_there_is_no_reply
    asks::a_panic_is_no_reply_and_does_not_stop_the_worker
    asks::no_more_than_agreed_are_answered_at_a_time
    asks::classes_do_not_hear_each_other
    asks::stopping_waits_for_questions_in_hand
    bus::a_bound_bucket_is_heard_and_an_unbound_one_is_not
    bus::control_messages_reach_everybody
    bus::a_process_hears_its_own_messages
    bus::an_unbound_bucket_falls_silent
    bus::messages_of_one_publisher_arrive_in_order
    bus::nobody_listening_is_not_an_error
    jobs::a_job_is_run_once_with_what_it_carries
    jobs::a_retry_comes_back_with_the_next_attempt
    jobs::a_dead_letter_is_not_run_again
    jobs::a_panic_does_not_stop_the_consumer
    jobs::no_more_than_the_prefetch_run_at_a_time
    jobs::stopping_waits_for_jobs_in_hand_and_takes_no_more
}

fn message(bucket: Option<u8>, text: impl Into<String>) -> BusMessage {
    BusMessage {
        origin: Uuid::from_u128(1),
        bucket,
        topics: vec![7, u64::MAX],
        payload: Bytes::from(text.into()),
    }
}

/// The next message, whatever signals come before it.
async fn hears(subscription: &mut BusSubscription) -> BusMessage {
    within("a bus message", async {
        loop {
            if let BusSignal::Message(message) =
                subscription.signals.recv().await.expect("an open subscription")
            {
                return message;
            }
        }
    })
    .await
}

async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future)
        .await
        .unwrap_or_else(|_| panic!("{what} did not come"))
}

/// Polls a condition that nothing announces.
async fn eventually<F: Future<Output = bool>>(what: &str, condition: impl Fn() -> F) {
    let start = Instant::now();
    while !condition().await {
        assert!(start.elapsed() < PATIENCE, "{what} did not come true");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
