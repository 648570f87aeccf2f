//! The namespace `/`: a client is let in with an access token and spoken to in verbs.

use std::sync::Arc;

use async_trait::async_trait;
use hubbub_core::{
    BaseUrl, Caller, Core, Ctx, Error, Result, Timestamp, access_tokens, error::ErrorCode, users,
};
use parking_lot::Mutex;
use serde::Deserialize;
use serde_json::{json, value::RawValue};

use crate::{
    client::Client,
    hub::{Hub, Start},
    socket_io::{CloseReason, Handshake, IncomingEvent, Namespace, Refusal, Socket, SocketHandler},
    verbs::Session,
};

/// The chat of this process.
pub(crate) struct Chat {
    core: Arc<Core>,
    hub: Arc<Hub>,
}

#[derive(Deserialize)]
struct Auth {
    token: Option<serde_json::Value>,
    cursor: Option<serde_json::Value>,
}

impl Chat {
    pub(crate) fn new(core: Arc<Core>, hub: Arc<Hub>) -> Self {
        Self { core, hub }
    }

    async fn let_in(&self, socket: Socket, auth: Option<Box<RawValue>>) -> Result<Arc<dyn SocketHandler>> {
        let auth: Auth = auth
            .and_then(|auth| serde_json::from_str(auth.get()).ok())
            .unwrap_or(Auth {
                token: None,
                cursor: None,
            });
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
        let client = Client::new(socket, &token, base, self.core.cursors.clone());
        let caller = Caller::User {
            account: token.account,
            service: token.service,
            identity: token.identity.clone(),
            key: token.key,
            connection: Some(client.id),
        };
        // Looked at before anything is written for a client that cannot stay.
        self.hub.check_limits(&client)?;
        match self.seat(client.clone(), caller, auth.cursor).await {
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
        cursor: Option<serde_json::Value>,
    ) -> Result<Door> {
        let ctx = Ctx::enter(&self.core, caller, client.service).await?;
        let user = users::log_in(&ctx, &client.identity).await?;
        self.hub.enter(&client)?;
        // A cursor that is no text is as unreadable as one that is nonsense.
        let cursor = cursor.filter(|cursor| !cursor.is_null());
        let cursor = cursor.as_ref().map(|cursor| cursor.as_str().unwrap_or_default());
        let start = self.hub.admit(&client, cursor).await?;
        // Until everything missed has been told, the client's own cursor is the true one.
        let position = match (cursor, start.complete) {
            (Some(cursor), Some(true)) => cursor.to_owned(),
            _ => client.cursor(self.hub.watermark()),
        };
        let initialized = json!({
            "connection_id": client.socket.id(),
            "service_sid": client.service,
            "user": users::view(&user, client.account, &client.base),
            "cursor": position,
            "server_time": Timestamp::now().to_millis_text(),
        });
        let session = Session::new(Arc::clone(&self.hub), ctx, client);
        Ok(Door {
            session: Arc::new(session),
            start: Mutex::new(Some((initialized, start))),
        })
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
    start: Mutex<Option<(serde_json::Value, Start)>>,
}

#[async_trait]
impl SocketHandler for Door {
    async fn connected(&self) {
        let Some((initialized, start)) = self.start.lock().take() else {
            return;
        };
        self.session.client.socket.emit("initialized", &initialized);
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
