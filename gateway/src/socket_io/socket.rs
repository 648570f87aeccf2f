//! Handles by which an application speaks to clients.

use std::{
    fmt,
    sync::{
        Arc, OnceLock, Weak,
        atomic::{AtomicU8, Ordering},
    },
};

use bytes::Bytes;
use bytestring::ByteString;
use serde::Serialize;

use super::{connection::Connection, encode};
use crate::engine_io::{CloseReason, Handshake, Outgoing, Session, Shared, Sid};

const PENDING: u8 = 0;
const CONNECTED: u8 = 1;
const OVER: u8 = 2;

/// A client in a namespace. Cheap to clone; all clones are the same socket. Nothing here blocks.
#[derive(Clone)]
pub struct Socket(Arc<Inner>);

struct Inner {
    id: Sid,
    returning: OnceLock<Returning>,
    namespace: ByteString,
    session: Arc<Session>,
    connection: Weak<Connection>,
    status: AtomicU8,
}

/// What lets a client come back as the socket it was.
struct Returning {
    /// The public id, which it keeps.
    id: Sid,
    /// The private id, which it shows.
    private_id: ByteString,
}

impl Socket {
    pub(super) fn new(namespace: ByteString, session: Arc<Session>, connection: Weak<Connection>) -> Self {
        let status = AtomicU8::new(PENDING);
        Self(Arc::new(Inner {
            id: Sid::random(),
            returning: OnceLock::new(),
            namespace,
            session,
            connection,
            status,
        }))
    }

    /// The public id, which the client knows as `socket.id`. It is not the secret id of the session.
    #[must_use]
    pub fn id(&self) -> &str {
        self.0
            .returning
            .get()
            .map_or(&self.0.id, |returning| &returning.id)
            .as_str()
    }

    /// Offers connection state recovery: the client is let in under this public id, and told a private one, of
    /// characters that JSON need not escape, by which the application knows it when it comes back. For clients that
    /// asked for it, before they are let in, once.
    pub fn offer_recovery(&self, id: Sid, private_id: impl Into<ByteString>) {
        let private_id = private_id.into();
        let _ = self.0.returning.set(Returning { id, private_id });
    }

    /// The namespace, `/` or `/something`.
    #[must_use]
    pub fn namespace(&self) -> &str {
        &self.0.namespace
    }

    /// The request that opened the connection: headers, query, address, host and scheme.
    #[must_use]
    pub fn handshake(&self) -> &Handshake {
        self.0.session.handshake()
    }

    /// Makes an encoded packet that many sockets send: its memory is counted once.
    #[must_use]
    pub fn share(&self, packet: ByteString) -> Shared {
        self.0.session.share(packet)
    }

    /// Queues an encoded packet of this socket's namespace. False when it will not be sent: the client was not
    /// let in yet or is gone, a volatile packet found no room, or there was no room at all, which ends the
    /// connection.
    pub fn send(&self, message: Outgoing) -> bool {
        self.is_let_in() && self.0.session.send(message)
    }

    /// Queues several packets that belong together: the client gets them with as few writes as possible. False as in
    /// [`Self::send`] for any of them.
    pub fn send_all(&self, messages: impl IntoIterator<Item = Outgoing>) -> bool {
        self.is_let_in() && self.0.session.send_all(messages)
    }

    fn is_let_in(&self) -> bool {
        self.0.status.load(Ordering::Acquire) == CONNECTED
    }

    /// Encodes and queues an event with one argument. False as in [`Self::send`], or when `data` cannot be JSON.
    pub fn emit(&self, name: &str, data: &impl Serialize) -> bool {
        match serde_json::to_string(data) {
            Ok(json) => self.send(Outgoing::packet(encode::encode_event(
                self.namespace(),
                name,
                &json,
            ))),
            Err(error) => {
                tracing::error!(%error, name, "an event could not be encoded");
                false
            }
        }
    }

    /// Queues an event with arguments as JSON text, separated by commas, and the attachments they refer to.
    pub fn emit_binary(&self, name: &str, args: &str, attachments: Arc<[Bytes]>) -> bool {
        let head = encode::event(self.namespace(), name, args, attachments.len());
        self.send(Outgoing::packet(head).with_attachments(attachments))
    }

    /// Puts the client out of the namespace. Official clients do not come back by themselves; a client that
    /// joins nothing else within the connect time-out is hung up on.
    pub fn disconnect(&self) {
        if self.0.status.swap(OVER, Ordering::AcqRel) != CONNECTED {
            return;
        }
        self.say_disconnect();
        if let Some(connection) = self.0.connection.upgrade() {
            connection.put_out(self.clone());
        }
    }

    /// Ends the connection under all its namespaces, after what is queued. Clients come back by themselves.
    pub fn close_transport(&self) {
        self.0.session.close(CloseReason::ServerClose);
    }

    /// Ends the connection of a client that went on asking for more than it may.
    pub fn cut_off(&self) {
        self.0.session.close(CloseReason::Flooding);
    }

    /// Whether packets can be sent.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        self.is_let_in() && self.0.session.is_open()
    }

    /// How much waits to be sent on the connection, in bytes.
    #[must_use]
    pub fn queued_bytes(&self) -> usize {
        self.0.session.queued_bytes()
    }

    /// Queues the acceptance, then opens the socket for everything else.
    /// False when it was put out while it was being let in; then it stays out.
    pub(super) fn accept(&self) -> bool {
        let private_id = self.0.returning.get().map(|returning| &*returning.private_id);
        let packet = encode::connected(self.namespace(), self.id(), private_id);
        self.0.session.send(Outgoing::packet(packet));
        self.0
            .status
            .compare_exchange(PENDING, CONNECTED, Ordering::AcqRel, Ordering::Acquire)
            .is_ok()
    }

    /// Tells the client that it is out of the namespace.
    pub(super) fn say_disconnect(&self) {
        self.0
            .session
            .send(Outgoing::packet(encode::disconnect(self.namespace())));
    }

    /// True when this call ended the socket.
    pub(super) fn end(&self) -> bool {
        self.0.status.swap(OVER, Ordering::AcqRel) == CONNECTED
    }

    pub(super) fn is_over(&self) -> bool {
        self.0.status.load(Ordering::Acquire) == OVER
    }
}

impl PartialEq for Socket {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Socket {}

impl fmt::Debug for Socket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Socket")
            .field("id", &self.id())
            .field("namespace", &self.namespace())
            .finish()
    }
}

/// Answers one event, at most once. Dropped, it leaves the event unanswered.
#[derive(Debug)]
pub struct AckSender {
    socket: Socket,
    id: u64,
}

impl AckSender {
    pub(super) fn new(socket: Socket, id: u64) -> Self {
        Self { socket, id }
    }

    /// Answers with one value. False as in [`Socket::send`], or when `data` cannot be JSON.
    pub fn send(self, data: &impl Serialize) -> bool {
        match serde_json::to_string(data) {
            Ok(json) => self.send_json(&json),
            Err(error) => {
                tracing::error!(%error, "an ack could not be encoded");
                false
            }
        }
    }

    /// Answers with values given as JSON text, separated by commas. False as in [`Socket::send`].
    pub fn send_json(self, args: &str) -> bool {
        self.socket.send(Outgoing::packet(encode::ack(
            self.socket.namespace(),
            self.id,
            args,
            0,
        )))
    }

    /// As [`Self::send_json`], with the attachments that the values refer to.
    pub fn send_binary(self, args: &str, attachments: Arc<[Bytes]>) -> bool {
        let head = encode::ack(self.socket.namespace(), self.id, args, attachments.len());
        self.socket
            .send(Outgoing::packet(head).with_attachments(attachments))
    }
}
