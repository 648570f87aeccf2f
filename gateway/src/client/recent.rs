//! The channels that were active lately, with what a client has of them: for its cursor.

use std::collections::HashMap;

use hubbub_core::{
    Timestamp,
    events::cursor::{self, MARGIN},
    sid::ChannelSid,
};
use smallvec::SmallVec;

/// The channels, in no order.
pub(super) type Channels = SmallVec<[Recent; 2]>;

/// What a client has of a channel.
#[derive(Clone, Copy)]
pub(super) struct Recent {
    pub(super) tag: u64,
    pub(super) seq: i64,
    pub(super) at: Timestamp,
}

/// Remembers the newest event of a channel, and forgets what the watermark covers.
pub(super) fn note(recent: &mut Channels, new: Recent, watermark: Timestamp) {
    let horizon = watermark.minus(MARGIN);
    recent.retain(|known| {
        known.at > horizon && known.tag != new.tag || known.tag == new.tag && known.seq > new.seq
    });
    if new.at > horizon && !recent.iter().any(|known| known.tag == new.tag) {
        recent.push(new);
    }
}

/// How far it was told of a channel, as far as that is remembered.
pub(super) fn noted(recent: &Channels, channel: Option<ChannelSid>) -> Option<i64> {
    let tag = cursor::tag(channel?);
    recent
        .iter()
        .find(|known| known.tag == tag)
        .map(|known| known.seq)
}

/// The same for many, each channel at most once, without going through the list for each.
pub(super) fn note_all(recent: &mut Channels, news: impl Iterator<Item = Recent>, watermark: Timestamp) {
    let horizon = watermark.minus(MARGIN);
    let mut known: HashMap<u64, Recent> = recent.drain(..).map(|known| (known.tag, known)).collect();
    for new in news {
        match known.get(&new.tag) {
            Some(newer) if newer.seq > new.seq => {}
            _ if new.at > horizon => {
                known.insert(new.tag, new);
            }
            _ => {
                known.remove(&new.tag);
            }
        }
    }
    recent.extend(known.into_values().filter(|known| known.at > horizon));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recent(tag: u64, seq: i64, at: i64) -> Recent {
        Recent {
            tag,
            seq,
            at: Timestamp::from_unix_seconds(at),
        }
    }

    #[test]
    fn a_cursor_remembers_only_what_the_watermark_does_not_cover() {
        let mut list = SmallVec::new();
        let watermark = Timestamp::from_unix_seconds(1000);
        let margin = i64::try_from(MARGIN.as_secs()).unwrap();
        note(&mut list, recent(1, 5, 1000), watermark);
        note(&mut list, recent(2, 7, 1000 - margin), watermark);
        note(&mut list, recent(1, 6, 1001), watermark);
        note(&mut list, recent(1, 4, 1001), watermark);
        assert_eq!(
            list.iter()
                .map(|known| (known.tag, known.seq))
                .collect::<Vec<_>>(),
            [(1, 6)]
        );
        note(&mut list, recent(3, 1, 1100), Timestamp::from_unix_seconds(1099));
        assert_eq!(
            list.iter()
                .map(|known| (known.tag, known.seq))
                .collect::<Vec<_>>(),
            [(3, 1)]
        );
    }

    #[test]
    fn many_are_noted_as_each_would_be() {
        let watermark = Timestamp::from_unix_seconds(1000);
        let known = [recent(1, 5, 1000), recent(2, 7, 1000), recent(4, 2, 1001)];
        let news = [
            recent(1, 6, 900),
            recent(2, 6, 1002),
            recent(3, 1, 1002),
            recent(5, 1, 900),
        ];
        let (mut together, mut singly) = (SmallVec::new(), SmallVec::new());
        note_all(&mut together, known.into_iter(), watermark);
        note_all(&mut together, news.into_iter(), watermark);
        for new in known.into_iter().chain(news) {
            note(&mut singly, new, watermark);
        }
        let sorted = |list: &SmallVec<[Recent; 2]>| {
            let mut list: Vec<_> = list.iter().map(|known| (known.tag, known.seq)).collect();
            list.sort_unstable();
            list
        };
        assert_eq!(sorted(&together), sorted(&singly));
        assert_eq!(sorted(&together), [(2, 7), (3, 1), (4, 2)]);
    }
}
