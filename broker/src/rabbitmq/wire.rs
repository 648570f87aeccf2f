//! How bus messages and jobs look inside AMQP messages.
//!
//! A bus message is a small binary header (version, origin, topics) followed by the payload, so that a gateway
//! decides about a batch without decoding it and keeps the payload without copying it. A job is its JSON payload;
//! the rest is in properties and headers, where an operator can read it. Questions and replies find each other by the
//! correlation id, which is a number of the process that asks.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use hubbub_core::broker::{AskClass, BusMessage, Job, JobClass};
use lapin::{
    BasicProperties,
    types::{AMQPValue, FieldTable, ShortString},
};
use uuid::Uuid;

const BUS_VERSION: u8 = 1;
/// Version, origin, number of topics.
const BUS_FIXED: usize = 1 + 16 + 4;
const PERSISTENT: u8 = 2;
const TRANSIENT: u8 = 1;

const ATTEMPT: &str = "x-attempt";
const SHARD_KEY: &str = "x-shard-key";
const REASON: &str = "x-reason";
/// Bytes of a reason that are kept: headers must fit into one frame.
const REASON_LENGTH: usize = 1024;

/// Header and payload of a bus message; its bucket is the routing key.
pub(super) fn encode_bus(message: &BusMessage) -> Bytes {
    let mut body = BytesMut::with_capacity(BUS_FIXED + message.topics.len() * 8 + message.payload.len());
    body.put_u8(BUS_VERSION);
    body.put_slice(message.origin.as_bytes());
    body.put_u32(u32::try_from(message.topics.len()).unwrap_or(u32::MAX));
    for topic in &message.topics {
        body.put_u64(*topic);
    }
    body.put_slice(&message.payload);
    body.freeze()
}

/// The inverse of [`encode_bus`]; `None` for what a newer or foreign process sent.
pub(super) fn decode_bus(routing_key: &str, body: Vec<u8>) -> Option<BusMessage> {
    let bucket = match routing_key {
        super::topology::ALL => None,
        number => Some(number.parse().ok()?),
    };
    let mut body = Bytes::from(body);
    if body.len() < BUS_FIXED || body.get_u8() != BUS_VERSION {
        return None;
    }
    let origin = Uuid::from_u128(body.get_u128());
    let topics = usize::try_from(body.get_u32()).ok()?;
    if body.len() / 8 < topics {
        return None;
    }
    let topics = (0..topics).map(|_| body.get_u64()).collect();
    Some(BusMessage {
        origin,
        bucket,
        topics,
        payload: body,
    })
}

/// Properties of a bus message. `number` counts the messages of this process in its bucket.
pub(super) fn bus_properties(number: u64) -> BasicProperties {
    BasicProperties::default()
        .with_delivery_mode(TRANSIENT)
        .with_message_id(number.to_string().into())
}

/// The number that [`bus_properties`] gave.
pub(super) fn bus_number(properties: &BasicProperties) -> Option<u64> {
    properties.message_id().as_ref()?.as_str().parse().ok()
}

/// Properties of a job; `reason` says why a dead one died.
pub(super) fn job_properties(job: &Job, reason: Option<&str>) -> BasicProperties {
    let mut headers = FieldTable::default();
    headers.insert(ATTEMPT.into(), AMQPValue::LongLongInt(i64::from(job.attempt)));
    // AMQP has no unsigned 64-bit number that RabbitMQ keeps: hexadecimal it is.
    headers.insert(
        SHARD_KEY.into(),
        AMQPValue::LongString(format!("{:016x}", job.shard_key).into()),
    );
    if let Some(reason) = reason {
        let reason = &reason[..reason.floor_char_boundary(REASON_LENGTH)];
        headers.insert(REASON.into(), AMQPValue::LongString(reason.into()));
    }
    BasicProperties::default()
        .with_delivery_mode(PERSISTENT)
        .with_content_type("application/json".into())
        .with_type(job.class.name().into())
        .with_message_id(job.id.to_string().into())
        .with_headers(headers)
}

/// The job in a delivery from a queue of `class`; `None` when it is not one of ours.
pub(super) fn decode_job(class: JobClass, properties: &BasicProperties, payload: Vec<u8>) -> Option<Job> {
    let headers = properties.headers().as_ref()?.inner();
    let attempt = match headers.get(ATTEMPT)? {
        AMQPValue::LongLongInt(attempt) => u32::try_from(*attempt).ok()?,
        _ => return None,
    };
    let shard_key = match headers.get(SHARD_KEY)? {
        AMQPValue::LongString(key) => {
            u64::from_str_radix(std::str::from_utf8(key.as_bytes()).ok()?, 16).ok()?
        }
        _ => return None,
    };
    let id = Uuid::parse_str(properties.message_id().as_ref()?.as_str()).ok()?;
    Some(Job {
        id,
        class,
        shard_key,
        attempt,
        payload: payload.into(),
    })
}

/// The type of the reply of a worker that failed.
const FAILED: &str = "failed";

/// Properties of a question.
pub(super) fn question_properties(class: AskClass, number: u64, replies: &ShortString) -> BasicProperties {
    BasicProperties::default()
        .with_delivery_mode(TRANSIENT)
        .with_content_type("application/json".into())
        .with_type(class.name().into())
        .with_correlation_id(number.to_string().into())
        .with_reply_to(replies.clone())
}

/// Properties of the reply to a question with these.
pub(super) fn reply_properties(question: &BasicProperties, is_reply: bool) -> BasicProperties {
    let mut properties = BasicProperties::default().with_delivery_mode(TRANSIENT);
    if let Some(number) = question.correlation_id() {
        properties = properties.with_correlation_id(number.clone());
    }
    if is_reply {
        properties
    } else {
        properties.with_type(FAILED.into())
    }
}

/// The number of the question, and the reply unless the worker failed; `None` when it is not one of ours.
pub(super) fn decode_reply(properties: &BasicProperties, body: Vec<u8>) -> Option<(u64, Option<Bytes>)> {
    let number = properties.correlation_id().as_ref()?.as_str().parse().ok()?;
    let failed = properties
        .kind()
        .as_ref()
        .is_some_and(|kind| kind.as_str() == FAILED);
    Some((number, (!failed).then(|| body.into())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message() -> BusMessage {
        BusMessage {
            origin: Uuid::from_u128(7),
            bucket: Some(255),
            topics: vec![1, u64::MAX],
            payload: Bytes::from_static(b"events"),
        }
    }

    #[test]
    fn a_bus_message_comes_back_as_it_went() {
        let message = message();
        assert_eq!(
            decode_bus("255", encode_bus(&message).to_vec()),
            Some(message.clone())
        );
        let control = BusMessage {
            bucket: None,
            topics: vec![],
            payload: Bytes::new(),
            ..message
        };
        assert_eq!(decode_bus("all", encode_bus(&control).to_vec()), Some(control));
    }

    #[test]
    fn a_bus_message_that_is_cut_short_or_foreign_is_refused() {
        let whole = encode_bus(&message()).to_vec();
        for length in 0..BUS_FIXED + 16 {
            assert_eq!(
                decode_bus("255", whole[..length].to_vec()),
                None,
                "{length} bytes"
            );
        }
        assert_eq!(decode_bus("256", whole.clone()), None);
        let mut newer = whole;
        newer[0] = 2;
        assert_eq!(decode_bus("255", newer), None);
    }

    #[test]
    fn a_job_comes_back_as_it_went() {
        let job = Job {
            id: Uuid::from_u128(9),
            class: JobClass::Webhook,
            shard_key: u64::MAX - 1,
            attempt: 3,
            payload: Bytes::from_static(b"{}"),
        };
        let decoded = decode_job(
            JobClass::Webhook,
            &job_properties(&job, None),
            job.payload.to_vec(),
        );
        assert_eq!(decoded, Some(job));
        assert_eq!(
            decode_job(JobClass::Webhook, &BasicProperties::default(), vec![]),
            None
        );
    }

    #[test]
    fn a_reply_finds_its_question() {
        let question = question_properties(AskClass::PreEvent, 42, &"replies".into());
        let reply = reply_properties(&question, true);
        assert_eq!(
            decode_reply(&reply, b"yes".to_vec()),
            Some((42, Some(Bytes::from_static(b"yes"))))
        );
        let failed = reply_properties(&question, false);
        assert_eq!(decode_reply(&failed, vec![]), Some((42, None)));
        assert_eq!(decode_reply(&BasicProperties::default(), vec![]), None);
    }
}
