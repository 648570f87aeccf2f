//! What was said in each channel, who was there, and who is to hear of it.

use std::collections::BTreeSet;

/// A connection of somebody's: the person, and which of its connections.
pub(crate) type Connection = (usize, usize);

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum What {
    Added(String),
    Edited(String),
    Removed(String),
    Joined(usize),
    Left(usize),
}

/// An event of a channel.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) what: What,
    /// The connection that said it, when it was said on one.
    by: Option<Connection>,
    /// Who hears it.
    audience: BTreeSet<usize>,
}

/// A channel: what happened in it after its `base`.
#[derive(Debug)]
pub(crate) struct Channel {
    pub(crate) sid: String,
    pub(crate) base: i64,
    log: Vec<Entry>,
    pub(crate) members: BTreeSet<usize>,
    /// Those that were not removed.
    pub(crate) messages: Vec<String>,
}

impl Channel {
    pub(crate) fn new(sid: String, base: i64) -> Self {
        Self {
            sid,
            base,
            log: Vec::new(),
            members: BTreeSet::new(),
            messages: Vec::new(),
        }
    }

    /// The latest `seq`.
    pub(crate) fn end(&self) -> i64 {
        self.base + i64::try_from(self.log.len()).unwrap()
    }

    pub(crate) fn happens(&mut self, what: What, by: Option<Connection>) {
        // Who is there before hears it, and who comes by it.
        let mut audience = self.members.clone();
        match &what {
            What::Joined(person) => {
                self.members.insert(*person);
                audience.insert(*person);
            }
            What::Left(person) => {
                self.members.remove(person);
            }
            What::Added(message) => self.messages.push(message.clone()),
            What::Removed(message) => self.messages.retain(|own| own != message),
            What::Edited(_) => {}
        }
        self.log.push(Entry { what, by, audience });
    }

    fn after(&self, seq: i64) -> impl Iterator<Item = (i64, &Entry)> {
        (self.base + 1..)
            .zip(&self.log)
            .filter(move |(own, _)| *own > seq)
    }

    /// What this person is to hear after that `seq`, and of which message.
    pub(crate) fn told(&self, person: usize, listens: &Listening) -> Vec<(i64, &'static str, Option<&str>)> {
        self.after(listens.after)
            .filter(|(seq, entry)| {
                // By the ack it knows already what it has said itself, but for what is replayed.
                let knows = entry.by == Some(listens.connection) && *seq > listens.replayed;
                entry.audience.contains(&person) && !knows
            })
            .map(|(seq, entry)| {
                let (kind, message) = match &entry.what {
                    What::Added(message) => ("messageAdded", Some(message)),
                    What::Edited(message) => ("messageUpdated", Some(message)),
                    What::Removed(message) => ("messageRemoved", Some(message)),
                    What::Joined(who) if *who == person => ("channelJoined", None),
                    What::Joined(_) => ("memberJoined", None),
                    What::Left(who) if *who == person => ("channelLeft", None),
                    What::Left(_) => ("memberLeft", None),
                };
                (seq, kind, message.map(String::as_str))
            })
            .collect()
    }

    /// The last of what a connection said itself directly after that `seq`. Its cursors may cover that, without a word
    /// to it.
    pub(crate) fn own_after(&self, seq: i64, connection: Connection) -> i64 {
        self.after(seq)
            .take_while(|(_, entry)| entry.by == Some(connection))
            .last()
            .map_or(seq, |(own, _)| own)
    }
}

/// From where on a connection hears a channel.
#[derive(Debug, Clone)]
pub(crate) struct Listening {
    pub(crate) connection: Connection,
    /// The `seq` that it has.
    pub(crate) after: i64,
    /// Up to here everything is replayed.
    pub(crate) replayed: i64,
    /// What it said before on the connection of its cursor, up to here, may be left out.
    pub(crate) optional: i64,
}
