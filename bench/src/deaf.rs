//! Sockets that are let in and never read again.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use tokio::{
    net::tcp::{OwnedReadHalf, OwnedWriteHalf},
    task::JoinSet,
};

use crate::{
    board::{Board, Ear},
    crowd::GENTLY,
    socket,
    stage::Stage,
};

/// As little as the kernel can be told to keep for them: what they do not read is to wait at the server.
const RECEIVE_BUFFER: u32 = 4 * 1024;

/// Open connections that nobody reads from.
pub(crate) struct Deaf(#[expect(dead_code, reason = "held open")] Vec<(OwnedReadHalf, OwnedWriteHalf)>);

impl Deaf {
    /// Connects so many, as further devices of the stage's users, in turn.
    pub(crate) async fn connect(
        stage: &Arc<Stage>,
        board: &Arc<Board>,
        count: usize,
    ) -> anyhow::Result<Self> {
        let next = Arc::new(AtomicUsize::new(0));
        let mut hands = JoinSet::new();
        for _ in 0..GENTLY {
            let (stage, board, next) = (Arc::clone(stage), Arc::clone(board), Arc::clone(&next));
            hands.spawn(async move {
                let mut done = Vec::new();
                loop {
                    let place = next.fetch_add(1, Ordering::Relaxed);
                    if place >= count {
                        return anyhow::Ok(done);
                    }
                    let gateway = stage.target.gateways[place % stage.target.gateways.len()];
                    let token = &stage.seats[place % stage.seats.len()].token;
                    let mut ear = Ear::new(&board);
                    done.push(
                        socket::let_in(
                            socket::dial(gateway, Some(RECEIVE_BUFFER)).await?,
                            gateway,
                            token,
                            &mut ear,
                        )
                        .await?,
                    );
                }
            });
        }
        let mut connections = Vec::with_capacity(count);
        while let Some(done) = hands.join_next().await {
            connections.extend(done??);
        }
        Ok(Self(connections))
    }
}
