//! Questions to workers: somebody waits for the reply, for a moment only.
//!
//! What is asked is worth nothing once nobody waits for it any more. So an ask is never stored, never repeated by the
//! broker's side, and ends as [`AskError`] as soon as it is known that no reply can come.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;

use super::{BrokerError, Consumer};

/// The kinds of questions; each has its own queue, so that one kind cannot hold up another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AskClass {
    /// May this happen, and how? A tenant's pre-event webhook is to be called.
    PreEvent,
    /// What does a tenant's endpoint answer to a sample event?
    Trial,
    /// What comes of one message through a tenant's SMS or e-mail provider?
    Provider,
}

impl AskClass {
    /// Every class, for declaring queues.
    pub const ALL: [Self; 3] = [Self::PreEvent, Self::Trial, Self::Provider];

    /// The name in queues: `pre-event`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::PreEvent => "pre-event",
            Self::Trial => "trial",
            Self::Provider => "provider",
        }
    }
}

/// Why there is no reply.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AskError {
    /// It was not asked: the broker is away or has too much to do, or nobody is there to reply.
    #[error("nobody could be asked: {0}")]
    NotAsked(String),
    /// It was asked and no reply came in time, or it is known that none will come.
    #[error("no reply: {0}")]
    NoReply(String),
}

/// Questions and their replies.
#[async_trait]
pub trait Asks: Send + Sync {
    /// Asks one worker, whichever is free, and waits at most `patience` for its reply. Any number may wait. Whoever
    /// stops waiting costs nothing any more; the worker may have acted all the same.
    ///
    /// # Errors
    /// [`AskError`], at once where it can be known.
    async fn ask(&self, class: AskClass, question: Bytes, patience: Duration) -> Result<Bytes, AskError>;

    /// Starts answering questions of `class`, at most `at_once` at a time, until the returned guard is stopped.
    /// Survives restarts of the broker.
    ///
    /// # Errors
    /// [`BrokerError::Unavailable`] when the broker cannot be reached for the first time.
    async fn answer(
        &self,
        class: AskClass,
        at_once: u16,
        answerer: Arc<dyn Answerer>,
    ) -> Result<Box<dyn Consumer>, BrokerError>;
}

/// A worker for one class of questions.
#[async_trait]
pub trait Answerer: Send + Sync {
    /// The reply. May be called twice with the same question, when the worker that had it died. When it panics, whoever
    /// asked is told that there is no reply.
    async fn reply(&self, question: Bytes) -> Bytes;
}
