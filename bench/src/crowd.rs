//! All sockets of a run, one for each seat of the stage.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use futures_util::future::{join_all, try_join_all};
use tokio::task::JoinSet;

use crate::{
    board::{Board, Ear},
    histogram::Histogram,
    socket::Socket,
    stage::Stage,
    tally::{Acknowledged, Tally, Verdict},
};

/// How many connect at a time when it is not what is measured.
pub(crate) const GENTLY: u32 = 64;

/// A send's fate: who sent, by its place among the seats, and the index it was acknowledged with.
pub(crate) type Sent = (usize, i64);

/// The sockets, in the order of the stage's seats.
pub(crate) struct Crowd {
    pub(crate) sockets: Vec<Arc<Socket>>,
    /// How long each took to be let in.
    pub(crate) greetings: Arc<Histogram>,
    /// How long all took together.
    pub(crate) took: Duration,
}

impl Crowd {
    /// Connects everybody, so many at a time. The ears, and the cursors in them, are one for each seat.
    pub(crate) async fn connect(
        stage: &Arc<Stage>,
        ears: Vec<Ear>,
        concurrency: u32,
    ) -> anyhow::Result<Self> {
        let began = Instant::now();
        let next = Arc::new(AtomicUsize::new(0));
        let greetings = Arc::new(Histogram::new());
        let ears: Arc<Vec<std::sync::Mutex<Option<Ear>>>> = Arc::new(
            ears.into_iter()
                .map(|ear| std::sync::Mutex::new(Some(ear)))
                .collect(),
        );
        let mut hands = JoinSet::new();
        for _ in 0..concurrency {
            let (stage, next, ears, greetings) = (
                Arc::clone(stage),
                Arc::clone(&next),
                Arc::clone(&ears),
                Arc::clone(&greetings),
            );
            hands.spawn(async move {
                let mut done = Vec::new();
                loop {
                    let place = next.fetch_add(1, Ordering::Relaxed);
                    let Some(ear) = ears.get(place).and_then(|ear| ear.lock().ok()?.take()) else {
                        return anyhow::Ok(done);
                    };
                    let began = Instant::now();
                    let gateways = &stage.target.gateways;
                    let gateway = gateways[place % gateways.len()];
                    let cursor = ear.cursor.clone();
                    let socket =
                        Socket::connect(gateway, &stage.seats[place].token, cursor.as_deref(), ear).await?;
                    greetings.record(began.elapsed());
                    done.push((place, Arc::new(socket)));
                }
            });
        }
        let mut sockets = Vec::with_capacity(stage.seats.len());
        while let Some(done) = hands.join_next().await {
            sockets.extend(done??);
        }
        sockets.sort_unstable_by_key(|(place, _)| *place);
        Ok(Self {
            sockets: sockets.into_iter().map(|(_, socket)| socket).collect(),
            greetings,
            took: began.elapsed(),
        })
    }

    /// Connects everybody for the first time.
    pub(crate) async fn gather(
        stage: &Arc<Stage>,
        board: &Arc<Board>,
        concurrency: u32,
    ) -> anyhow::Result<Self> {
        let ears = stage.seats.iter().map(|_| Ear::new(board)).collect();
        Self::connect(stage, ears, concurrency).await
    }

    /// Cuts everybody off; answers what each has heard.
    pub(crate) async fn drop_transports(self) -> anyhow::Result<Vec<Ear>> {
        try_join_all(self.sockets.into_iter().map(async |socket| {
            let socket =
                Arc::into_inner(socket).ok_or_else(|| anyhow::anyhow!("a sender still holds its socket"))?;
            socket.drop_transport().await
        }))
        .await
    }
}

/// Compares what was acknowledged with what everybody heard.
pub(crate) fn judge(stage: &Stage, sent: &[Sent], announced: &[Vec<i64>], ears: &[Ear]) -> Verdict {
    let mut rooms: Vec<(Acknowledged, Vec<&Tally>)> = Vec::new();
    rooms.resize_with(stage.rooms.len(), Default::default);
    for &(place, index) in sent {
        let seat = &stage.seats[place];
        rooms[seat.room].0.add(Some(seat.member), index);
    }
    for (room, indexes) in rooms.iter_mut().zip(announced) {
        for index in indexes {
            room.0.add(None, *index);
        }
    }
    for (seat, ear) in stage.seats.iter().zip(ears) {
        rooms[seat.room].1.push(&ear.tally);
    }
    let mut verdict = Verdict::default();
    for (acknowledged, tallies) in &rooms {
        verdict += acknowledged.judge(tallies);
    }
    verdict
}

/// Waits for the senders, who have been told to stop; answers what they sent and how many did not come back.
pub(crate) async fn collect(
    senders: Vec<tokio::task::JoinHandle<Vec<Sent>>>,
    patience: Duration,
) -> (Vec<Sent>, u64) {
    let deadline = tokio::time::Instant::now() + patience;
    let ends = join_all(senders.into_iter().map(async |mut sender| {
        match tokio::time::timeout_at(deadline, &mut sender).await {
            Ok(Ok(sent)) => Some(sent),
            Ok(Err(_)) => None,
            Err(_) => {
                sender.abort();
                let _ = sender.await;
                None
            }
        }
    }))
    .await;
    let lost = ends.iter().filter(|end| end.is_none()).count() as u64;
    (ends.into_iter().flatten().flatten().collect(), lost)
}
