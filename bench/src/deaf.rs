//! Sockets that are let in and never read again.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use anyhow::Context as _;
use tokio::{
    net::{
        TcpSocket, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
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
                    done.push(socket::let_in(dial(gateway).await?, gateway, token, &mut ear).await?);
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

async fn dial(gateway: SocketAddr) -> anyhow::Result<TcpStream> {
    let socket = if gateway.is_ipv4() {
        TcpSocket::new_v4()
    } else {
        TcpSocket::new_v6()
    }?;
    socket.set_recv_buffer_size(RECEIVE_BUFFER)?;
    socket
        .connect(gateway)
        .await
        .with_context(|| format!("nothing listens at {gateway}"))
}
