//! The namespace `/`: a client is let in with an access token and spoken to in verbs.

use std::sync::Arc;

use async_trait::async_trait;
use hubbub_core::{
    BaseUrl, Caller, Core, Ctx, Error, Result, Timestamp,
    access_tokens::{self, AccessToken},
    error::ErrorCode,
    events::cursor::CursorKey,
    users,
};
use parking_lot::Mutex;
use serde::Deserialize;
use serde_json::{Value, json, value::RawValue};

use crate::{
    client::Client,
    hub::{Attendance, Hub, Start},
    socket_io::{CloseReason, Handshake, IncomingEvent, Namespace, Refusal, Sid, Socket, SocketHandler},
    verbs::Session,
};

/// The chat of this process.
pub(crate) struct Chat {
    core: Arc<Core>,
    hub: Arc<Hub>,
}

#[derive(Default, Deserialize)]
struct Auth {
    token: Option<Value>,
    cursor: Option<Value>,
    /// Connection state recovery is for those who ask for it: the offset behind every event is an argument that
    /// other handlers do not expect.
    recovery: Option<Value>,
    /// The private id and the last offset, which official clients add when they come back.
    pid: Option<Value>,
    offset: Option<Value>,
}

/// The socket that a client was before.
struct Before {
    id: Sid,
    pid: String,
    offset: String,
}

impl Auth {
    fn recovers(&self) -> bool {
        self.recovery == Some(Value::Bool(true))
    }

    /// The socket that the client shows to have been, if it may.
    fn before(&self, token: &AccessToken, cursors: &CursorKey) -> Option<Before> {
        let (Some(Value::String(pid)), Some(Value::String(offset))) = (&self.pid, &self.offset) else {
            return None;
        };
        let id = cursors.open_socket(pid, token.service, token.identity.as_str())?;
        Some(Before {
            id: Sid::parse(&id)?,
            pid: pid.clone(),
            offset: offset.clone(),
        })
    }
}

impl Chat {
    pub(crate) fn new(core: Arc<Core>, hub: Arc<Hub>) -> Self {
        Self { core, hub }
    }

    async fn let_in(&self, socket: Socket, auth: Option<Box<RawValue>>) -> Result<Arc<dyn SocketHandler>> {
        let auth: Auth = auth
            .and_then(|auth| serde_json::from_str(auth.get()).ok())
            .unwrap_or_default();
        let token = auth
            .token
            .as_ref()
            .and_then(|token| token.as_str())
            .ok_or_else(|| {
                Error::with(
                    ErrorCode::TokenInvalid,
                    "Invalid access token: auth.token is missing",
                )
            })?;
        let token = access_tokens::verify(&self.core, token).await?;
        let base = base_url(&self.core, socket.handshake());
        let recovers = auth.recovers();
        let cursors = &self.core.cursors;
        let deliveries = self.core.deliveries.clone();
        let client = Client::new(socket, &token, base, cursors.clone(), deliveries, recovers);
        let caller = Caller::User {
            account: token.account,
            service: token.service,
            identity: token.identity.clone(),
            key: token.key,
            connection: Some(client.id),
        };
        let before = recovers
            .then(|| auth.before(&token, cursors))
            .flatten()
            .filter(|before| self.hub.readable(&client, &before.offset).is_some());
        if let Some(before) = &before {
            self.hub.supersede(&client, before.id.as_str());
        }
        // Looked at before anything is written for a client that cannot stay.
        self.hub.check_limits(&client)?;
        match self.seat(client.clone(), caller, before, auth.cursor).await {
            Ok(door) => Ok(Arc::new(door)),
            Err(error) => {
                self.hub.leave(&client);
                Err(error)
            }
        }
    }

    /// Gives the client its place. After an error it has to leave.
    async fn seat(
        &self,
        client: Arc<Client>,
        caller: Caller,
        before: Option<Before>,
        cursor: Option<Value>,
    ) -> Result<Door> {
        let ctx = Ctx::enter(&self.core, caller, client.service).await?;
        let (mut user, reach) = users::log_in(&ctx, &client.identity).await?;
        // It is, by this; the database has it soon.
        user.online = true;
        self.hub.enter(&client, ctx.service.reachability_enabled)?;
        let attendance = Attendance::of(&ctx, &user).await?;
        self.hub.attend(&client, &attendance);
        // A cursor that is no text is as unreadable as one that is nonsense.
        let cursor = cursor.filter(|cursor| !cursor.is_null());
        let cursor = match &before {
            Some(before) => Some(before.offset.as_str()),
            None => cursor.as_ref().map(|cursor| cursor.as_str().unwrap_or_default()),
        };
        let start = self
            .hub
            .admit(&client, cursor, user.joined_channels_count)
            .await?;
        // Until everything missed has been told, the client's own cursor is the true one.
        let position = match (cursor, start.complete) {
            (Some(cursor), Some(true)) => cursor.to_owned(),
            _ => client.cursor(self.hub.watermark()),
        };
        if client.recovers {
            self.offer_recovery(&client, before.filter(|_| start.complete == Some(true)));
            client.track(&position);
        }
        let initialized = json!({
            "connection_id": client.socket.id(),
            "service_sid": client.service,
            "user": reach.view(&user, client.account, &client.base),
            "cursor": position,
            "server_time": Timestamp::now().to_millis_text(),
        });
        let session = Session::new(Arc::clone(&self.hub), ctx, client);
        Ok(Door {
            session: Arc::new(session),
            start: Mutex::new(Some(Beginning {
                initialized,
                position,
                start,
            })),
        })
    }

    /// Lets the client be the socket that it was before. Everything it missed will be told: the client takes the same
    /// private id for a promise of that, so whoever comes for the first time or missed too much gets a new one.
    fn offer_recovery(&self, client: &Client, before: Option<Before>) {
        if let Some(before) = before {
            client.socket.offer_recovery(before.id, before.pid);
        } else {
            let id = Sid::random();
            let pid = self
                .core
                .cursors
                .seal_socket(client.service, client.identity.as_str(), id.as_str());
            client.socket.offer_recovery(id, pid);
        }
    }
}

/// The base of URLs in what this client gets: the configured one, or where it found us.
fn base_url(core: &Core, handshake: &Handshake) -> BaseUrl {
    core.settings
        .public_url
        .clone()
        .unwrap_or_else(|| BaseUrl::new(&format!("{}://{}", handshake.scheme(), handshake.host())))
}

#[async_trait]
impl Namespace for Chat {
    async fn connect(
        &self,
        socket: Socket,
        auth: Option<Box<RawValue>>,
    ) -> Result<Arc<dyn SocketHandler>, Refusal> {
        self.let_in(socket, auth).await.map_err(|error| {
            if error.code().status() >= 500 {
                tracing::error!(?error, "a client could not be let in");
            }
            Refusal::new(error.message()).with_data(json!({
                "code": error.code().code(),
                "status": error.code().status(),
                "message": error.message(),
            }))
        })
    }
}

/// A client that was let in.
struct Door {
    session: Arc<Session>,
    /// What it is told first.
    start: Mutex<Option<Beginning>>,
}

/// What a client is told first.
struct Beginning {
    initialized: Value,
    /// Where it stands then.
    position: String,
    start: Start,
}

#[async_trait]
impl SocketHandler for Door {
    async fn connected(&self) {
        let Some(Beginning {
            initialized,
            position,
            start,
        }) = self.start.lock().take()
        else {
            return;
        };
        self.session.client.tell("initialized", &initialized, &position);
        self.session.catch_up(start);
    }

    async fn event(&self, event: IncomingEvent) {
        self.session.handle(event).await;
    }

    fn disconnected(&self, reason: CloseReason) {
        tracing::debug!(%reason, "a client left");
        self.session.hub.leave(&self.session.client);
    }
}
