//! Verbs about messages and the read horizon.

use std::sync::Arc;

use hubbub_core::{
    Error, Result,
    error::ErrorCode,
    members::horizons::{self, Horizon},
    messages::{self, Anchor, NewMessage, Sent, UpdateMessage, Vetted},
};
use serde::Serialize;
use serde_json::json;
use tokio::sync::{OwnedSemaphorePermit, oneshot};

use super::{Answer, Args, Session, data, respond};
use crate::socket_io::AckSender;

/// The length of a stretch of history, unless asked for otherwise, and at most.
const HISTORY: (u64, u64) = (30, 100);

impl Session {
    /// Submits the message in the order of arrival and answers when it is committed, while the next ones follow. When
    /// somebody is to be asked about it first, those behind it are asked about meanwhile and wait for their turn.
    pub(super) async fn send_message(self: &Arc<Self>, args: &Args, ack: Option<AckSender>) {
        let Ok(permit) = Arc::clone(&self.client.sends).acquire_owned().await else {
            return;
        };
        let said = new_message(args).and_then(|new| Ok((args.channel()?, new)));
        let (channel, new) = match said {
            Ok(said) => said,
            Err(error) => return respond(ack, Err(error)),
        };
        let asked = async {
            let ctx = self.ctx().renewed().await?;
            let due = messages::interceptors(&ctx).await?;
            Ok((ctx, due))
        };
        let (ctx, due) = match asked.await {
            Ok(asked) => asked,
            Err(error) => return respond(ack, Err(error)),
        };
        let session = Arc::clone(self);
        if due.is_none() && self.client.is_its_turn() {
            return match messages::submit(&ctx, &Vetted::unasked(channel, new)) {
                Err(error) => respond(ack, Err(error)),
                Ok(sent) => {
                    tokio::spawn(async move { session.acknowledge(sent, ack, permit).await });
                }
            };
        }
        let mut turn = self.client.take_turn();
        tokio::spawn(async move {
            let vetted = match due {
                None => Ok(Vetted::unasked(channel, new)),
                Some(due) => messages::vet(&ctx, due, &channel, new).await,
            };
            turn.comes().await;
            let submitted = vetted.and_then(|vetted| messages::submit(&ctx, &vetted));
            drop((turn, ctx));
            match submitted {
                Err(error) => respond(ack, Err(error)),
                Ok(sent) => session.acknowledge(sent, ack, permit).await,
            }
        });
    }

    async fn acknowledge(
        &self,
        sent: oneshot::Receiver<Result<Sent>>,
        ack: Option<AckSender>,
        permit: OwnedSemaphorePermit,
    ) {
        let sent = sent
            .await
            .unwrap_or_else(|_| Err(Error::new(ErrorCode::Unavailable)));
        respond(ack, sent.and_then(|sent| self.sent_view(&sent)));
        drop(permit);
    }

    fn sent_view(&self, sent: &Sent) -> Answer {
        #[derive(Serialize)]
        struct View {
            #[serde(flatten)]
            message: messages::MessageView,
            replayed: bool,
        }
        let message = messages::view(&sent.message, self.client.account, &self.client.base);
        data(&View {
            message,
            replayed: sent.replayed,
        })
    }

    pub(super) async fn update_message(&self, args: &Args) -> Answer {
        let update = UpdateMessage {
            body: args.owned_text("body")?,
            attributes: args.owned_text("attributes")?,
            ..UpdateMessage::default()
        };
        if update.body.is_none() && update.attributes.is_none() {
            return Err(Error::with(
                ErrorCode::UpdateWithoutParameters,
                "Update without parameters: give body or attributes",
            ));
        }
        let message =
            messages::update(&self.fresh().await?, &args.channel()?, args.message()?, update).await?;
        data(&messages::view(&message, self.client.account, &self.client.base))
    }

    pub(super) async fn remove_message(&self, args: &Args) -> Answer {
        messages::remove(&self.fresh().await?, &args.channel()?, args.message()?).await?;
        data(&json!({}))
    }

    pub(super) async fn get_messages(&self, args: &Args) -> Answer {
        let anchor = anchor(args)?;
        let limit = args.limit(HISTORY.0, HISTORY.1)?;
        let history = messages::history(&self.ctx(), &args.channel()?, anchor, limit).await?;
        let view = |message| messages::view(message, self.client.account, &self.client.base);
        data(&json!({
            "messages": history.messages.iter().map(view).collect::<Vec<_>>(),
            "has_before": history.has_before,
            "has_after": history.has_after,
        }))
    }

    /// Reports the read horizon in the order of arrival and answers when it is stored, while the next ones follow.
    pub(super) async fn report_horizon(self: &Arc<Self>, args: &Args, ack: Option<AckSender>) {
        if self.client.reports.available_permits() == 0 {
            horizons::hurry(&self.ctx());
        }
        let Ok(permit) = Arc::clone(&self.client.reports).acquire_owned().await else {
            return;
        };
        match self.report(args).await {
            Err(error) => respond(ack, Err(error)),
            Ok(stored) => {
                tokio::spawn(async move {
                    let stored = stored
                        .await
                        .unwrap_or_else(|_| Err(Error::new(ErrorCode::Unavailable)));
                    respond(ack, stored.and_then(|Horizon { index, unread }| {
                        data(&json!({ "last_consumed_message_index": index, "unread_messages_count": unread }))
                    }));
                    drop(permit);
                });
            }
        }
    }

    async fn report(&self, args: &Args) -> Result<oneshot::Receiver<Result<Horizon>>> {
        let index = args
            .integer("index")?
            .ok_or_else(|| Error::parameter("index", "is missing"))?;
        horizons::report(&self.ctx().renewed().await?, args.channel()?, index)
    }
}

fn new_message(args: &Args) -> Result<NewMessage> {
    Ok(NewMessage {
        body: args.owned_text("body")?,
        attributes: args.owned_text("attributes")?,
        client_id: args.owned_text("client_id")?,
        media_sid: args.owned_text("media_sid")?,
        ..NewMessage::default()
    })
}

fn anchor(args: &Args) -> Result<Anchor> {
    let mut anchor = Anchor::End;
    for (name, make) in [
        ("before", Anchor::Before as fn(i64) -> Anchor),
        ("after", Anchor::After),
        ("around", Anchor::Around),
    ] {
        let Some(index) = args.integer(name)? else {
            continue;
        };
        if anchor != Anchor::End {
            return Err(Error::parameter(
                name,
                "cannot stand beside another anchor: give one of before, after and around",
            ));
        }
        anchor = make(
            messages::index(index)
                .map_err(|_| Error::parameter(name, "must be a whole number of 0 or more"))?,
        );
    }
    Ok(anchor)
}
