//! Exchanges, queues and their names.
//!
//! ```text
//! hubbub.bus ──bucket|all──▶ hubbub.bus.<node>.<session>    one exclusive queue per gateway process
//!
//! hubbub.work ──webhook.N──▶ hubbub.webhook.N ──too many deliveries──▶ hubbub.work.dead
//!      ▲                                                                  │ webhook
//!      └──time to live── hubbub.retry.5s ◀──fanout── hubbub.retry.5s      ▼
//!                        (queue)                     (exchange)    hubbub.webhook.dead
//!
//! hubbub.ask.<class> ──a worker──▶ hubbub.replies.<node>.<session>    questions, and one exclusive queue per asker
//! ```
//!
//! Valid on RabbitMQ 3.10 and 4.x. Declarations must match what exists, so a changed argument needs a new name.

use std::time::Duration;

use hubbub_core::broker::{AskClass, JobClass};
use lapin::{
    Channel, ExchangeKind,
    options::{ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions},
    types::{AMQPValue, FieldTable, ShortString},
};
use uuid::Uuid;

use super::link::Lost;

/// The routing key of control messages, which every gateway binds.
pub(super) const ALL: &str = "all";

/// The delay ladder: seconds.
const RUNGS: [u32; 3] = [1, 5, 30];

/// Deliveries of one job that end without an outcome (crashes) before RabbitMQ gives it up.
const DELIVERY_LIMIT: i64 = 10;
/// Jobs in one queue before publishes are refused; the outbox and the ledger keep what is refused.
const WORK_LENGTH: i64 = 500_000;
const RETRY_LENGTH: i64 = 500_000;
/// Dead jobs kept for the operator; beyond that the oldest go.
const DEAD_LENGTH: i64 = 1_000_000;
/// Milliseconds after which nobody waits for the reply to a question that no worker took.
const ASK_TIME: i64 = 5_000;
/// Questions in one queue; beyond that the oldest go, which have the least time left.
const ASK_LENGTH: i64 = 50_000;
/// What the broker holds for a gateway that does not read. Beyond that the oldest go, and it heals from the database.
const BUS_BYTES: i64 = 64 * 1024 * 1024;

/// The names of one installation. Installations that share a virtual host differ in their prefix.
#[derive(Debug, Clone)]
pub(super) struct Names {
    prefix: String,
}

impl Names {
    pub(super) fn new(prefix: &str) -> Self {
        Self {
            prefix: prefix.to_owned(),
        }
    }

    pub(super) fn bus(&self) -> ShortString {
        format!("{}.bus", self.prefix).into()
    }

    /// The queue of one session of one process. A new session takes a new name: after a broken link the broker may
    /// keep the old queue locked until it notices.
    pub(super) fn bus_queue(&self, node: Uuid, session: u64) -> ShortString {
        format!("{}.bus.{node}.{session}", self.prefix).into()
    }

    pub(super) fn ask_queue(&self, class: AskClass) -> ShortString {
        format!("{}.ask.{}", self.prefix, class.name()).into()
    }

    /// The queue of one session of one process, as for the bus.
    pub(super) fn replies(&self, node: Uuid, session: u64) -> ShortString {
        format!("{}.replies.{node}.{session}", self.prefix).into()
    }

    pub(super) fn work(&self) -> ShortString {
        format!("{}.work", self.prefix).into()
    }

    pub(super) fn dead(&self) -> ShortString {
        format!("{}.work.dead", self.prefix).into()
    }

    pub(super) fn work_queue(&self, class: JobClass, shard: u8) -> ShortString {
        format!("{}.{}.{shard}", self.prefix, class.name()).into()
    }

    pub(super) fn dead_queue(&self, class: JobClass) -> ShortString {
        format!("{}.{}.dead", self.prefix, class.name()).into()
    }

    /// Exchange and queue of the shortest rung that is not shorter than `delay`, or of the longest there is.
    pub(super) fn rung_for(&self, delay: Duration) -> ShortString {
        let fits = |seconds: &u32| Duration::from_secs(u64::from(*seconds)) >= delay;
        self.rung(RUNGS.into_iter().find(fits).unwrap_or(RUNGS[RUNGS.len() - 1]))
    }

    fn rung(&self, seconds: u32) -> ShortString {
        format!("{}.retry.{seconds}s", self.prefix).into()
    }
}

/// The routing key of a job: `webhook.3`.
pub(super) fn work_key(class: JobClass, shard: u8) -> ShortString {
    format!("{}.{shard}", class.name()).into()
}

/// The routing key of a bus message.
pub(super) fn bucket_key(bucket: Option<u8>) -> ShortString {
    bucket.map_or_else(|| ALL.into(), |bucket| bucket.to_string().into())
}

/// Declares the exchange that gateways listen to.
pub(super) async fn declare_bus(channel: &Channel, names: &Names) -> Result<(), Lost> {
    exchange(channel, names.bus(), ExchangeKind::Direct).await
}

/// Declares the queue of one gateway process. It is gone with its connection.
pub(super) async fn declare_bus_queue(channel: &Channel, queue: &ShortString) -> Result<(), Lost> {
    exclusive_queue(channel, queue).await
}

/// Declares the queue for the replies to one process. It is gone with its connection.
pub(super) async fn declare_replies(channel: &Channel, queue: &ShortString) -> Result<(), Lost> {
    exclusive_queue(channel, queue).await
}

/// Declares the queues that questions wait in. They are addressed by name, through the default exchange.
pub(super) async fn declare_asks(channel: &Channel, names: &Names) -> Result<(), Lost> {
    for class in AskClass::ALL {
        // Only the queue is durable, not what is in it: transient queues that connections share are on their way out of
        // RabbitMQ.
        let options = QueueDeclareOptions {
            durable: true,
            ..QueueDeclareOptions::default()
        };
        let arguments = table([
            ("x-queue-type", text("classic")),
            ("x-message-ttl", AMQPValue::LongLongInt(ASK_TIME)),
            ("x-max-length", AMQPValue::LongLongInt(ASK_LENGTH)),
        ]);
        channel
            .queue_declare(names.ask_queue(class), options, arguments)
            .await?;
    }
    Ok(())
}

async fn exclusive_queue(channel: &Channel, queue: &ShortString) -> Result<(), Lost> {
    let options = QueueDeclareOptions {
        exclusive: true,
        auto_delete: true,
        ..QueueDeclareOptions::default()
    };
    let arguments = table([
        ("x-queue-type", text("classic")),
        ("x-max-length-bytes", AMQPValue::LongLongInt(BUS_BYTES)),
        ("x-overflow", text("drop-head")),
    ]);
    channel.queue_declare(queue.clone(), options, arguments).await?;
    Ok(())
}

/// Declares everything that jobs go through.
pub(super) async fn declare_work(channel: &Channel, names: &Names) -> Result<(), Lost> {
    exchange(channel, names.work(), ExchangeKind::Direct).await?;
    exchange(channel, names.dead(), ExchangeKind::Direct).await?;
    for class in JobClass::ALL {
        let dead = names.dead_queue(class);
        let arguments = [("x-max-length", AMQPValue::LongLongInt(DEAD_LENGTH))];
        quorum_queue(channel, &dead, arguments).await?;
        bind(channel, &dead, names.dead(), class.name().into()).await?;
        for shard in 0..class.shards() {
            let queue = names.work_queue(class, shard);
            let arguments = [
                ("x-delivery-limit", AMQPValue::LongLongInt(DELIVERY_LIMIT)),
                ("x-max-length", AMQPValue::LongLongInt(WORK_LENGTH)),
                ("x-overflow", text("reject-publish")),
                ("x-dead-letter-exchange", text(names.dead().as_str())),
                ("x-dead-letter-routing-key", text(class.name())),
                ("x-dead-letter-strategy", text("at-least-once")),
            ];
            quorum_queue(channel, &queue, arguments).await?;
            bind(channel, &queue, names.work(), work_key(class, shard)).await?;
        }
    }
    for seconds in RUNGS {
        // A fanout ignores the routing key, so a job keeps its own through the rung and finds its queue again.
        let rung = names.rung(seconds);
        exchange(channel, rung.clone(), ExchangeKind::Fanout).await?;
        let arguments = [
            ("x-message-ttl", AMQPValue::LongLongInt(i64::from(seconds) * 1000)),
            ("x-max-length", AMQPValue::LongLongInt(RETRY_LENGTH)),
            ("x-overflow", text("reject-publish")),
            ("x-dead-letter-exchange", text(names.work().as_str())),
            ("x-dead-letter-strategy", text("at-least-once")),
        ];
        quorum_queue(channel, &rung, arguments).await?;
        bind(channel, &rung, rung.clone(), ShortString::default()).await?;
    }
    Ok(())
}

async fn exchange(channel: &Channel, name: ShortString, kind: ExchangeKind) -> Result<(), Lost> {
    let options = ExchangeDeclareOptions {
        durable: true,
        ..ExchangeDeclareOptions::default()
    };
    Ok(channel
        .exchange_declare(name, kind, options, FieldTable::default())
        .await?)
}

async fn quorum_queue(
    channel: &Channel,
    name: &ShortString,
    arguments: impl IntoIterator<Item = (&'static str, AMQPValue)>,
) -> Result<(), Lost> {
    let options = QueueDeclareOptions {
        durable: true,
        ..QueueDeclareOptions::default()
    };
    let arguments = table([("x-queue-type", text("quorum"))].into_iter().chain(arguments));
    channel.queue_declare(name.clone(), options, arguments).await?;
    Ok(())
}

async fn bind(
    channel: &Channel,
    queue: &ShortString,
    exchange: ShortString,
    key: ShortString,
) -> Result<(), Lost> {
    let (options, arguments) = (QueueBindOptions::default(), FieldTable::default());
    Ok(channel
        .queue_bind(queue.clone(), exchange, key, options, arguments)
        .await?)
}

fn text(value: &str) -> AMQPValue {
    AMQPValue::LongString(value.into())
}

fn table(entries: impl IntoIterator<Item = (&'static str, AMQPValue)>) -> FieldTable {
    let mut table = FieldTable::default();
    for (key, value) in entries {
        table.insert(key.into(), value);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_delay_takes_the_shortest_rung_that_is_not_shorter() {
        let names = Names::new("hubbub");
        let rung = |millis| names.rung_for(Duration::from_millis(millis)).to_string();
        assert_eq!(rung(0), "hubbub.retry.1s");
        assert_eq!(rung(1000), "hubbub.retry.1s");
        assert_eq!(rung(1001), "hubbub.retry.5s");
        assert_eq!(rung(30_000), "hubbub.retry.30s");
        assert_eq!(rung(3_600_000), "hubbub.retry.30s");
    }
}
