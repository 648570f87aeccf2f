//! The endpoint as the binary sees it.

use std::{sync::Arc, time::Duration};

use actix_web::{HttpRequest, web};
use tokio::task::AbortHandle;

use super::{
    config::EngineConfig,
    registry::{EngineService, Registry},
    timers::Timers,
};

/// One Engine.IO endpoint. Cheap to clone; all clones are the same endpoint.
#[derive(Debug, Clone)]
pub struct EngineServer {
    registry: Arc<Registry>,
    _timers: Arc<TimerTask>,
}

impl EngineServer {
    /// An endpoint that hands its sessions to `service`.
    ///
    /// # Panics
    /// Outside a Tokio runtime, whose timer it needs. The runtime must outlive the endpoint.
    #[must_use]
    pub fn new(config: EngineConfig, service: Arc<dyn EngineService>) -> Self {
        let registry = Arc::new(Registry::new(config, service));
        let task = tokio::spawn(Timers::run(Arc::clone(registry.timers()))).abort_handle();
        Self {
            registry,
            _timers: Arc::new(TimerTask(task)),
        }
    }

    /// Adds the polling routes to an application. WebSockets come through [`listen`](super::listen()).
    pub fn configure(&self, config: &mut web::ServiceConfig) {
        let path = self.path();
        let registry = Arc::clone(&self.registry);
        let serve = move |request: HttpRequest, body: web::Payload| {
            super::polling::serve(request, body, Arc::clone(&registry))
        };
        config.service(web::resource([path.to_owned(), format!("{path}/")]).to(serve));
    }

    /// How many sessions are open.
    #[must_use]
    pub fn sessions(&self) -> usize {
        self.registry.open_sessions()
    }

    /// How many bytes of memory wait for clients to read, or to finish what they say.
    #[must_use]
    pub fn waiting_bytes(&self) -> usize {
        self.registry.ledger().bytes()
    }

    /// How many sessions were cut off because their clients did not read.
    #[must_use]
    pub fn cut_off(&self) -> u64 {
        self.registry.cut_off()
    }

    /// How many messages were written to WebSockets.
    #[must_use]
    pub fn messages_written(&self) -> u64 {
        self.registry.written().messages()
    }

    /// With how many calls into the kernel.
    #[must_use]
    pub fn writes(&self) -> u64 {
        self.registry.written().writes()
    }

    /// Refuses new sessions with 503, ends all others at the transport, so that clients come back elsewhere, not all
    /// of them in one moment, and waits until they know, at most for `bound`.
    pub async fn shutdown(&self, bound: Duration) {
        self.registry.shutdown(bound).await;
    }

    pub(super) fn registry(&self) -> &Arc<Registry> {
        &self.registry
    }

    pub(super) fn serves(&self, path: &str) -> bool {
        path.strip_suffix('/').unwrap_or(path) == self.path()
    }

    fn path(&self) -> &str {
        self.registry.config().path.trim_end_matches('/')
    }
}

/// Ends the timers' task with the last clone of the server.
#[derive(Debug)]
struct TimerTask(AbortHandle);

impl Drop for TimerTask {
    fn drop(&mut self) {
        self.0.abort();
    }
}
