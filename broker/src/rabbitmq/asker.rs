//! Asking: one connection, one queue for the replies, and those who wait, by number.
//!
//! It dials when somebody asks for the first time: most installations never do. Nothing is confirmed and nothing
//! survives. When the link is lost, all who wait hear so at once.

use std::{
    collections::HashMap,
    mem,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use bytes::Bytes;
use futures_util::{
    future::BoxFuture,
    poll,
    stream::{FuturesUnordered, StreamExt},
};
use hubbub_core::broker::{AskClass, AskError};
use lapin::{
    Channel, Consumer,
    options::{BasicConsumeOptions, BasicPublishOptions},
    types::{FieldTable, ShortString},
};
use parking_lot::Mutex;
use tokio::{
    sync::{mpsc, oneshot, watch},
    time::{Instant, timeout, timeout_at},
};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{
    link::{Dialer, Link, Lost},
    topology::{self, Names},
    wire,
};

/// Questions on their way out.
const QUEUED: usize = 4096;
/// Published, and not yet handed to the kernel.
const IN_FLIGHT: usize = 512;
/// How long who asks first waits for the link, if its patience lasts so long.
const FIRST_LINK: Duration = Duration::from_secs(2);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Has never been up.
    Dialling,
    Up,
    Down,
    /// Connected, but the broker takes nothing (memory or disk alarm).
    Blocked,
}

struct Question {
    number: u64,
    class: AskClass,
    body: Bytes,
}

/// The callers' end. The task behind it lives until `stop` is cancelled.
pub(super) struct Asker {
    questions: mpsc::Sender<Question>,
    waiting: Arc<Waiting>,
    state: watch::Receiver<State>,
}

/// Those who wait for a reply.
#[derive(Default)]
struct Waiting {
    numbers: AtomicU64,
    places: Mutex<HashMap<u64, oneshot::Sender<Reply>>>,
}

type Reply = Result<Bytes, AskError>;

/// A place among those who wait, given up when dropped.
struct Place<'w> {
    waiting: &'w Waiting,
    number: u64,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.waiting.take(self.number);
    }
}

impl Waiting {
    fn enter(&self) -> (Place<'_>, oneshot::Receiver<Reply>) {
        let number = self.numbers.fetch_add(1, Relaxed);
        let (place, reply) = oneshot::channel();
        self.places.lock().insert(number, place);
        (
            Place {
                waiting: self,
                number,
            },
            reply,
        )
    }

    fn take(&self, number: u64) -> Option<oneshot::Sender<Reply>> {
        let mut places = self.places.lock();
        let place = places.remove(&number);
        // A crowd that is gone leaves no room behind.
        if places.is_empty() && places.capacity() > QUEUED {
            places.shrink_to(QUEUED);
        }
        place
    }

    fn is_waiting(&self, number: u64) -> bool {
        self.places.lock().contains_key(&number)
    }

    fn disappoint_all(&self, why: &str) {
        for (_, place) in mem::take(&mut *self.places.lock()) {
            let _ = place.send(Err(AskError::NoReply(why.into())));
        }
    }
}

impl Asker {
    /// Starts dialling at once and for ever.
    pub(super) fn start(dialer: Dialer, names: Names, node: Uuid, stop: CancellationToken) -> Self {
        let (questions, asked) = mpsc::channel(QUEUED);
        let (state_sender, state) = watch::channel(State::Dialling);
        let waiting = Arc::<Waiting>::default();
        let task = Task {
            dialer,
            names,
            node,
            sessions: 0,
            asked,
            waiting: Arc::clone(&waiting),
            state: state_sender,
        };
        tokio::spawn(async move { stop.run_until_cancelled(task.run()).await });
        Self {
            questions,
            waiting,
            state,
        }
    }

    pub(super) async fn ask(&self, class: AskClass, question: Bytes, patience: Duration) -> Reply {
        let deadline = Instant::now() + patience;
        self.ready(deadline).await?;
        let (place, reply) = self.waiting.enter();
        self.questions
            .try_send(Question {
                number: place.number,
                class,
                body: question,
            })
            .map_err(|_| AskError::NotAsked("too many questions wait to be sent".into()))?;
        match timeout_at(deadline, reply).await {
            Ok(Ok(reply)) => reply,
            Ok(Err(_)) => Err(AskError::NoReply("the link to RabbitMQ has ended".into())),
            Err(_) => Err(AskError::NoReply("it took too long".into())),
        }
    }

    /// Passes when questions have a chance. Who asks while the very first link is dialled waits for it.
    async fn ready(&self, deadline: Instant) -> Result<(), AskError> {
        let mut known = *self.state.borrow();
        if known == State::Dialling {
            let until = deadline.min(Instant::now() + FIRST_LINK);
            let mut state = self.state.clone();
            if let Ok(Ok(state)) = timeout_at(until, state.wait_for(|it| *it != State::Dialling)).await {
                known = *state;
            }
        }
        match known {
            State::Up => Ok(()),
            State::Dialling | State::Down => Err(AskError::NotAsked("the link to RabbitMQ is down".into())),
            State::Blocked => Err(AskError::NotAsked(
                "RabbitMQ takes no publishes (memory or disk alarm)".into(),
            )),
        }
    }
}

struct Task {
    dialer: Dialer,
    names: Names,
    node: Uuid,
    sessions: u64,
    asked: mpsc::Receiver<Question>,
    waiting: Arc<Waiting>,
    state: watch::Sender<State>,
}

impl Task {
    async fn run(mut self) {
        loop {
            let mut link = {
                let dialling = self.dialer.dial();
                tokio::pin!(dialling);
                if let Ok(link) = timeout(FIRST_LINK, &mut dialling).await {
                    link
                } else {
                    // It may take long: nobody waits for it any more.
                    self.state.send_replace(State::Down);
                    dialling.await
                }
            };
            let lost = match self.session(&mut link).await {
                Ok(()) => return link.close().await,
                Err(lost) => lost,
            };
            self.state.send_replace(State::Down);
            self.waiting.disappoint_all(&lost.0);
            self.dialer.complain(&lost.0);
            link.close().await;
        }
    }

    /// Serves over one connection until that is lost (`Err`) or nobody can ask any more (`Ok`).
    async fn session(&mut self, Link { connection, pulse }: &mut Link) -> Result<(), Lost> {
        let channel = connection.create_channel().await?;
        topology::declare_asks(&channel, &self.names).await?;
        self.sessions += 1;
        let replies = self.names.replies(self.node, self.sessions);
        topology::declare_replies(&channel, &replies).await?;
        let options = BasicConsumeOptions {
            no_ack: true,
            ..BasicConsumeOptions::default()
        };
        let consumer = channel
            .basic_consume(replies.clone(), "replies".into(), options, FieldTable::default())
            .await?;
        self.dialer.in_service();
        self.state.send_replace(State::Up);
        let state = &self.state;
        let lost = pulse.lost(connection, |blocked| {
            state.send_replace(if blocked { State::Blocked } else { State::Up });
        });
        tokio::select! {
            lost = lost => Err(lost),
            lost = hear(&self.waiting, consumer) => Err(lost),
            ended = say(&self.names, &mut self.asked, &self.waiting, &channel, &replies) => ended,
        }
    }
}

/// Hands replies to those who wait for them.
async fn hear(waiting: &Waiting, mut consumer: Consumer) -> Lost {
    while let Some(delivery) = consumer.next().await {
        let delivery = match delivery {
            Ok(delivery) => delivery,
            Err(error) => return error.into(),
        };
        let Some((number, reply)) = wire::decode_reply(&delivery.properties, delivery.data) else {
            tracing::warn!("a reply that this version cannot read");
            continue;
        };
        if let Some(place) = waiting.take(number) {
            let _ = place.send(reply.ok_or_else(|| AskError::NoReply("the worker failed".into())));
        }
    }
    Lost("the queue of replies is gone".into())
}

/// Publishes questions in the order in which they are asked.
async fn say(
    names: &Names,
    asked: &mut mpsc::Receiver<Question>,
    waiting: &Waiting,
    channel: &Channel,
    replies: &ShortString,
) -> Result<(), Lost> {
    let mut in_flight = FuturesUnordered::new();
    loop {
        tokio::select! {
            Some(result) = in_flight.next() => result?,
            next = asked.recv(), if in_flight.len() < IN_FLIGHT => {
                let Some(Question { number, class, body }) = next else { return Ok(()) };
                if !waiting.is_waiting(number) {
                    continue;
                }
                let (channel, queue) = (channel.clone(), names.ask_queue(class));
                let properties = wire::question_properties(class, number, replies);
                let mut publish: BoxFuture<'_, Result<(), Lost>> = Box::pin(async move {
                    let options = BasicPublishOptions::default();
                    let published = channel.basic_publish(ShortString::default(), queue, options, &body, properties);
                    published.await?;
                    Ok(())
                });
                // The first poll puts the frames into lapin's queue: here, so that order is kept.
                match poll!(&mut publish) {
                    std::task::Poll::Ready(result) => result?,
                    std::task::Poll::Pending => in_flight.push(publish),
                }
            }
        }
    }
}
