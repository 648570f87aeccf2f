//! All sessions of one endpoint, and who is let in.

use std::{
    borrow::Cow,
    collections::{HashMap, hash_map::Entry},
    net::IpAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use actix_http::RequestHead;
use bytestring::ByteString;
use parking_lot::{Mutex, RwLock};
use tokio::sync::Notify;

use super::{
    close::CloseReason,
    config::EngineConfig,
    handshake::Handshake,
    ledger::Ledger,
    relief,
    request::{Refusal, RequestedTransport, origin},
    session::{Session, SessionHandler},
    sid::Sid,
    timers::Timers,
};

/// A drain ends so many sessions in one go…
const DRAIN_TICK: Duration = Duration::from_millis(20);

/// …as that their clients come back elsewhere one after the other, if there is time for it.
const DRAIN_PACE: Duration = Duration::from_millis(1);

/// The application of an endpoint.
pub trait EngineService: Send + Sync + 'static {
    /// A client opened a session: give what handles it.
    ///
    /// # Errors
    /// The client is refused with 403 and this message.
    fn open(&self, session: &Arc<Session>) -> Result<Arc<dyn SessionHandler>, Cow<'static, str>>;
}

pub(super) struct Registry {
    config: EngineConfig,
    service: Arc<dyn EngineService>,
    timers: Arc<Timers>,
    ledger: Arc<Ledger>,
    sessions: RwLock<HashMap<Sid, Arc<Session>>>,
    per_peer: Mutex<HashMap<IpAddr, usize>>,
    open: AtomicUsize,
    cut_off: AtomicU64,
    written: Written,
    is_draining: AtomicBool,
    /// The last session was removed.
    emptied: Notify,
}

/// How much went out to WebSockets, and how often the kernel was called for it.
#[derive(Debug, Default)]
pub(super) struct Written {
    messages: AtomicU64,
    writes: AtomicU64,
}

impl Written {
    /// One call into the kernel took so many messages.
    pub(super) fn count(&self, messages: usize) {
        let messages = u64::try_from(messages).unwrap_or(u64::MAX);
        self.messages.fetch_add(messages, Ordering::Relaxed);
        self.writes.fetch_add(1, Ordering::Relaxed);
    }

    /// Messages.
    pub(super) fn messages(&self) -> u64 {
        self.messages.load(Ordering::Relaxed)
    }

    /// Calls into the kernel.
    pub(super) fn writes(&self) -> u64 {
        self.writes.load(Ordering::Relaxed)
    }
}

impl Registry {
    pub(super) fn new(config: EngineConfig, service: Arc<dyn EngineService>) -> Self {
        Self {
            ledger: Ledger::new(config.total_limit),
            config,
            service,
            timers: Arc::default(),
            sessions: RwLock::default(),
            per_peer: Mutex::default(),
            open: AtomicUsize::new(0),
            cut_off: AtomicU64::new(0),
            written: Written::default(),
            is_draining: AtomicBool::new(false),
            emptied: Notify::new(),
        }
    }

    pub(super) fn config(&self) -> &EngineConfig {
        &self.config
    }

    pub(super) fn timers(&self) -> &Arc<Timers> {
        &self.timers
    }

    /// What went out to WebSockets.
    pub(super) fn written(&self) -> &Written {
        &self.written
    }

    /// What waits for all clients.
    pub(super) fn ledger(&self) -> &Arc<Ledger> {
        &self.ledger
    }

    /// Makes room if too much waits. Nobody may hold a session's lock here.
    pub(super) fn relieve(&self) {
        if self.ledger.is_over() {
            self.ledger.relieve(|| {
                // Their own list is not held meanwhile: whoever ends takes itself off it.
                let sessions: Vec<_> = self.sessions.read().values().cloned().collect();
                relief::relieve(&self.ledger, sessions);
            });
        }
    }

    /// Sessions that are open for the application.
    pub(super) fn open_sessions(&self) -> usize {
        self.open.load(Ordering::Relaxed)
    }

    pub(super) fn get(&self, sid: Sid) -> Option<Arc<Session>> {
        self.sessions.read().get(&sid).cloned()
    }

    /// Opens a session for a request without a sid. A WebSocket finds the open packet in its queue; for
    /// polling it is the body of the answer.
    pub(super) fn open(
        self: &Arc<Self>,
        head: &RequestHead,
        transport: RequestedTransport,
    ) -> Result<Arc<Session>, Refusal> {
        if !self.config.origins.allow(origin(head)) {
            return Err(Refusal::Forbidden("Origin not allowed".into()));
        }
        let handshake = Handshake::from_head(head, self.config.trust_forwarded);
        self.count_open(&handshake)?;
        let on_websocket = transport == RequestedTransport::WebSocket;
        let session = Session::new(Arc::clone(self), handshake, on_websocket);
        if on_websocket {
            session.send(super::Outgoing::packet(self.open_packet(&session, transport)));
        }
        match self.service.open(&session) {
            Ok(handler) => session.set_handler(handler),
            Err(reason) => {
                session.close(CloseReason::ServerClose);
                return Err(Refusal::Forbidden(reason));
            }
        }
        self.sessions.write().insert(session.sid(), Arc::clone(&session));
        session.schedule(Instant::now());
        if self.is_draining.load(Ordering::SeqCst) {
            // The drain may have passed the map by before we were in it.
            session.close(CloseReason::ServerShutdown);
        }
        Ok(session)
    }

    /// `0` and the five fields, in the order of the protocol text.
    pub(super) fn open_packet(&self, session: &Session, transport: RequestedTransport) -> ByteString {
        let upgrades = match transport {
            RequestedTransport::Polling => r#"["websocket"]"#,
            RequestedTransport::WebSocket => "[]",
        };
        let EngineConfig {
            ping_interval,
            ping_timeout,
            max_payload,
            ..
        } = &self.config;
        format!(
            r#"0{{"sid":"{}","upgrades":{upgrades},"pingInterval":{},"pingTimeout":{},"maxPayload":{max_payload}}}"#,
            session.sid(),
            ping_interval.as_millis(),
            ping_timeout.as_millis(),
        )
        .into()
    }

    fn count_open(&self, handshake: &Handshake) -> Result<(), Refusal> {
        if self.is_draining.load(Ordering::SeqCst) {
            return Err(Refusal::Unavailable("Server is shutting down"));
        }
        let open = self.open.fetch_add(1, Ordering::Relaxed);
        if self.config.max_sessions.is_some_and(|limit| open >= limit) {
            self.open.fetch_sub(1, Ordering::Relaxed);
            return Err(Refusal::Unavailable("Too many sessions"));
        }
        if let (Some(limit), Some(peer)) = (self.config.max_sessions_per_peer, handshake.peer_addr()) {
            let mut per_peer = self.per_peer.lock();
            let count = per_peer.entry(peer).or_default();
            if *count >= limit {
                self.open.fetch_sub(1, Ordering::Relaxed);
                return Err(Refusal::Unavailable("Too many sessions from this address"));
            }
            *count += 1;
        }
        Ok(())
    }

    /// Sessions that were cut off because their clients did not read.
    pub(super) fn cut_off(&self) -> u64 {
        self.cut_off.load(Ordering::Relaxed)
    }

    /// Takes back what [`Self::open`] counted. Called once for each session.
    pub(super) fn count_closed(&self, session: &Session, reason: CloseReason) {
        self.open.fetch_sub(1, Ordering::Relaxed);
        if reason == CloseReason::SlowConsumer {
            self.cut_off.fetch_add(1, Ordering::Relaxed);
        }
        if self.config.max_sessions_per_peer.is_some()
            && let Some(peer) = session.handshake().peer_addr()
            && let Entry::Occupied(mut count) = self.per_peer.lock().entry(peer)
        {
            *count.get_mut() -= 1;
            if *count.get() == 0 {
                count.remove();
            }
        }
    }

    pub(super) fn remove(&self, sid: Sid) {
        let mut sessions = self.sessions.write();
        sessions.remove(&sid);
        if sessions.is_empty() {
            self.emptied.notify_waiters();
        }
    }

    /// Lets nobody in any more, ends all sessions and waits until their clients know, or the time is over.
    pub(super) async fn shutdown(&self, bound: Duration) {
        self.is_draining.store(true, Ordering::SeqCst);
        let deadline = tokio::time::Instant::now() + bound;
        self.close_all(bound / 5 * 4).await;
        let emptied = async {
            loop {
                let emptied = self.emptied.notified();
                if self.sessions.read().is_empty() {
                    return;
                }
                emptied.await;
            }
        };
        if tokio::time::timeout_at(deadline, emptied).await.is_err() {
            tracing::info!(
                left = self.sessions.read().len(),
                "some clients did not hear of the shutdown"
            );
        }
    }

    /// Ends all sessions, spread over some time, so that clients do not come back in one moment.
    async fn close_all(&self, bound: Duration) {
        let sessions: Vec<_> = self.sessions.read().values().cloned().collect();
        let spread = bound.min(DRAIN_PACE * u32::try_from(sessions.len()).unwrap_or(u32::MAX));
        let ticks = usize::try_from(spread.as_millis() / DRAIN_TICK.as_millis()).unwrap_or(usize::MAX);
        let mut portions = sessions
            .chunks(sessions.len().div_ceil(ticks.max(1)).max(1))
            .peekable();
        while let Some(portion) = portions.next() {
            for session in portion {
                session.close(CloseReason::ServerShutdown);
            }
            if portions.peek().is_some() {
                tokio::time::sleep(DRAIN_TICK).await;
            }
        }
    }
}

impl std::fmt::Debug for Registry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Registry")
            .field("open", &self.open)
            .finish_non_exhaustive()
    }
}
