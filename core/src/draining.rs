//! The end of a process in its stages: first balancers are sent elsewhere, then whoever waits for something stops waiting.

use tokio::sync::watch;

/// How far the end has come. Cheap to clone; all clones are one.
#[derive(Clone)]
pub struct Draining(watch::Sender<Stage>);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Serving,
    Announced,
    Ending,
}

impl Default for Draining {
    fn default() -> Self {
        Self(watch::Sender::new(Stage::Serving))
    }
}

impl Draining {
    /// Announces the end; everything is served as before.
    pub fn announce(&self) {
        self.0.send_replace(Stage::Announced);
    }

    /// Begins it: nobody waits for anything any more.
    pub fn begin(&self) {
        self.0.send_replace(Stage::Ending);
    }

    /// Whether it was announced.
    #[must_use]
    pub fn is_announced(&self) -> bool {
        *self.0.borrow() != Stage::Serving
    }

    /// Returns when it has begun.
    pub async fn begun(&self) {
        // The sender lives as long as this does.
        let _ = self.0.subscribe().wait_for(|stage| *stage == Stage::Ending).await;
    }
}
