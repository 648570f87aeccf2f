//! One connection to RabbitMQ: dialled for ever, with its death reported.
//!
//! lapin can recover connections by itself, but only connections: a channel error leaves it healthy and deaf, a
//! failed re-declaration ends it for good, and it gives up after some attempts. So here every failure has the same
//! cure. The session ends, its connection is closed, and its owner dials again and declares everything anew.

use std::{pin::Pin, time::Duration};

use futures_util::{Stream, StreamExt};
use lapin::{Connection, ConnectionProperties, Event, uri::AMQPUri};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, timeout};

const SHORTEST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
/// A link that lived this long was a good one: the next dial need not be patient.
const SETTLED: Duration = Duration::from_secs(5);
/// TCP, TLS and AMQP handshakes together.
const HANDSHAKE_LIMIT: Duration = Duration::from_secs(5);
const FAREWELL_LIMIT: Duration = Duration::from_secs(1);
/// How often the state of the connection is read, should its last event have been missed.
const GLANCE: Duration = Duration::from_secs(1);

/// Why a session ended. The text is for logs and errors; the cure is always the same.
#[derive(Debug)]
pub(super) struct Lost(pub(super) String);

impl From<lapin::Error> for Lost {
    fn from(error: lapin::Error) -> Self {
        Self(error.to_string())
    }
}

/// Opens one connection after another for the same purpose.
pub(super) struct Dialer {
    uri: AMQPUri,
    name: String,
    pause: Duration,
    connected_at: Option<Instant>,
    complained: bool,
}

impl Dialer {
    /// `name` is what operators see in RabbitMQ's list of connections and in our log.
    pub(super) fn new(uri: AMQPUri, name: String) -> Self {
        Self {
            uri,
            name,
            pause: Duration::ZERO,
            connected_at: None,
            complained: false,
        }
    }

    /// Dials until it succeeds, with a growing pause between attempts. Cancel-safe.
    pub(super) async fn dial(&mut self) -> Link {
        loop {
            match self.attempt().await {
                Ok(link) => return link,
                Err(Lost(why)) => self.complain(&why),
            }
        }
    }

    /// Waits out the pause that is due, then tries once.
    pub(super) async fn attempt(&mut self) -> Result<Link, Lost> {
        if self
            .connected_at
            .take()
            .is_some_and(|since| since.elapsed() > SETTLED)
        {
            self.pause = Duration::ZERO;
        }
        // Jitter keeps the processes of a cluster from dialling a returning broker in step.
        sleep(self.pause.mul_f64(rand::random_range(0.5..=1.0))).await;
        self.pause = (self.pause * 2).clamp(SHORTEST_PAUSE, LONGEST_PAUSE);

        let properties = ConnectionProperties::default().with_connection_name(self.name.as_str().into());
        let connecting = Connection::connect_uri(self.uri.clone(), properties);
        let connection = timeout(HANDSHAKE_LIMIT, connecting)
            .await
            .map_err(|_| Lost("no answer to the handshake".into()))??;
        self.connected_at = Some(Instant::now());
        Ok(Link {
            pulse: Pulse {
                events: Box::pin(connection.events_listener()),
            },
            connection,
        })
    }

    /// Says that a session could begin: topology declared, channels open.
    pub(super) fn in_service(&mut self) {
        self.complained = false;
        tracing::info!(link = self.name, "RabbitMQ link {} is up", self.name);
    }

    /// Logs an outage once, and its further failures quietly.
    pub(super) fn complain(&mut self, why: &str) {
        if self.complained {
            tracing::debug!(
                link = self.name,
                why,
                "RabbitMQ link {} is still down: {why}",
                self.name
            );
        } else {
            tracing::warn!(
                link = self.name,
                why,
                "RabbitMQ link {} is down: {why}",
                self.name
            );
        }
        self.complained = true;
    }
}

/// An open connection and its pulse.
pub(super) struct Link {
    pub(super) connection: Connection,
    pub(super) pulse: Pulse,
}

impl Link {
    /// Ends the session politely when the other side still listens.
    pub(super) async fn close(self) {
        let _ = timeout(FAREWELL_LIMIT, self.connection.close(200, "session ended".into())).await;
    }
}

/// What the connection itself has to say.
pub(super) struct Pulse {
    events: Pin<Box<dyn Stream<Item = Event> + Send>>,
}

impl Pulse {
    /// Resolves when the connection or any of its channels has failed. `blocked` hears whether the broker has
    /// stopped taking publishes (memory or disk alarm); lapin writes nothing meanwhile.
    pub(super) async fn lost(&mut self, connection: &Connection, blocked: impl Fn(bool)) -> Lost {
        let mut glance = interval(GLANCE);
        glance.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                event = self.events.next() => match event {
                    Some(Event::ConnectionBlocked(reason)) => {
                        tracing::warn!(reason, "RabbitMQ takes no publishes: {reason}");
                        blocked(true);
                    }
                    Some(Event::ConnectionUnblocked) => blocked(false),
                    Some(Event::Error(error)) => return error.into(),
                    Some(_) => {}
                    None => return Lost("connection gone".into()),
                },
                _ = glance.tick() => if !connection.status().connected() {
                    return Lost("connection closed".into());
                },
            }
        }
    }
}
