//! The namespaces of one Engine.IO session.
//!
//! What a client sends is decoded where it arrives and put into an inbox. A task works the inbox off, one
//! input after the other, and lives only as long as there is any: an idle connection has no task of its own.

use std::{
    collections::VecDeque,
    mem,
    panic::AssertUnwindSafe,
    sync::{Arc, Weak},
    time::Instant,
};

use bytes::Bytes;
use bytestring::ByteString;
use futures_util::{FutureExt as _, future::BoxFuture};
use parking_lot::Mutex;
use serde_json::value::RawValue;
use smallvec::SmallVec;
use tokio::{runtime::Handle, sync::Notify};

use super::{
    attachments::Partial,
    encode,
    namespace::{IncomingEvent, Refusal, SocketHandler},
    packet::{self, Body, Packet},
    server::Shared,
    socket::{AckSender, Socket},
};
use crate::engine_io::{CloseReason, Message, Outgoing, Session, SessionHandler};

/// Of so many namespaces that ended lately we remember the names, to ignore what the client sent before it knew.
const REMEMBERED_ENDS: usize = 8;

/// An emptied inbox keeps room for this many inputs at most.
const RETAINED_CAPACITY: usize = 4;

pub(super) struct Connection {
    shared: Arc<Shared>,
    session: Arc<Session>,
    this: Weak<Connection>,
    state: Mutex<State>,
    /// The inbox was worked off.
    settled: Notify,
}

struct State {
    /// By when a namespace must have been joined.
    join_by: Option<Instant>,
    partial: Option<Box<Partial>>,
    inbox: VecDeque<Input>,
    /// Bytes in the inbox, and of the input being worked on.
    backlog: usize,
    is_working: bool,
    is_over: bool,
    joined: SmallVec<[Joined; 1]>,
    ended: Vec<ByteString>,
}

#[derive(Clone)]
struct Joined {
    socket: Socket,
    handler: Arc<dyn SocketHandler>,
}

enum Input {
    Packet(Packet, Vec<Bytes>),
    PutOut(Socket),
    Over(CloseReason),
}

impl Input {
    fn cost(&self) -> usize {
        let bytes = match self {
            Self::Packet(packet, attachments) => {
                let text = match &packet.body {
                    Body::Connect(auth) => auth.as_ref().map_or(0, |auth| auth.len()),
                    Body::Event { args, .. } => {
                        mem::size_of_val(args.as_slice()) + args.iter().map(|arg| arg.len()).sum::<usize>()
                    }
                    Body::Disconnect | Body::Ack(_) => 0,
                };
                text + attachments.iter().map(Bytes::len).sum::<usize>()
            }
            Self::PutOut(_) | Self::Over(_) => 0,
        };
        mem::size_of::<Self>() + bytes
    }
}

impl Connection {
    pub(super) fn new(shared: Arc<Shared>, session: Arc<Session>) -> Arc<Self> {
        let state = State {
            join_by: Some(Instant::now() + shared.config.connect_timeout),
            partial: None,
            inbox: VecDeque::new(),
            backlog: 0,
            is_working: false,
            is_over: false,
            joined: SmallVec::new(),
            ended: Vec::new(),
        };
        Arc::new_cyclic(|this| Self {
            shared,
            session,
            this: this.clone(),
            state: Mutex::new(state),
            settled: Notify::new(),
        })
    }

    /// Ends the socket in order, after what is being worked on.
    pub(super) fn put_out(&self, socket: Socket) {
        self.push(Input::PutOut(socket));
    }

    fn take_text(&self, text: &ByteString) -> Result<(), CloseReason> {
        if self.state.lock().partial.is_some() {
            return Err(CloseReason::ProtocolError);
        }
        // Whoever waits for attachments must not keep the whole body that its packet came in.
        let own = text.starts_with(['5', '6']).then(|| ByteString::from(&**text));
        let text = own.as_ref().unwrap_or(text);
        let packet = packet::decode(text).map_err(|error| {
            tracing::debug!(%error, "a client sent a malformed packet");
            CloseReason::ProtocolError
        })?;
        if packet.attachments == 0 {
            self.push(Input::Packet(packet, Vec::new()));
        } else {
            let deadline = Instant::now() + self.shared.config.attachment_timeout;
            let partial = Partial::new(packet, text.len(), deadline);
            let held = partial.held();
            self.state.lock().partial = Some(Box::new(partial));
            self.session.schedule(deadline);
            self.session.hold_parts(held);
        }
        Ok(())
    }

    fn take_binary(&self, bytes: &[u8]) -> Result<(), CloseReason> {
        let (held, complete) = {
            let mut state = self.state.lock();
            let partial = state.partial.as_mut().ok_or(CloseReason::ProtocolError)?;
            let is_complete = partial
                .add(bytes, self.shared.config.max_attachment_bytes)
                .map_err(|_| CloseReason::PayloadTooLarge)?;
            if is_complete {
                (0, state.partial.take())
            } else {
                (partial.held(), None)
            }
        };
        self.session.hold_parts(held);
        if let Some(partial) = complete {
            let (packet, attachments) = partial.into_parts();
            self.push(Input::Packet(packet, attachments));
        }
        Ok(())
    }

    fn push(&self, input: Input) {
        let mut state = self.state.lock();
        if state.is_over {
            return;
        }
        state.is_over = matches!(input, Input::Over(_));
        state.backlog += input.cost();
        state.inbox.push_back(input);
        if mem::replace(&mut state.is_working, true) {
            return;
        }
        drop(state);
        if let Some(this) = self.this.upgrade() {
            // Usually the runtime of the thread that serves the connection; a close may come from anywhere.
            let runtime = Handle::try_current().unwrap_or_else(|_| self.shared.runtime.clone());
            runtime.spawn(this.work());
        }
    }

    async fn work(self: Arc<Self>) {
        while let Some(input) = self.next_input() {
            let cost = input.cost();
            if AssertUnwindSafe(self.handle(input)).catch_unwind().await.is_err() {
                tracing::error!("a socket handler panicked; its connection is closed");
                self.session.close(CloseReason::ServerClose);
            }
            self.state.lock().backlog -= cost;
        }
        self.settled.notify_waiters();
    }

    fn next_input(&self) -> Option<Input> {
        let mut state = self.state.lock();
        let input = state.inbox.pop_front();
        if input.is_none() {
            state.is_working = false;
            if state.inbox.capacity() > RETAINED_CAPACITY {
                state.inbox = VecDeque::new();
            }
        }
        input
    }

    async fn handle(&self, input: Input) {
        match input {
            Input::Packet(
                Packet {
                    namespace,
                    body: Body::Connect(auth),
                    ..
                },
                _,
            ) => {
                self.connect(namespace, auth).await;
            }
            Input::Packet(packet, attachments) => match self.find(&packet.namespace) {
                Some(joined) => self.deliver(joined, packet.body, attachments).await,
                // What the client sent before it heard of the end is no violation.
                None if self.state.lock().ended.contains(&packet.namespace) => {}
                None => self.session.close(CloseReason::ProtocolError),
            },
            Input::PutOut(socket) => self.put_out_now(&socket),
            Input::Over(reason) => {
                let joined = mem::take(&mut self.state.lock().joined);
                for Joined { socket, handler } in joined {
                    let put_out = !socket.end();
                    handler.disconnected(if put_out {
                        CloseReason::ServerDisconnect
                    } else {
                        reason
                    });
                }
            }
        }
    }

    fn put_out_now(&self, socket: &Socket) {
        let by = Instant::now() + self.shared.config.connect_timeout;
        if self.leave(socket, CloseReason::ServerDisconnect) && self.state.lock().joined.is_empty() {
            self.state.lock().join_by = Some(by);
            self.session.schedule(by);
        }
    }

    async fn connect(&self, namespace: ByteString, auth: Option<ByteString>) {
        if self.find(&namespace).is_some() {
            return self.session.close(CloseReason::ProtocolError);
        }
        let Some((name, application)) = self.shared.namespaces.get_key_value(&*namespace) else {
            return self.refuse(&namespace, &Refusal::new("Invalid namespace"));
        };
        // The name is shared by all sockets; a slice of the packet would keep the whole of it in memory.
        let socket = Socket::new(name.clone(), Arc::clone(&self.session), self.this.clone());
        let auth = auth.and_then(|json| RawValue::from_string(json.to_string()).ok());
        let handler = match application.connect(socket.clone(), auth).await {
            Ok(handler) => handler,
            Err(refusal) => {
                socket.end();
                return self.refuse(&namespace, &refusal);
            }
        };
        {
            let mut state = self.state.lock();
            state.join_by = None;
            state.ended.retain(|ended| *ended != namespace);
            state.joined.push(Joined {
                socket: socket.clone(),
                handler: Arc::clone(&handler),
            });
        }
        if socket.accept() {
            handler.connected().await;
        } else {
            socket.say_disconnect();
            self.put_out_now(&socket);
        }
    }

    fn refuse(&self, namespace: &str, refusal: &Refusal) {
        let packet = encode::refused(namespace, &refusal.message, refusal.data.as_ref());
        self.session.send(Outgoing::packet(packet));
        // A slice of the packet would keep the whole of it in memory.
        self.remember_end(namespace.into());
    }

    async fn deliver(&self, joined: Joined, body: Body, attachments: Vec<Bytes>) {
        let Joined { socket, handler } = joined;
        match body {
            Body::Event { .. } if socket.is_over() => {}
            Body::Event { name, args, ack } => {
                let ack = ack.map(|id| AckSender::new(socket, id));
                handler
                    .event(IncomingEvent {
                        name,
                        args,
                        attachments,
                        ack,
                    })
                    .await;
            }
            Body::Disconnect => {
                self.leave(&socket, CloseReason::ClientDisconnect);
            }
            // We ask for none.
            Body::Ack(_) | Body::Connect(_) => {}
        }
    }

    /// Takes the socket out; false when it was out already.
    fn leave(&self, socket: &Socket, reason: CloseReason) -> bool {
        let left = {
            let mut state = self.state.lock();
            let position = state.joined.iter().position(|joined| joined.socket == *socket);
            position.map(|position| state.joined.remove(position))
        };
        let Some(Joined { socket, handler }) = left else {
            return false;
        };
        let put_out = !socket.end();
        self.remember_end(socket.namespace().into());
        handler.disconnected(if put_out {
            CloseReason::ServerDisconnect
        } else {
            reason
        });
        true
    }

    fn remember_end(&self, namespace: ByteString) {
        let mut state = self.state.lock();
        if state.ended.len() == REMEMBERED_ENDS {
            state.ended.remove(0);
        }
        state.ended.push(namespace);
    }

    fn find(&self, namespace: &str) -> Option<Joined> {
        self.state
            .lock()
            .joined
            .iter()
            .find(|joined| joined.socket.namespace() == namespace)
            .cloned()
    }
}

impl SessionHandler for Connection {
    fn message(&self, message: Message) {
        let taken = match message {
            Message::Text(text) => self.take_text(&text),
            Message::Binary(bytes) => self.take_binary(&bytes),
        };
        if let Err(reason) = taken {
            self.session.close(reason);
        }
    }

    fn closed(&self, reason: CloseReason) {
        self.state.lock().partial = None;
        self.push(Input::Over(reason));
    }

    fn backlog(&self) -> usize {
        self.state.lock().backlog
    }

    fn settled(self: Arc<Self>) -> BoxFuture<'static, ()> {
        async move {
            loop {
                let settled = self.settled.notified();
                if !self.state.lock().is_working {
                    return;
                }
                settled.await;
            }
        }
        .boxed()
    }

    fn deadline(&self) -> Option<(Instant, CloseReason)> {
        let state = self.state.lock();
        let join = state.join_by.map(|at| (at, CloseReason::ConnectTimeout));
        let attachments = state
            .partial
            .as_ref()
            .map(|partial| (partial.deadline, CloseReason::ProtocolError));
        join.into_iter().chain(attachments).min_by_key(|(at, _)| *at)
    }
}
