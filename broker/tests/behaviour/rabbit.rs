//! What only concerns RabbitMQ: looking into its queues, and its absence.

use std::{
    env,
    process::Command,
    sync::Arc,
    time::{Duration, Instant},
};

use hubbub_broker::{ConnectError, Options, RabbitMq, Start};
use hubbub_core::broker::{
    AskClass, AskError, Asks, BrokerError, Bus, BusSignal, Job, JobClass, Jobs, Outcome,
};
use lapin::{
    Channel, Connection, ConnectionProperties,
    options::{BasicGetOptions, ExchangeDeleteOptions, QueueDeclareOptions, QueueDeleteOptions},
    types::{AMQPValue, FieldTable},
};
use tokio::sync::{RwLock, RwLockReadGuard};
use uuid::Uuid;

use crate::{
    PATIENCE, Subject,
    asks::Echo,
    eventually, hears,
    jobs::{Worker, job},
    message, within,
};

/// Held for reading by every test that needs the broker to stay up, for writing by the one that restarts it.
static UP: RwLock<()> = RwLock::const_new(());

/// Looks into the queues of one test through a connection of its own.
#[derive(Clone)]
pub(crate) struct Inspector {
    #[expect(dead_code, reason = "keeps the channel open")]
    connection: Arc<Connection>,
    stays_up: Option<Arc<RwLockReadGuard<'static, ()>>>,
    channel: Channel,
    prefix: String,
}

impl Inspector {
    async fn new(url: &str, prefix: String) -> Self {
        let connection = Connection::connect(url, ConnectionProperties::default())
            .await
            .unwrap();
        let channel = connection.create_channel().await.unwrap();
        Self {
            connection: Arc::new(connection),
            stays_up: None,
            channel,
            prefix,
        }
    }

    /// Waits until so many jobs lie ready in the work queues.
    pub(crate) async fn expect_jobs(&self, expected: u32) {
        eventually(&format!("{expected} ready jobs"), || async {
            let mut ready = 0;
            for shard in 0..JobClass::Webhook.shards() {
                let queue = format!("{}.webhook.{shard}", self.prefix).into();
                let passive = QueueDeclareOptions {
                    passive: true,
                    ..QueueDeclareOptions::default()
                };
                ready += self
                    .channel
                    .queue_declare(queue, passive, FieldTable::default())
                    .await
                    .unwrap()
                    .message_count();
            }
            ready == expected
        })
        .await;
    }

    /// Takes the job that lies in the dead queue, and tells why it does.
    pub(crate) async fn dead_letter(&self) -> (Uuid, String) {
        let queue = format!("{}.webhook.dead", self.prefix);
        let message = within("a dead letter", async {
            loop {
                let options = BasicGetOptions { no_ack: true };
                if let Some(message) = self
                    .channel
                    .basic_get(queue.as_str().into(), options)
                    .await
                    .unwrap()
                {
                    return message;
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        })
        .await;
        let headers = message.properties.headers().clone().unwrap();
        let reason = match headers.inner().get("x-reason") {
            Some(AMQPValue::LongString(reason)) => reason.to_string(),
            _ => String::new(),
        };
        (
            message
                .properties
                .message_id()
                .as_ref()
                .unwrap()
                .as_str()
                .parse()
                .unwrap(),
            reason,
        )
    }

    async fn delete_all(&self) {
        let queues = (0..JobClass::Webhook.shards()).map(|shard| format!("webhook.{shard}"));
        let rest = ["webhook.dead", "retry.1s", "retry.5s", "retry.30s"].map(String::from);
        let asks = AskClass::ALL.map(|class| format!("ask.{}", class.name()));
        for queue in queues.chain(rest).chain(asks) {
            let name = format!("{}.{queue}", self.prefix).into();
            self.channel
                .queue_delete(name, QueueDeleteOptions::default())
                .await
                .unwrap();
        }
        for exchange in ["bus", "work", "work.dead", "retry.1s", "retry.5s", "retry.30s"] {
            let name = format!("{}.{exchange}", self.prefix).into();
            self.channel
                .exchange_delete(name, ExchangeDeleteOptions::default())
                .await
                .unwrap();
        }
    }
}

/// The address of the broker, or a word that the test was skipped.
fn address(test: &str) -> Option<String> {
    let url = env::var("HUBBUB_TEST_AMQP_URL").ok();
    if url.is_none() {
        eprintln!("SKIPPED: {test} (HUBBUB_TEST_AMQP_URL is not set)");
    }
    url
}

async fn broker(url: &str, prefix: &str) -> Arc<RabbitMq> {
    let options = Options {
        prefix: prefix.into(),
        ..Options::default()
    };
    Arc::new(RabbitMq::connect(url, Uuid::new_v4(), options).await.unwrap())
}

/// A broker handle with names of its own, on a broker that nobody restarts meanwhile.
pub(crate) async fn subject(test: &str) -> Option<Subject> {
    let url = address(test)?;
    let stays_up = UP.read().await;
    let mut subject = restartable_subject(&url).await;
    subject.rabbit.as_mut().unwrap().stays_up = Some(Arc::new(stays_up));
    Some(subject)
}

async fn restartable_subject(url: &str) -> Subject {
    let prefix = format!("test-{}", Uuid::new_v4());
    let broker = broker(url, &prefix).await;
    assert!(broker.is_connected());
    Subject {
        bus: broker.clone(),
        jobs: broker.clone(),
        asks: broker,
        rabbit: Some(Inspector::new(url, prefix).await),
    }
}

pub(crate) async fn clean_up(subject: Subject) {
    subject.rabbit.unwrap().delete_all().await;
}

#[tokio::test]
async fn processes_hear_each_other() {
    let Some(subject) = subject("processes_hear_each_other").await else {
        return;
    };
    let other = broker(&address("").unwrap(), &subject.rabbit.as_ref().unwrap().prefix).await;
    let (mut here, mut there) = (
        subject.bus.subscribe().await.unwrap(),
        other.subscribe().await.unwrap(),
    );
    here.binder.bind(5).await.unwrap();
    there.binder.bind(5).await.unwrap();
    other.publish(vec![message(Some(5), "from there")]).await.unwrap();
    assert_eq!(hears(&mut here).await.payload, "from there");
    assert_eq!(hears(&mut there).await.payload, "from there");
    clean_up(subject).await;
}

#[tokio::test]
async fn another_process_answers() {
    let Some(subject) = subject("another_process_answers").await else {
        return;
    };
    let other = broker(&address("").unwrap(), &subject.rabbit.as_ref().unwrap().prefix).await;
    let worker = other.answer(AskClass::PreEvent, 8, Echo::open()).await.unwrap();
    let question = "from here".into();
    let reply = subject.asks.ask(AskClass::PreEvent, question, PATIENCE).await;
    assert_eq!(reply.unwrap(), "re: from here");
    worker.stop().await;
    clean_up(subject).await;
}

#[tokio::test]
async fn a_job_that_crashes_every_worker_ends_in_the_dead_queue() {
    let Some(subject) = subject("a_job_that_crashes_every_worker_ends_in_the_dead_queue").await else {
        return;
    };
    let (worker, _seen) = Worker::start(|_| panic!("a bug in the handler"));
    let consumer = subject.jobs.consume(JobClass::Webhook, 4, worker).await.unwrap();
    subject.jobs.enqueue(vec![job(1)]).await.unwrap();
    assert_eq!(subject.rabbit.as_ref().unwrap().dead_letter().await.0, job(1).id);
    consumer.stop().await;
    clean_up(subject).await;
}

#[tokio::test]
async fn a_job_without_a_queue_is_refused_and_the_queue_comes_back() {
    let Some(subject) = subject("a_job_without_a_queue_is_refused_and_the_queue_comes_back").await else {
        return;
    };
    subject.rabbit.as_ref().unwrap().delete_all().await;
    let refused = subject.jobs.enqueue(vec![job(1)]).await;
    assert!(refused.is_err(), "{refused:?}");
    eventually("another link", || async {
        subject.jobs.enqueue(vec![job(1)]).await.is_ok()
    })
    .await;
    subject.rabbit.as_ref().unwrap().expect_jobs(1).await;
    // The bus exchange is declared by the bus link alone, which has had no reason to.
    let bus = &subject.bus;
    eventually("the bus", || async {
        bus.publish(vec![message(None, "hello")]).await.is_ok()
    })
    .await;
    clean_up(subject).await;
}

#[tokio::test]
async fn an_absent_broker_fails_an_eager_start_and_not_a_lazy_one() {
    // A port that was just free: nobody answers there.
    let port = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let url = format!("amqp://127.0.0.1:{port}");
    let eager = RabbitMq::connect(&url, Uuid::new_v4(), Options::default()).await;
    assert!(matches!(eager, Err(ConnectError::Unreachable(_))));

    let options = Options {
        start: Start::Lazy,
        ..Options::default()
    };
    let lazy = RabbitMq::connect(&url, Uuid::new_v4(), options).await.unwrap();
    assert!(!lazy.is_connected());
    let start = Instant::now();
    assert!(matches!(
        lazy.publish(vec![message(None, "hello")]).await,
        Err(BrokerError::Unavailable(_))
    ));
    assert!(matches!(
        lazy.enqueue(vec![job(1)]).await,
        Err(BrokerError::Unavailable(_))
    ));
    assert!(start.elapsed() < Duration::from_millis(100));
}

#[tokio::test]
async fn a_restart_of_the_broker_is_survived() {
    const TEST: &str = "a_restart_of_the_broker_is_survived";
    let Ok(restart) = env::var("HUBBUB_TEST_RABBITMQ_RESTART") else {
        eprintln!("SKIPPED: {TEST} (HUBBUB_TEST_RABBITMQ_RESTART is not set)");
        return;
    };
    let Some(url) = address(TEST) else { return };
    let _alone = UP.write().await;
    let Subject {
        bus,
        jobs,
        asks,
        rabbit,
    } = restartable_subject(&url).await;
    let prefix = rabbit.unwrap().prefix;
    let mut gateway = bus.subscribe().await.unwrap();
    gateway.binder.bind(1).await.unwrap();
    jobs.enqueue(vec![job(1)]).await.unwrap();
    let echo = Echo::closed();
    let answers = asks.answer(AskClass::PreEvent, 8, echo.clone()).await.unwrap();
    let waits = tokio::spawn({
        let asks = Arc::clone(&asks);
        async move { asks.ask(AskClass::PreEvent, "lost".into(), 100 * PATIENCE).await }
    });
    echo.has_been_asked(1).await;

    let command = tokio::task::spawn_blocking(move || {
        assert!(
            Command::new("sh")
                .args(["-c", &restart])
                .status()
                .unwrap()
                .success()
        );
    });
    eventually("the outage", || async { !bus.is_connected() }).await;
    let lost = within("word that there is no reply", waits).await.unwrap();
    assert!(matches!(lost, Err(AskError::NoReply(_))), "{lost:?}");
    let start = Instant::now();
    let refused = bus.publish(vec![message(Some(1), "lost")]).await;
    // The broker may be back already; if not, the refusal is quick.
    assert!(
        !matches!(refused, Err(BrokerError::Unconfirmed(_))),
        "{refused:?}"
    );
    assert!(
        start.elapsed() < Duration::from_millis(500),
        "after {:?}",
        start.elapsed()
    );
    let unbound = gateway.binder.bind(2).await;
    assert!(
        matches!(unbound, Ok(()) | Err(BrokerError::Unavailable(_))),
        "{unbound:?}"
    );

    within("word of the reconnect", async {
        while !matches!(gateway.signals.recv().await, Some(BusSignal::Reconnected)) {}
    })
    .await;
    command.await.unwrap();
    for bucket in [1, 2] {
        eventually("a publish", || async {
            bus.publish(vec![message(Some(bucket), "back")]).await.is_ok()
        })
        .await;
        assert_eq!(hears(&mut gateway).await, message(Some(bucket), "back"));
    }

    let (worker, mut seen) = Worker::start(|_| Outcome::Done);
    let consumer = jobs.consume(JobClass::Webhook, 4, worker).await.unwrap();
    let ran: Job = within("the job", seen.recv()).await.unwrap();
    assert_eq!(ran, job(1));
    consumer.stop().await;
    echo.release();
    eventually("a reply", || async {
        asks.ask(AskClass::PreEvent, "back".into(), Duration::from_secs(2))
            .await
            .is_ok()
    })
    .await;
    answers.stop().await;
    Inspector::new(&url, prefix).await.delete_all().await;
}
