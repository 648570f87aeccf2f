//! What an event does to a channel's case.

use serde::{Deserialize, Serialize};

use crate::{entities::channel, sid::OperatorPoolSid};

/// What an event does to its channel's case.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CaseTurn {
    /// Whether the event's pool came by it, or went.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attached: Option<bool>,
    /// Whether its state is another one since.
    #[serde(default)]
    pub state: bool,
}

impl CaseTurn {
    /// From one to the other. A channel does not go from one pool to another at once: it has none in between.
    pub(crate) fn between(before: &channel::Model, after: &channel::Model) -> Self {
        Self {
            attached: match (before.pool_id, after.pool_id) {
                (None, Some(_)) => Some(true),
                (Some(_), None) => Some(false),
                _ => None,
            },
            state: before.case_state != after.case_state,
        }
    }

    /// Whether it does nothing.
    #[must_use]
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }
}

/// How the log notes that this pool came or went: where the names of members stand in joins and leaves.
pub(crate) fn subject(pool: OperatorPoolSid, attached: bool) -> String {
    format!("{}{pool}", if attached { '+' } else { '-' })
}

/// Reads such a note.
pub(crate) fn read_subject(subject: &str) -> Option<(OperatorPoolSid, bool)> {
    let attached = match subject.as_bytes().first()? {
        b'+' => true,
        b'-' => false,
        _ => return None,
    };
    Some((subject[1..].parse().ok()?, attached))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_of_the_log_is_read_as_it_was_written() {
        let pool = OperatorPoolSid::generate();
        for attached in [true, false] {
            assert_eq!(read_subject(&subject(pool, attached)), Some((pool, attached)));
        }
        for text in ["", "+", "alice", "é", &pool.to_string()] {
            assert_eq!(read_subject(text), None);
        }
    }
}
