//! Work.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::{Duration, Instant},
};

use async_trait::async_trait;
use hubbub_core::broker::{Job, JobClass, JobHandler, Outcome};
use tokio::sync::{Semaphore, mpsc};
use uuid::Uuid;

use crate::{Subject, within};

/// A job for one shard, told apart by its number.
pub(crate) fn job(number: u128) -> Job {
    Job {
        id: Uuid::from_u128(number),
        class: JobClass::Webhook,
        shard_key: u64::MAX - 5,
        attempt: 0,
        payload: format!("{{\"number\":{number}}}").into(),
    }
}

/// Reports what it runs and does with it what the test says.
pub(crate) struct Worker<F> {
    seen: mpsc::UnboundedSender<Job>,
    outcome: F,
}

impl<F: Fn(&Job) -> Outcome + Send + Sync + 'static> Worker<F> {
    pub(crate) fn start(outcome: F) -> (Arc<dyn JobHandler>, mpsc::UnboundedReceiver<Job>) {
        let (seen, jobs) = mpsc::unbounded_channel();
        (Arc::new(Self { seen, outcome }), jobs)
    }
}

#[async_trait]
impl<F: Fn(&Job) -> Outcome + Send + Sync> JobHandler for Worker<F> {
    async fn run(&self, job: Job) -> Outcome {
        let _ = self.seen.send(job.clone());
        (self.outcome)(&job)
    }
}

pub(crate) async fn a_job_is_run_once_with_what_it_carries(Subject { jobs, rabbit, .. }: Subject) {
    let (worker, mut seen) = Worker::start(|_| Outcome::Done);
    let consumer = jobs.consume(JobClass::Webhook, 4, worker).await.unwrap();
    jobs.enqueue(vec![
        job(1),
        Job {
            shard_key: 3,
            ..job(2)
        },
    ])
    .await
    .unwrap();
    let mut ran = [
        within("a job", seen.recv()).await.unwrap(),
        within("a job", seen.recv()).await.unwrap(),
    ];
    ran.sort_by_key(|job| job.id);
    assert_eq!(
        ran,
        [
            job(1),
            Job {
                shard_key: 3,
                ..job(2)
            }
        ]
    );
    consumer.stop().await;
    assert!(seen.recv().await.is_none());
    if let Some(rabbit) = rabbit {
        rabbit.expect_jobs(0).await;
    }
}

pub(crate) async fn a_retry_comes_back_with_the_next_attempt(Subject { jobs, .. }: Subject) {
    let (worker, mut seen) = Worker::start(|job| match job.attempt {
        0 | 1 => Outcome::RetryIn(Duration::from_millis(900)),
        _ => Outcome::Done,
    });
    let consumer = jobs.consume(JobClass::Webhook, 4, worker).await.unwrap();
    let start = Instant::now();
    jobs.enqueue(vec![job(1)]).await.unwrap();
    for attempt in 0..3 {
        assert_eq!(
            within("an attempt", seen.recv()).await.unwrap(),
            Job { attempt, ..job(1) }
        );
    }
    assert!(
        start.elapsed() > Duration::from_millis(1800),
        "after {:?}",
        start.elapsed()
    );
    consumer.stop().await;
}

pub(crate) async fn a_dead_letter_is_not_run_again(Subject { jobs, rabbit, .. }: Subject) {
    let (worker, mut seen) = Worker::start(|_| Outcome::DeadLetter("410 Gone".into()));
    let consumer = jobs.consume(JobClass::Webhook, 4, worker).await.unwrap();
    jobs.enqueue(vec![job(1)]).await.unwrap();
    assert_eq!(within("the job", seen.recv()).await.unwrap(), job(1));
    consumer.stop().await;
    assert!(seen.recv().await.is_none());
    if let Some(rabbit) = rabbit {
        rabbit.expect_jobs(0).await;
        let (id, reason) = rabbit.dead_letter().await;
        assert_eq!((id, reason.as_str()), (job(1).id, "410 Gone"));
    }
}

pub(crate) async fn a_panic_does_not_stop_the_consumer(Subject { jobs, .. }: Subject) {
    let panicked = AtomicUsize::new(0);
    let (worker, mut seen) = Worker::start(move |job| {
        assert!(
            job.id != self::job(1).id || panicked.fetch_add(1, SeqCst) > 0,
            "a bug in the handler"
        );
        Outcome::Done
    });
    let consumer = jobs.consume(JobClass::Webhook, 1, worker).await.unwrap();
    jobs.enqueue(vec![job(1), job(2)]).await.unwrap();
    while within("the second job", seen.recv()).await.unwrap() != job(2) {}
    consumer.stop().await;
}

/// Holds every job until it is let go.
struct Gate {
    entered: mpsc::UnboundedSender<Job>,
    open: Semaphore,
    inside: AtomicUsize,
    most: AtomicUsize,
}

#[async_trait]
impl JobHandler for Gate {
    async fn run(&self, job: Job) -> Outcome {
        self.most.fetch_max(self.inside.fetch_add(1, SeqCst) + 1, SeqCst);
        let _ = self.entered.send(job);
        self.open.acquire().await.unwrap().forget();
        self.inside.fetch_sub(1, SeqCst);
        Outcome::Done
    }
}

fn gate() -> (Arc<Gate>, mpsc::UnboundedReceiver<Job>) {
    let (entered, jobs) = mpsc::unbounded_channel();
    let (inside, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
    (
        Arc::new(Gate {
            entered,
            open: Semaphore::new(0),
            inside,
            most,
        }),
        jobs,
    )
}

pub(crate) async fn no_more_than_the_prefetch_run_at_a_time(Subject { jobs, .. }: Subject) {
    let (gate, mut entered) = gate();
    let consumer = jobs.consume(JobClass::Webhook, 2, gate.clone()).await.unwrap();
    jobs.enqueue((0..10).map(job).collect()).await.unwrap();
    // As many as may are there before any of them ends.
    for _ in 0..2 {
        within("a job", entered.recv()).await.unwrap();
    }
    for _ in 2..10 {
        gate.open.add_permits(1);
        within("a job", entered.recv()).await.unwrap();
    }
    gate.open.add_permits(2);
    assert_eq!(gate.most.load(SeqCst), 2);
    consumer.stop().await;
}

pub(crate) async fn stopping_waits_for_jobs_in_hand_and_takes_no_more(Subject { jobs, rabbit, .. }: Subject) {
    let (gate, mut entered) = gate();
    let consumer = jobs.consume(JobClass::Webhook, 1, gate.clone()).await.unwrap();
    jobs.enqueue(vec![job(1), job(2)]).await.unwrap();
    assert_eq!(within("the first job", entered.recv()).await.unwrap(), job(1));

    let mut stopping = tokio::spawn(consumer.stop());
    let early = tokio::time::timeout(Duration::from_millis(300), &mut stopping).await;
    assert!(early.is_err(), "stopped with a job in hand");
    gate.open.add_permits(10);
    within("the stop", stopping).await.unwrap();
    assert!(entered.try_recv().is_err(), "another job was taken");
    if let Some(rabbit) = rabbit {
        rabbit.expect_jobs(1).await;
    }

    let (worker, mut seen) = Worker::start(|_| Outcome::Done);
    let consumer = jobs.consume(JobClass::Webhook, 1, worker).await.unwrap();
    assert_eq!(within("the second job", seen.recv()).await.unwrap(), job(2));
    consumer.stop().await;
}
