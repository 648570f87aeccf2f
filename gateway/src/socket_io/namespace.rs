//! What an application implements.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use bytestring::ByteString;
use serde_json::{Value, value::RawValue};

use super::{
    packet::Arguments,
    socket::{AckSender, Socket},
};
use crate::engine_io::CloseReason;

/// A namespace that clients may join.
#[async_trait]
pub trait Namespace: Send + Sync + 'static {
    /// A client asks to be let in, with the JSON object it sent along. Until this returns nothing can be sent
    /// to the socket.
    ///
    /// # Errors
    /// The client is told no (CONNECT_ERROR); official clients do not try again by themselves.
    async fn connect(
        &self,
        socket: Socket,
        auth: Option<Box<RawValue>>,
    ) -> Result<Arc<dyn SocketHandler>, Refusal>;
}

/// The application's side of one socket. The calls come one after the other, in the order in which things
/// happened: `connected`, any number of `event`s, `disconnected`.
#[async_trait]
pub trait SocketHandler: Send + Sync + 'static {
    /// The client's acceptance is queued; whatever is sent from now on follows it.
    async fn connected(&self) {}

    /// An event arrived. The next one waits until this returns, so that events take effect in order; what may
    /// overlap belongs into a task of its own, which can take the ack along.
    async fn event(&self, event: IncomingEvent);

    /// The socket is over, whatever happened. Called exactly once for each handler, after everything else; not
    /// before the running call has returned.
    fn disconnected(&self, reason: CloseReason);
}

/// An event of a client.
#[derive(Debug)]
pub struct IncomingEvent {
    /// Its name; a numeric name is given as its JSON text.
    pub name: ByteString,
    /// Its arguments, each as JSON text that is known to be well-formed. They are slices of one received
    /// message; what is to be kept for long should be copied.
    pub args: Arguments,
    /// Its binary attachments; the arguments refer to them by `{"_placeholder":true,"num":0}`.
    pub attachments: Vec<Bytes>,
    /// Set when the client wants an answer.
    pub ack: Option<AckSender>,
}

/// Why a client was not let in.
#[derive(Debug, Clone, PartialEq)]
pub struct Refusal {
    /// For people.
    pub message: String,
    /// For programs.
    pub data: Option<Value>,
}

impl Refusal {
    /// A refusal without data.
    #[must_use]
    pub fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            data: None,
        }
    }

    /// Adds the data.
    #[must_use]
    pub fn with_data(mut self, data: Value) -> Self {
        self.data = Some(data);
        self
    }
}
