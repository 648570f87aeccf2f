//! What clients may ask for: one object in, one ack out, `{ok: true, data}` or `{ok: false, error}` with the codes
//! of REST. Verbs of one socket take effect in the order sent.

mod args;
mod channels;
mod desk;
mod invites;
mod members;
mod messages;
mod typing;
mod users;

use std::{sync::Arc, time::Instant};

use hubbub_core::{Caller, Ctx, Error, Result, access_tokens, error::ErrorCode, members::horizons};
use parking_lot::RwLock;
use serde::Serialize;
use serde_json::{Value, json, value::RawValue};

use self::args::Args;
use crate::{
    client::{Client, REPORTS_IN_FLIGHT, SENDS_IN_FLIGHT},
    hub::{self, Hub, Start},
    limits::{self, Pass, VerbMeter},
    socket_io::{AckSender, IncomingEvent},
};

/// A client at work.
pub(crate) struct Session {
    pub(crate) hub: Arc<Hub>,
    pub(crate) client: Arc<Client>,
    /// The service as it was at the connect, which is good for what needs none of its settings; the caller as its
    /// latest token makes it.
    ctx: RwLock<Arc<Ctx>>,
    meter: VerbMeter,
}

/// What changes nothing. Every other verb is refused to read-only tokens.
const READING: [&str; 9] = [
    "getMessages",
    "getChannels",
    "getPublicChannels",
    "getChannel",
    "getMembers",
    "getUser",
    "getDesk",
    "updateToken",
    "sync",
];

/// What a verb answers.
type Answer = Result<Box<RawValue>>;

impl Session {
    pub(crate) fn new(hub: Arc<Hub>, ctx: Ctx, client: Arc<Client>) -> Self {
        Self {
            meter: VerbMeter::new(hub.verb_rate),
            hub,
            client,
            ctx: RwLock::new(Arc::new(ctx)),
        }
    }

    fn ctx(&self) -> Arc<Ctx> {
        Arc::clone(&self.ctx.read())
    }

    /// The context of this moment: the service's settings are read anew.
    async fn fresh(&self) -> Result<Ctx> {
        let ctx = self.ctx();
        Ctx::enter(&ctx.core, ctx.caller.clone(), ctx.scope()).await
    }

    fn identity(&self) -> &str {
        self.client.identity.as_str()
    }

    /// Delivers what was missed, in a task of its own so that verbs are answered meanwhile, then lets live events
    /// through.
    pub(crate) fn catch_up(self: &Arc<Self>, start: Start) {
        let session = Arc::clone(self);
        let work = async move {
            if let Err(error) = session.hub.catch_up(&session.client, &start).await {
                tracing::debug!(
                    ?error,
                    "a client could not catch up; it comes back with its cursor"
                );
                session.client.socket.close_transport();
                return;
            }
            if let Some(complete) = start.complete {
                let cursor = session.client.cursor(session.hub.watermark());
                let synced = json!({ "cursor": cursor, "complete": complete });
                session.client.tell("synced", &synced, &cursor);
            }
            session.hub.release(&session.client);
        };
        tokio::spawn(work);
    }

    /// Carries out one event of the client.
    pub(crate) async fn handle(self: &Arc<Self>, event: IncomingEvent) {
        let ack = event.ack;
        match self.meter.take(Instant::now()) {
            Pass::Go => {}
            Pass::Wait(wait) => return respond(ack, Err(limits::too_many_verbs(wait))),
            Pass::Cut => return self.client.socket.cut_off(),
        }
        let args = Args::parse(event.args.first().map_or("null", |args| args));
        let args = match args {
            Ok(args) => args,
            Err(error) => return respond(ack, Err(error)),
        };
        if !READING.contains(&&*event.name)
            && let Err(refusal) = self.ctx().caller.may_write()
        {
            return respond(ack, Err(refusal));
        }
        if &*event.name == "sendMessage" {
            return self.send_message(&args, ack).await;
        }
        // Whatever is not a send takes effect after the sends before it.
        drop(self.client.sends.acquire_many(SENDS_IN_FLIGHT).await);
        match &*event.name {
            "setLastConsumedMessageIndex" => return self.report_horizon(&args, ack).await,
            // It has nothing to do with what is read.
            "typing" => {}
            _ => self.settle_reports().await,
        }
        respond(ack, self.answer(&event.name, &args).await);
    }

    /// Waits for the reports of read horizons before, which need not wait any longer themselves.
    async fn settle_reports(&self) {
        if self.client.reports.available_permits() < REPORTS_IN_FLIGHT as usize {
            horizons::hurry(&self.ctx());
            drop(self.client.reports.acquire_many(REPORTS_IN_FLIGHT).await);
        }
    }

    async fn answer(self: &Arc<Self>, verb: &str, args: &Args) -> Answer {
        match verb {
            "updateMessage" => self.update_message(args).await,
            "removeMessage" => self.remove_message(args).await,
            "getMessages" => self.get_messages(args).await,
            "getChannels" => self.get_channels(args).await,
            "getChannel" => self.get_channel(args).await,
            "getPublicChannels" => self.get_public_channels(args).await,
            "createChannel" => self.create_channel(args).await,
            "updateChannel" => self.update_channel(args).await,
            "removeChannel" => self.remove_channel(args).await,
            "joinChannel" => self.join_channel(args).await,
            "leaveChannel" => self.leave_channel(args).await,
            "inviteMember" => self.invite_member(args).await,
            "acceptInvite" => self.accept_invite(args).await,
            "declineInvite" => self.decline_invite(args).await,
            "addMember" => self.add_member(args).await,
            "removeMember" => self.remove_member(args).await,
            "updateMember" => self.update_member(args).await,
            "getMembers" => self.get_members(args).await,
            "getDesk" => self.get_desk(args).await,
            "getUser" => self.get_user(args).await,
            "updateUser" => self.update_user(args).await,
            "typing" => self.typing(args).await,
            "updateUserChannel" => self.update_user_channel(args).await,
            "updateToken" => self.update_token(args).await,
            "sync" => self.sync(args).await,
            _ => Err(Error::with(
                ErrorCode::InvalidParameter,
                format!("Unknown verb '{}'", args::shorten(verb)),
            )),
        }
    }

    async fn update_token(&self, args: &Args) -> Answer {
        let ctx = self.ctx();
        let token = access_tokens::verify(&ctx.core, args.required_text("token")?).await?;
        if token.identity != self.client.identity || token.service != self.client.service {
            return Err(Error::with(
                ErrorCode::Forbidden,
                "token is of another identity or service",
            ));
        }
        self.client.token.renew(&token);
        let mut ctx = Ctx::clone(&ctx);
        if let Caller::User { key, .. } = &mut ctx.caller {
            *key = token.key;
        }
        *self.ctx.write() = Arc::new(ctx);
        data(&json!({}))
    }

    async fn sync(self: &Arc<Self>, args: &Args) -> Answer {
        let cursor = args.required_text("cursor")?;
        // What else it catches up with as it comes ends in a `synced` of its own.
        let mut is_held = self.client.hold();
        while !is_held && self.client.is_held_for_joins() {
            tokio::time::sleep(hub::PACE).await;
            is_held = self.client.hold();
        }
        if is_held {
            match self.hub.missed_since(&self.client, cursor).await {
                Ok(start) => self.catch_up(start),
                Err(error) => {
                    self.hub.release(&self.client);
                    return Err(error);
                }
            }
        }
        data(&json!({}))
    }
}

/// The data of an ack.
fn data(data: &impl Serialize) -> Answer {
    serde_json::value::to_raw_value(data).map_err(Error::internal)
}

fn respond(ack: Option<AckSender>, answer: Answer) {
    #[derive(Serialize)]
    struct Done<'a> {
        ok: bool,
        data: &'a RawValue,
    }
    if let Err(error) = &answer
        && error.code().status() >= 500
    {
        tracing::error!(?error, "a verb failed");
    }
    let Some(ack) = ack else { return };
    match answer {
        Ok(data) => ack.send(&Done {
            ok: true,
            data: &data,
        }),
        Err(error) => ack.send(&refusal(&error)),
    };
}

fn refusal(error: &Error) -> Value {
    json!({
        "ok": false,
        "error": {
            "code": error.code().code(),
            "status": error.code().status(),
            "message": error.message(),
            "more_info": error.more_info(),
        },
    })
}
