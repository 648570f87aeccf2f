//! What an operator may turn.

use std::time::Duration;

/// Which web pages may talk to this server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origins {
    /// Every page. Right where each request carries its own token and nothing rides on cookies.
    Any,
    /// Only these, each in the form `https://chat.example.com`.
    Only(Vec<String>),
}

impl Origins {
    /// Whether a request with this `Origin` header is welcome. Requests without one do not come from a page.
    #[must_use]
    pub fn allow(&self, origin: Option<&str>) -> bool {
        match (self, origin) {
            (Self::Any, _) | (_, None) => true,
            (Self::Only(list), Some(origin)) => list.iter().any(|allowed| allowed == origin),
        }
    }
}

/// Settings of one Engine.IO endpoint.
#[derive(Debug, Clone)]
pub struct EngineConfig {
    /// Where the endpoint lives; served with and without a trailing slash.
    pub path: String,
    /// From the handshake, or the last pong, to the next ping. Keep it under the idle limit of proxies.
    pub ping_interval: Duration,
    /// How long a client may take to answer a ping.
    pub ping_timeout: Duration,
    /// How long a WebSocket may take to take a polling session over.
    pub upgrade_timeout: Duration,
    /// Largest message, and largest polling body, that is accepted, in bytes. Told to clients.
    pub max_payload: usize,
    /// How much may wait for one client, in bytes, before it is cut off. One message more than an empty
    /// queue always fits, however long it is.
    pub queue_limit: usize,
    /// How much may wait for all clients together, in bytes of memory, before those are cut off that have kept us
    /// waiting longest.
    pub total_limit: usize,
    /// How much of a client's input may wait for its handlers, in bytes, before we stop reading from it.
    pub backlog_limit: usize,
    /// How long a POST is held for the handlers of its packets, so that the next GET finds their answers.
    pub post_wait: Duration,
    /// How long a session that we closed waits for the polling client to come and be told.
    pub close_wait: Duration,
    /// Pages that may connect.
    pub origins: Origins,
    /// Whether `X-Forwarded-For`, `-Host` and `-Proto` are believed. Only behind a proxy that sets them.
    pub trust_forwarded: bool,
    /// Most open sessions; more are refused with 503.
    pub max_sessions: Option<usize>,
    /// Most open sessions of one peer address; more are refused with 503.
    pub max_sessions_per_peer: Option<usize>,
}

impl Default for EngineConfig {
    fn default() -> Self {
        Self {
            path: "/engine.io".into(),
            ping_interval: Duration::from_secs(25),
            ping_timeout: Duration::from_secs(20),
            upgrade_timeout: Duration::from_secs(10),
            max_payload: 1_000_000,
            queue_limit: 1024 * 1024,
            total_limit: 256 * 1024 * 1024,
            backlog_limit: 256 * 1024,
            post_wait: Duration::from_secs(1),
            close_wait: Duration::from_secs(30),
            origins: Origins::Any,
            trust_forwarded: false,
            max_sessions: None,
            max_sessions_per_peer: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_listed_pages_are_welcome() {
        let origins = Origins::Only(vec!["https://a.example".into()]);
        assert!(origins.allow(Some("https://a.example")));
        assert!(origins.allow(None));
        assert!(!origins.allow(Some("https://a.example.evil")));
        assert!(Origins::Any.allow(Some("null")));
    }
}
