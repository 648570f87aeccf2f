//! What of campaigns' messages has reached somebody's device: gathered, and written down a few times a second.

use std::{collections::HashSet, time::Duration};

use tokio::{sync::mpsc, time::sleep};

use super::{
    engine::CLIENT_ID,
    outcomes::{self, Delivery},
};
use crate::{ctx::Ctx, db::Db, entities::message};

/// How long deliveries gather.
const ROUND: Duration = Duration::from_millis(200);
/// The most of one round.
const MOST: usize = 4096;
/// The most that wait; what is more is not told. A recipient's reading tells more than that anyway.
const WAITING: usize = 65_536;
/// In how many rounds it is looked whether somebody has become a recipient who was sent to.
const ROUNDS: u32 = 25;

/// Takes note of deliveries. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Deliveries(mpsc::Sender<Delivery>);

impl Deliveries {
    pub(crate) fn start(db: &Db) -> Self {
        let (notes, heard) = mpsc::channel(WAITING);
        tokio::spawn(run(db.clone(), heard));
        Self(notes)
    }

    /// The user has the message on a device of its own. Only campaigns' messages are noted.
    pub fn note(&self, message: &message::Model, identity: &str) {
        let is_campaigns = message
            .client_id
            .as_ref()
            .is_some_and(|id| id.starts_with(CLIENT_ID));
        if is_campaigns && message.author != identity {
            let delivery = Delivery {
                service: message.service_id,
                channel: message.channel_id,
                message: message.id,
                identity: identity.to_owned(),
            };
            // A full queue loses it.
            let _ = self.0.try_send(delivery);
        }
    }

    /// The caller reads these.
    pub(crate) fn note_all(&self, ctx: &Ctx, messages: &[message::Model]) {
        if let Some(identity) = ctx.caller.identity() {
            for message in messages {
                self.note(message, identity.as_str());
            }
        }
    }
}

async fn run(db: Db, mut heard: mpsc::Receiver<Delivery>) {
    let mut batch = Vec::new();
    let mut early: Vec<(Delivery, u32)> = Vec::new();
    loop {
        if early.is_empty() {
            let Some(first) = heard.recv().await else { return };
            batch.push(first);
        }
        sleep(ROUND).await;
        while batch.len() < MOST {
            match heard.try_recv() {
                Ok(delivery) => batch.push(delivery),
                Err(_) => break,
            }
        }
        if heard.is_closed() && batch.is_empty() {
            return;
        }
        let known: HashSet<&Delivery> = early.iter().map(|(delivery, _)| delivery).collect();
        let fresh: HashSet<Delivery> = batch
            .drain(..)
            .filter(|delivery| !known.contains(delivery))
            .collect();
        early.extend(fresh.into_iter().map(|delivery| (delivery, 0)));
        let all: Vec<Delivery> = early.iter().map(|(delivery, _)| delivery.clone()).collect();
        let again: HashSet<Delivery> = match outcomes::delivered(&db, &all).await {
            Ok(again) => again.into_iter().collect(),
            Err(error) => {
                tracing::debug!(?error, "deliveries of campaigns are written down a moment later");
                all.into_iter().collect()
            }
        };
        early.retain_mut(|(delivery, rounds)| {
            *rounds += 1;
            *rounds < ROUNDS && again.contains(delivery)
        });
    }
}
