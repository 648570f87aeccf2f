//! Publishing with confirms: one task owns the connection, callers queue up before it.
//!
//! Messages leave in the order in which callers queued them. What is queued and what is unconfirmed are both
//! bounded, so a slow broker makes callers wait and then fail, and never fills this process.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use bytes::Bytes;
use futures_util::{
    future::BoxFuture,
    poll,
    stream::{FuturesUnordered, StreamExt},
};
use hubbub_core::broker::BrokerError;
use lapin::{
    BasicProperties, Confirmation,
    options::{BasicPublishOptions, ConfirmSelectOptions},
    types::ShortString,
};
use tokio::{
    sync::{mpsc, oneshot, watch},
    time::{Instant, timeout, timeout_at},
};
use tokio_util::sync::CancellationToken;

use super::{
    link::{Dialer, Link, Lost},
    topology::{self, Names},
    wire,
};

/// The longest that a caller waits for the broker to take what it publishes.
const DEADLINE: Duration = Duration::from_secs(2);
/// Published and not yet confirmed.
const IN_FLIGHT: usize = 512;
/// Queued and not yet published.
const QUEUED: usize = 512;
/// A confirm that takes longer than this is not coming: the session is rebuilt.
const STALE: Duration = Duration::from_secs(30);

/// One message on its way out.
pub(super) struct Outgoing {
    pub(super) exchange: ShortString,
    pub(super) routing_key: ShortString,
    pub(super) content: Content,
    pub(super) body: Bytes,
}

/// What kind of message, which decides how it is published.
pub(super) enum Content {
    /// Numbered per routing key as it leaves, so that a listener can tell that it missed some. It is fine when
    /// nobody listens.
    Bus,
    /// Must reach a queue.
    Job(Box<BasicProperties>),
}

/// What a publisher declares before it publishes.
pub(super) enum Role {
    Bus,
    Work,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Down,
    Up,
    /// Connected, but the broker takes nothing (memory or disk alarm).
    Blocked,
}

struct Queued {
    message: Outgoing,
    done: oneshot::Sender<Result<(), BrokerError>>,
}

/// The callers' end. The task behind it lives until `stop` is cancelled.
pub(super) struct Publisher {
    queue: mpsc::Sender<Queued>,
    state: watch::Receiver<State>,
    stalled: Stalled,
}

/// Whether the broker owes a confirm for longer than callers wait. Then further callers need not wait to learn it.
type Stalled = Arc<AtomicBool>;

impl Publisher {
    /// Starts dialling at once and for ever.
    pub(super) fn start(dialer: Dialer, names: Names, role: Role, stop: CancellationToken) -> Self {
        let (queue, queued) = mpsc::channel(QUEUED);
        let (state_sender, state) = watch::channel(State::Down);
        let (stalled, numbers) = (Stalled::default(), HashMap::new());
        let task = Task {
            dialer,
            names,
            role,
            queued,
            state: state_sender,
            stalled: stalled.clone(),
            numbers,
        };
        tokio::spawn(async move { stop.run_until_cancelled(task.run()).await });
        Self {
            queue,
            state,
            stalled,
        }
    }

    /// Whether publishes have a chance at this moment.
    pub(super) fn is_up(&self) -> bool {
        *self.state.borrow() == State::Up && !self.stalled.load(Relaxed)
    }

    /// Waits until the link is up for the first time, or `limit` is over. Tells which.
    pub(super) async fn wait_until_up(&self, limit: Duration) -> bool {
        let mut state = self.state.clone();
        timeout(limit, state.wait_for(|it| *it != State::Down))
            .await
            .is_ok_and(|it| it.is_ok())
    }

    /// Publishes in order and waits for every confirm.
    ///
    /// # Errors
    /// At once when the link is down; after [`DEADLINE`] when the broker does not answer. The first error is
    /// returned, whatever became of the other messages.
    pub(super) async fn publish(&self, messages: Vec<Outgoing>) -> Result<(), BrokerError> {
        let unavailable = |why: &str| Err(BrokerError::Unavailable(why.into()));
        match *self.state.borrow() {
            State::Up if self.stalled.load(Relaxed) => return unavailable("RabbitMQ has stopped confirming"),
            State::Up => {}
            State::Down => return unavailable("the link to RabbitMQ is down"),
            State::Blocked => return unavailable("RabbitMQ takes no publishes (memory or disk alarm)"),
        }
        let deadline = Instant::now() + DEADLINE;
        let mut confirms = Vec::with_capacity(messages.len());
        for message in messages {
            let Ok(Ok(place)) = timeout_at(deadline, self.queue.reserve()).await else {
                return unavailable("too much is waiting to be published");
            };
            let (done, confirm) = oneshot::channel();
            place.send(Queued { message, done });
            confirms.push(confirm);
        }
        for confirm in confirms {
            match timeout_at(deadline, confirm).await {
                Ok(Ok(result)) => result?,
                Ok(Err(_)) => return Err(BrokerError::Unconfirmed("the link was lost".into())),
                Err(_) => return Err(BrokerError::Unconfirmed("no answer in time".into())),
            }
        }
        Ok(())
    }
}

struct Task {
    dialer: Dialer,
    names: Names,
    role: Role,
    queued: mpsc::Receiver<Queued>,
    state: watch::Sender<State>,
    stalled: Stalled,
    /// How many bus messages have left, by routing key: at most one entry per bucket.
    numbers: HashMap<ShortString, u64>,
}

impl Task {
    async fn run(mut self) {
        loop {
            let mut link = self.dialer.dial().await;
            let lost = match self.session(&mut link).await {
                Ok(()) => return link.close().await,
                Err(lost) => lost,
            };
            self.state.send_replace(State::Down);
            while let Ok(Queued { done, .. }) = self.queued.try_recv() {
                let _ = done.send(Err(BrokerError::Unavailable(lost.0.clone())));
            }
            self.dialer.complain(&lost.0);
            link.close().await;
        }
    }

    /// Serves the queue over one connection until that is lost (`Err`) or the last caller is gone (`Ok`).
    async fn session(&mut self, Link { connection, pulse }: &mut Link) -> Result<(), Lost> {
        let channel = connection.create_channel().await?;
        match self.role {
            Role::Bus => topology::declare_bus(&channel, &self.names).await?,
            Role::Work => topology::declare_work(&channel, &self.names).await?,
        }
        channel.confirm_select(ConfirmSelectOptions::default()).await?;
        self.dialer.in_service();
        self.stalled.store(false, Relaxed);
        self.state.send_replace(State::Up);

        let state = &self.state;
        let lost = pulse.lost(connection, |blocked| {
            state.send_replace(if blocked { State::Blocked } else { State::Up });
        });
        tokio::pin!(lost);
        // Dropping it fails whoever waits for a confirm.
        let mut in_flight = FuturesUnordered::new();
        loop {
            tokio::select! {
                lost = &mut lost => return Err(lost),
                Some(result) = in_flight.next() => result?,
                next = self.queued.recv(), if in_flight.len() < IN_FLIGHT => {
                    let Some(Queued { message, done }) = next else { return Ok(()) };
                    if done.is_closed() {
                        continue; // Its caller gave up and has been told that it failed.
                    }
                    let (properties, mandatory) = match message.content {
                        Content::Job(properties) => (*properties, true),
                        Content::Bus => {
                            let number = self.numbers.entry(message.routing_key.clone()).or_default();
                            *number += 1;
                            (wire::bus_properties(*number), false)
                        }
                    };
                    let options = BasicPublishOptions { mandatory, ..BasicPublishOptions::default() };
                    let (channel, body, stalled) = (channel.clone(), message.body, self.stalled.clone());
                    let confirm = async move {
                        let (exchange, key) = (message.exchange, message.routing_key);
                        let confirm = channel.basic_publish(exchange, key, options, &body, properties).await?;
                        confirm.await
                    };
                    let confirm = settled(confirm, done, stalled);
                    let mut confirm: BoxFuture<'static, Result<(), Lost>> = Box::pin(confirm);
                    // The first poll puts the frames into lapin's queue: here, so that order is kept.
                    match poll!(&mut confirm) {
                        std::task::Poll::Ready(result) => result?,
                        std::task::Poll::Pending => in_flight.push(confirm),
                    }
                }
            }
        }
    }
}

/// Waits for one confirm and tells the caller what became of its message. `Lost` when the session cannot be trusted
/// any more; then `done` is dropped, and the caller knows nothing.
async fn settled(
    confirm: impl Future<Output = lapin::Result<Confirmation>>,
    done: oneshot::Sender<Result<(), BrokerError>>,
    stalled: Stalled,
) -> Result<(), Lost> {
    tokio::pin!(confirm);
    let confirmation = if let Ok(in_time) = timeout(DEADLINE, &mut confirm).await {
        in_time?
    } else {
        stalled.store(true, Relaxed);
        let late = timeout(STALE, confirm).await;
        stalled.store(false, Relaxed);
        late.map_err(|_| Lost(format!("no confirm in {} s", (DEADLINE + STALE).as_secs())))??
    };
    match confirmation {
        Confirmation::Ack(None) => {
            let _ = done.send(Ok(()));
            Ok(())
        }
        Confirmation::Nack(None) => {
            let _ = done.send(Err(BrokerError::Unavailable(
                "RabbitMQ refused it (queue full?)".into(),
            )));
            Ok(())
        }
        // lapin may hang a returned message on another publish that is in flight, so no confirm that follows it
        // can be believed: all of them fail, and the next session declares the missing queue.
        Confirmation::Ack(Some(returned)) | Confirmation::Nack(Some(returned)) => {
            Err(Lost(format!("there is no queue for {}", returned.routing_key)))
        }
        Confirmation::NotRequested => Err(Lost("the channel does not confirm".into())),
    }
}
