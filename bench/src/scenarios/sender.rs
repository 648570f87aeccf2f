//! A user, or several in turn, who sends and waits for each ack.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::task::JoinHandle;

use super::PATIENCE;
use crate::{
    board::Board,
    crowd::{Crowd, Sent},
    socket::Socket,
    stage::Stage,
};

/// How long a sender who was refused waits: refusals are counted, not hammered for.
const PENANCE: Duration = Duration::from_millis(10);

/// When the next send is due.
#[derive(Clone, Copy)]
pub(super) enum Pace {
    /// As soon as the last one was acknowledged.
    Closed,
    /// At even intervals.
    Steady { first: Instant, every: Duration },
    /// When all but so many deliveries of what was sent have arrived.
    Delivered { each: u64, most_missing: u64 },
}

/// One send in flight, of one user after the other.
pub(super) struct Sender {
    /// Whose turn it is: the seat's place, its socket, its channel.
    users: Vec<(usize, Arc<Socket>, String)>,
    board: Arc<Board>,
    pace: Pace,
    body: u32,
    client_ids: bool,
}

impl Sender {
    /// A sender for the seats at those places.
    pub(super) fn new(
        stage: &Stage,
        crowd: &Crowd,
        board: &Arc<Board>,
        places: impl Iterator<Item = usize>,
        pace: Pace,
        body: u32,
    ) -> Self {
        let user = |place: usize| {
            let channel = stage.rooms[stage.seats[place].room].clone();
            (place, Arc::clone(&crowd.sockets[place]), channel)
        };
        Self {
            users: places.map(user).collect(),
            board: Arc::clone(board),
            pace,
            body,
            client_ids: false,
        }
    }

    /// Gives each send a client id of its own.
    pub(super) fn with_client_ids(mut self, wanted: bool) -> Self {
        self.client_ids = wanted;
        self
    }

    /// Sends until the board says that it is over.
    pub(super) fn start(self) -> JoinHandle<Vec<Sent>> {
        tokio::spawn(self.run(None))
    }

    /// Sends so many messages.
    pub(super) fn start_some(self, count: u32) -> JoinHandle<Vec<Sent>> {
        tokio::spawn(self.run(Some(count)))
    }

    async fn run(self, most: Option<u32>) -> Vec<Sent> {
        let mut sent = Vec::new();
        for turn in 0..most.unwrap_or(u32::MAX) {
            let began = self.next_moment(turn).await;
            if self.board.is_over() {
                break;
            }
            let (place, socket, channel) = &self.users[turn as usize % self.users.len()];
            let body = self.board.body(began, self.body);
            let argument = if self.client_ids {
                format!("{{\"channel\":\"{channel}\",\"body\":\"{body}\",\"client_id\":\"{place}-{turn}\"}}")
            } else {
                format!("{{\"channel\":\"{channel}\",\"body\":\"{body}\"}}")
            };
            let Ok(ack) = socket.call("sendMessage", &argument).await else {
                break;
            };
            match ack.json().integer("\"index\":").filter(|_| ack.json().is_ok()) {
                Some(index) => {
                    sent.push((*place, index));
                    self.board.answered(began.elapsed(), true);
                }
                None => {
                    self.board.answered(began.elapsed(), false);
                    tokio::time::sleep(PENANCE).await;
                }
            }
        }
        sent
    }

    /// Waits for the next send's moment and answers when its latency begins: a send that is late because the one
    /// before it took too long has been waiting since it was due.
    async fn next_moment(&self, turn: u32) -> Instant {
        match self.pace {
            Pace::Closed => {}
            Pace::Steady { first, every } => {
                let due = first + every * turn;
                if due < Instant::now() {
                    return due;
                }
                tokio::time::sleep_until(due.into()).await;
            }
            Pace::Delivered { each, most_missing } => {
                let board = &self.board;
                let arrived = || {
                    board.is_over()
                        || (board.sends() * each).saturating_sub(board.deliveries()) <= most_missing
                };
                // What does not arrive is found in the end; the senders do not stop for it.
                board.until(PATIENCE, arrived).await;
            }
        }
        Instant::now()
    }
}
