//! What everybody wrote down: what was acknowledged, refused, heard and told. The checker goes by this alone.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use serde::Deserialize;
use tokio::sync::Notify;

use crate::{packet::Json, socket::Hears};

/// So many wrong answers are told in full.
const EXAMPLES: usize = 20;
/// What a server says that cannot do it now: the status and the code.
const LATER: (u16, u32) = (503, 20503);

/// A message as it was acknowledged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Acked {
    pub(crate) channel: String,
    pub(crate) sid: String,
    pub(crate) index: i64,
    pub(crate) from: String,
    pub(crate) body: String,
}

/// An event of a channel as somebody heard it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Heard {
    pub(crate) channel: String,
    pub(crate) seq: i64,
    /// What it was of, when it was a message that was added.
    pub(crate) message: Option<(String, i64)>,
}

/// Everything, but what was heard.
pub(crate) struct Ledger {
    pages: Mutex<Pages>,
    over: AtomicBool,
    progress: Notify,
}

#[derive(Default)]
struct Pages {
    acked: Vec<Vec<Acked>>,
    refused: BTreeMap<(u16, u32), u64>,
    wrong: BTreeMap<String, u64>,
    unanswered: u64,
    cut_off: u64,
    slowest: Duration,
    slowest_refusal: Duration,
}

/// How things stood at some moment.
#[derive(Debug, Clone)]
pub(crate) struct Mark {
    at: Instant,
    acked: Vec<usize>,
    refused: u64,
    cut_off: u64,
}

impl Ledger {
    pub(crate) fn new(senders: usize) -> Arc<Self> {
        Arc::new(Self {
            pages: Mutex::new(Pages {
                acked: vec![Vec::new(); senders],
                ..Pages::default()
            }),
            over: AtomicBool::new(false),
            progress: Notify::new(),
        })
    }

    fn pages(&self) -> MutexGuard<'_, Pages> {
        self.pages.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes what the sender of that number was acknowledged after so long, repetitions included.
    pub(crate) fn acked(&self, sender: usize, acked: Acked, after: Duration) {
        {
            let mut pages = self.pages();
            pages.acked[sender].push(acked);
            pages.slowest = pages.slowest.max(after);
        }
        self.progress.notify_waiters();
    }

    /// Notes a refusal that came after so long: an orderly one, or one that nobody should get.
    pub(crate) fn refused(&self, status: u16, code: u32, told: &str, after: Duration) {
        {
            let mut pages = self.pages();
            pages.slowest_refusal = pages.slowest_refusal.max(after);
            *pages.refused.entry((status, code)).or_default() += 1;
            if (status, code) != LATER && pages.wrong.len() < EXAMPLES {
                let count = pages.wrong.entry(format!("{status} {told}")).or_default();
                *count += 1;
                if *count == 1 {
                    eprintln!("chaos: somebody was told {status} {told}");
                }
            }
        }
        self.progress.notify_waiters();
    }

    /// Notes something that must not happen.
    pub(crate) fn wrong(&self, what: String) {
        let mut pages = self.pages();
        if pages.wrong.len() < EXAMPLES {
            *pages.wrong.entry(what).or_default() += 1;
        }
    }

    /// Notes that no answer came in time.
    pub(crate) fn unanswered(&self) {
        self.pages().unanswered += 1;
    }

    /// Notes that a socket was ended by the other side.
    pub(crate) fn cut_off(&self) {
        self.pages().cut_off += 1;
    }

    /// Tells everybody to come to an end.
    pub(crate) fn end(&self) {
        self.over.store(true, Ordering::Relaxed);
        self.progress.notify_waiters();
    }

    pub(crate) fn is_over(&self) -> bool {
        self.over.load(Ordering::Relaxed)
    }

    pub(crate) fn mark(&self) -> Mark {
        let pages = self.pages();
        Mark {
            at: Instant::now(),
            acked: pages.acked.iter().map(Vec::len).collect(),
            refused: pages.refused.values().sum(),
            cut_off: pages.cut_off,
        }
    }

    /// How many refusals, and how many sockets that were cut off, since then.
    pub(crate) fn since(&self, mark: &Mark) -> (u64, u64) {
        let now = self.mark();
        (now.refused - mark.refused, now.cut_off - mark.cut_off)
    }

    /// The longest that a message took from the first try to its acknowledgement since this was asked last.
    pub(crate) fn take_slowest(&self) -> Duration {
        std::mem::take(&mut self.pages().slowest)
    }

    /// Waits until every sender was acknowledged so many messages more than then; how long that took from then on,
    /// `None` when `within` was not enough.
    pub(crate) async fn all_acked(&self, since: &Mark, more: usize, within: Duration) -> Option<Duration> {
        let waiting = async {
            loop {
                let progress = self.progress.notified();
                let done = std::iter::zip(&self.pages().acked, &since.acked)
                    .all(|(acked, before)| acked.len() >= before + more);
                if done {
                    return;
                }
                progress.await;
            }
        };
        tokio::time::timeout(within, waiting).await.ok()?;
        Some(since.at.elapsed())
    }

    /// The numbers of the senders who were not acknowledged so many messages more than then.
    pub(crate) fn behind(&self, since: &Mark, more: usize) -> Vec<usize> {
        std::iter::zip(&self.pages().acked, &since.acked)
            .enumerate()
            .filter(|(_, (acked, before))| acked.len() < *before + more)
            .map(|(sender, _)| sender)
            .collect()
    }

    /// The longest that anybody waited for a refusal.
    pub(crate) fn slowest_refusal(&self) -> Duration {
        self.pages().slowest_refusal
    }

    /// Everything that was acknowledged, sender by sender.
    pub(crate) fn all(&self) -> Vec<Vec<Acked>> {
        self.pages().acked.clone()
    }

    /// How often each refusal was given: status and code.
    pub(crate) fn refusals(&self) -> BTreeMap<(u16, u32), u64> {
        self.pages().refused.clone()
    }

    pub(crate) fn wrongs(&self) -> BTreeMap<String, u64> {
        self.pages().wrong.clone()
    }

    /// How many waited in vain, and how many sockets were cut off.
    pub(crate) fn troubles(&self) -> (u64, u64) {
        let pages = self.pages();
        (pages.unanswered, pages.cut_off)
    }
}

/// What one user has heard over all its connections, and where it stands.
#[derive(Default)]
pub(crate) struct Diary {
    pub(crate) events: Vec<Heard>,
    pub(crate) cursor: Option<String>,
    /// How often it was told that it had missed something for good.
    pub(crate) gaps: u64,
    pub(crate) synced: u64,
    pub(crate) unreadable: u64,
    /// How many of the events are behind the cursor.
    settled: usize,
}

impl Diary {
    /// Strikes out what no cursor has settled, as it will be told again; answers the cursor to come back with.
    ///
    /// The events of a replay carry no cursor until all of them are there.
    pub(crate) fn resume(&mut self) -> Option<String> {
        self.events.truncate(self.settled);
        self.cursor.clone()
    }
}

/// A diary that a socket writes and others look into.
#[derive(Clone, Default)]
pub(crate) struct Pen(Arc<Mutex<Diary>>);

impl Pen {
    pub(crate) fn diary(&self) -> MutexGuard<'_, Diary> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The messages of whose coming it has heard.
    pub(crate) fn messages(&self) -> BTreeSet<String> {
        let diary = self.diary();
        diary
            .events
            .iter()
            .filter_map(|heard| Some(heard.message.as_ref()?.0.clone()))
            .collect()
    }
}

#[derive(Deserialize)]
struct Event {
    channel_sid: Option<String>,
    seq: Option<i64>,
    cursor: Option<String>,
    message: Option<Message>,
    complete: Option<bool>,
}

#[derive(Deserialize)]
struct Message {
    sid: String,
    index: i64,
}

impl Hears for Pen {
    fn hear(&mut self, name: &[u8], json: Json<'_>, _: Instant) {
        let read = serde_json::from_slice::<(String, Event)>(json.0);
        let mut diary = self.diary();
        let Ok((_, event)) = read else {
            diary.unreadable += 1;
            return;
        };
        if name == b"synced" {
            diary.synced += 1;
            if event.complete != Some(true) {
                diary.gaps += 1;
            }
        }
        if let (Some(channel), Some(seq)) = (event.channel_sid, event.seq) {
            let added = name == b"messageAdded";
            diary.events.push(Heard {
                channel,
                seq,
                message: event
                    .message
                    .filter(|_| added)
                    .map(|message| (message.sid, message.index)),
            });
        }
        if event.cursor.is_some() {
            diary.cursor = event.cursor;
            diary.settled = diary.events.len();
        }
    }
}
