//! The verdict: what was acknowledged against what history holds, what listeners heard and what webhooks told. It
//! knows nothing of what was done to the server, and nothing of the server.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::{
    ledger::{Acked, Heard},
    receiver::Told,
};

/// So many faults of a kind are told in full.
const EXAMPLES: usize = 3;

/// A message as history tells of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Kept {
    pub(crate) sid: String,
    pub(crate) index: i64,
    pub(crate) from: String,
    pub(crate) body: String,
}

/// What one user heard.
pub(crate) struct Account {
    pub(crate) who: String,
    pub(crate) channel: String,
    pub(crate) events: Vec<Heard>,
    /// Whether its own messages come to it by acknowledgements, not by events.
    pub(crate) talks: bool,
}

/// Everything that is compared.
pub(crate) struct Evidence {
    /// Sender by sender, in the order of saying.
    pub(crate) acked: Vec<Vec<Acked>>,
    /// By channel, in the order of the list.
    pub(crate) history: BTreeMap<String, Vec<Kept>>,
    pub(crate) accounts: Vec<Account>,
    /// By the message's SID.
    pub(crate) told: BTreeMap<String, Told>,
}

/// What is wrong, by kind, with a few examples of each.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Faults(BTreeMap<&'static str, (u64, Vec<String>)>);

impl Faults {
    fn add(&mut self, kind: &'static str, what: impl FnOnce() -> String) {
        let (count, examples) = self.0.entry(kind).or_default();
        *count += 1;
        if examples.len() < EXAMPLES {
            examples.push(what());
        }
    }

    /// One line for each kind.
    pub(crate) fn lines(&self) -> impl Iterator<Item = String> {
        self.0
            .iter()
            .map(|(kind, (count, examples))| format!("{count} {kind}: {}", examples.join("; ")))
    }
}

impl Evidence {
    pub(crate) fn judge(&self) -> Faults {
        let mut faults = Faults::default();
        self.judge_history(&mut faults);
        for account in &self.accounts {
            self.judge_account(account, &mut faults);
        }
        self.judge_webhooks(&mut faults);
        faults
    }

    fn judge_history(&self, faults: &mut Faults) {
        let mut kept: HashMap<&str, (&str, &Kept)> = HashMap::new();
        let mut bodies = BTreeSet::new();
        for (channel, messages) in &self.history {
            for (place, message) in messages.iter().enumerate() {
                if i64::try_from(place) != Ok(message.index) {
                    faults.add("indexes with a gap", || {
                        format!("{channel} has {} at {place}", message.index)
                    });
                }
                if !bodies.insert(&message.body) {
                    faults.add("messages twice in history", || message.body.clone());
                }
                if kept.insert(&message.sid, (channel, message)).is_some() {
                    faults.add("SIDs twice in history", || message.sid.clone());
                }
            }
        }
        let mut acked: BTreeSet<&str> = BTreeSet::new();
        for words in &self.acked {
            let mut last = None;
            for word in words {
                if !acked.insert(&word.sid) {
                    faults.add("messages acknowledged twice under one SID", || word.sid.clone());
                }
                match kept.get(word.sid.as_str()) {
                    None => faults.add("acknowledged messages lost", || {
                        format!("{} {}", word.sid, word.body)
                    }),
                    Some((channel, message)) => {
                        let same = *channel == word.channel
                            && message.index == word.index
                            && message.from == word.from
                            && message.body == word.body;
                        if !same {
                            faults.add("messages other than acknowledged", || {
                                format!("{word:?}, {message:?}")
                            });
                        }
                    }
                }
                if last.is_some_and(|last| word.index <= last) {
                    faults.add("messages of one sender out of order", || word.body.clone());
                }
                last = Some(word.index);
            }
        }
        for (sid, (_, message)) in kept {
            if !acked.contains(sid) {
                faults.add("messages in history that nobody was acknowledged", || {
                    message.body.clone()
                });
            }
        }
    }

    fn judge_account(&self, account: &Account, faults: &mut Faults) {
        let who = &account.who;
        let mut seqs: BTreeMap<&str, i64> = BTreeMap::new();
        let mut heard = Vec::new();
        for event in &account.events {
            if let Some(last) = seqs.insert(&event.channel, event.seq) {
                if event.seq <= last {
                    faults.add("events twice or out of order", || {
                        format!("{who}: {} after {last}", event.seq)
                    });
                }
                // Who talks is not told of its own messages.
                if !account.talks && event.seq > last + 1 {
                    faults.add("events left out", || format!("{who}: {} after {last}", event.seq));
                }
            }
            if let Some((sid, index)) = &event.message
                && event.channel == account.channel
            {
                heard.push((sid, *index));
            }
        }
        let kept = self.history.get(&account.channel).map_or(&[][..], Vec::as_slice);
        let is_own = |message: &&Kept| account.talks && message.from == *who;
        let own: BTreeSet<&String> = kept.iter().filter(is_own).map(|message| &message.sid).collect();
        heard.retain(|(sid, _)| !own.contains(sid));
        let expected: Vec<(&String, i64)> = kept
            .iter()
            .filter(|message| !is_own(message))
            .map(|message| (&message.sid, message.index))
            .collect();
        if heard != expected {
            let at = std::iter::zip(&heard, &expected)
                .position(|(heard, expected)| heard != expected)
                .unwrap_or(heard.len().min(expected.len()));
            faults.add("users who heard something else than history", || {
                format!("{who}: {} of {}, other from {at} on", heard.len(), expected.len())
            });
        }
    }

    fn judge_webhooks(&self, faults: &mut Faults) {
        let mut of: HashMap<&str, &str> = HashMap::new();
        let mut messages = BTreeSet::new();
        for message in self.history.values().flatten() {
            messages.insert(message.sid.as_str());
            match self.told.get(&message.sid) {
                None => faults.add("messages that no webhook told of", || message.body.clone()),
                Some(told) if told.ids.len() != 1 => {
                    faults.add("messages told of under several ids", || message.body.clone());
                }
                Some(_) => {}
            }
        }
        for (sid, told) in &self.told {
            if !messages.contains(sid.as_str()) {
                faults.add("webhooks of messages that are not there", || sid.clone());
            }
            for id in told.ids.keys() {
                if of.insert(id, sid).is_some_and(|other| other != sid) {
                    faults.add("webhook ids of several messages", || id.clone());
                }
            }
        }
    }
}

#[cfg(test)]
#[path = "checker_tests.rs"]
mod tests;
