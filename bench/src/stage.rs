//! What a scenario needs on the server before it begins: a service with rooms, and users with tokens in them.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Instant,
};

use futures_util::future::try_join_all;

use crate::{Bench, rest::Backend, target::Target};

/// Requests in flight while it is prepared: enough for the server to store many in one commit.
const BACKENDS: usize = 32;

/// A service of its own for one run.
pub(crate) struct Stage {
    pub(crate) target: Target,
    pub(crate) service: String,
    /// The rooms' SIDs.
    pub(crate) rooms: Vec<String>,
    /// Every member of every room, room by room.
    pub(crate) seats: Vec<Seat>,
    keep: bool,
}

/// A user in its one room.
pub(crate) struct Seat {
    /// The room's place in [`Stage::rooms`].
    pub(crate) room: usize,
    /// The user's place among the members.
    pub(crate) member: u32,
    pub(crate) token: String,
}

impl Stage {
    /// Makes the rooms, each with so many members of its own.
    pub(crate) async fn set(bench: &Bench, rooms: u32, members: u32) -> anyhow::Result<Self> {
        let began = Instant::now();
        let target = &bench.target;
        let service = Backend::connect(target).await?.create_service().await?;
        let rooms = share_out(target, rooms as usize, async |backend, room| {
            backend.create_channel(&service, &format!("room-{room}")).await
        })
        .await?;
        let each = members as usize;
        let seats = share_out(target, rooms.len() * each, async |backend, place| {
            let (room, member) = (place / each, place % each);
            let identity = format!("user-{room}-{member}");
            backend.add_member(&service, &rooms[room], &identity).await?;
            let token = backend.mint_token(&service, &identity).await?;
            Ok(Seat {
                room,
                member: u32::try_from(member)?,
                token,
            })
        })
        .await?;
        eprintln!(
            "{} rooms and {} users made in {:.1?}",
            rooms.len(),
            seats.len(),
            began.elapsed()
        );
        Ok(Self {
            target: target.clone(),
            service,
            rooms,
            seats,
            keep: bench.keep,
        })
    }

    /// Has one more user, and no other, take part in every room.
    pub(crate) async fn seat_in_all(&mut self, identity: &str) -> anyhow::Result<()> {
        share_out(&self.target, self.rooms.len(), async |backend, room| {
            backend
                .add_member(&self.service, &self.rooms[room], identity)
                .await
        })
        .await?;
        let token = Backend::connect(&self.target)
            .await?
            .mint_token(&self.service, identity)
            .await?;
        self.seats = vec![Seat {
            room: 0,
            member: 0,
            token,
        }];
        Ok(())
    }

    /// Sends so many messages to each room as the backend; answers their indexes, room by room.
    pub(crate) async fn announce(&self, bodies: &[String]) -> anyhow::Result<Vec<Vec<i64>>> {
        share_out(&self.target, self.rooms.len(), async |backend, room| {
            let mut indexes = Vec::with_capacity(bodies.len());
            for body in bodies {
                indexes.push(backend.send(&self.service, &self.rooms[room], body).await?);
            }
            Ok(indexes)
        })
        .await
    }

    /// Sends so many batches of messages to each room as the backend.
    pub(crate) async fn announce_batches(&self, batches: u32, size: u32, body: &str) -> anyhow::Result<()> {
        let bodies = vec![body; size as usize];
        share_out(&self.target, self.rooms.len(), async |backend, room| {
            for _ in 0..batches {
                backend
                    .send_batch(&self.service, &self.rooms[room], &bodies)
                    .await?;
            }
            Ok(())
        })
        .await?;
        Ok(())
    }

    /// Takes everything away again.
    pub(crate) async fn clear(&self) -> anyhow::Result<()> {
        if !self.keep {
            Backend::connect(&self.target)
                .await?
                .delete_service(&self.service)
                .await?;
        }
        Ok(())
    }
}

/// Does `count` pieces of work on several connections; answers the results in order.
pub(crate) async fn share_out<T>(
    target: &Target,
    count: usize,
    work: impl AsyncFn(&mut Backend, usize) -> anyhow::Result<T>,
) -> anyhow::Result<Vec<T>> {
    let next = AtomicUsize::new(0);
    let hands = (0..BACKENDS.min(count)).map(async |_| {
        let mut backend = Backend::connect(target).await?;
        let mut done = Vec::new();
        loop {
            let place = next.fetch_add(1, Ordering::Relaxed);
            if place >= count {
                return anyhow::Ok(done);
            }
            done.push((place, work(&mut backend, place).await?));
        }
    });
    let mut done: Vec<(usize, T)> = try_join_all(hands).await?.into_iter().flatten().collect();
    done.sort_unstable_by_key(|(place, _)| *place);
    Ok(done.into_iter().map(|(_, result)| result).collect())
}
