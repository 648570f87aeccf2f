//! Messages that leave through a tenant's own provider: SMS by HTTP, e-mail by SMTP. What became of one is a verdict;
//! whether it may be sent again follows from what is known, never from hope.

mod email;
pub(crate) mod outward;
mod sms;
mod trials;

use std::{collections::HashMap, sync::Arc, time::Duration};

use hubbub_core::{Core, providers::Kind, sid::ServiceSid};
use parking_lot::Mutex;
use tokio::sync::Semaphore;

pub(crate) use email::{Letter, Mail};
pub(crate) use sms::{Sms, Text};
pub(crate) use trials::{AT_ONCE, Tester};

use self::email::Slots;
use crate::outbound::Client;

/// How many SMS a process has on their way through one provider at a time.
pub(crate) const SMS_AT_ONCE: usize = 16;
/// How many services' lines are remembered before those that nobody uses are forgotten.
const TIDY_FROM: usize = 1024;

fn lines_of(kind: Kind) -> usize {
    match kind {
        Kind::Sms => SMS_AT_ONCE,
        Kind::Email => 1,
    }
}

/// What became of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The provider has taken it.
    Taken {
        /// Its own identifier, if it said one.
        sid: Option<String>,
    },
    /// It was not taken, and would not be if it were sent again.
    Refused {
        /// The provider's own identifier, if it said one.
        sid: Option<String>,
        /// Why.
        error: String,
    },
    /// It was not taken, but may be later.
    Busy {
        /// Why.
        error: String,
        /// How long the provider asks to be left alone.
        after: Option<Duration>,
    },
    /// It may have been taken or not.
    Unknown {
        /// Why.
        error: String,
    },
}

impl Verdict {
    fn refused(error: impl Into<String>) -> Self {
        Self::Refused {
            sid: None,
            error: error.into(),
        }
    }

    fn busy(error: impl Into<String>) -> Self {
        Self::Busy {
            error: error.into(),
            after: None,
        }
    }
}

/// What sends messages, for the whole process.
pub(crate) struct Post {
    pub(crate) core: Arc<Core>,
    client: Client,
    lines: Mutex<HashMap<(ServiceSid, Kind), Arc<Semaphore>>>,
    mail: Slots,
}

impl Post {
    pub(crate) fn new(core: &Arc<Core>, client: &Client) -> Arc<Self> {
        Arc::new(Self {
            core: Arc::clone(core),
            client: client.clone(),
            lines: Mutex::default(),
            mail: Slots::default(),
        })
    }

    /// The service's lines to a provider, which campaigns share: each SMS on its way holds one, letters hold the only one.
    pub(crate) fn lines(&self, service: ServiceSid, kind: Kind) -> Arc<Semaphore> {
        let mut lines = self.lines.lock();
        if lines.len() >= TIDY_FROM {
            lines.retain(|_, line| Arc::strong_count(line) > 1);
        }
        let line = lines
            .entry((service, kind))
            .or_insert_with(|| Arc::new(Semaphore::new(lines_of(kind))));
        Arc::clone(line)
    }
}
