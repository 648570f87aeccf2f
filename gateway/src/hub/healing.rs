//! Gaps are read back from the database: after a jump in `seq`, after a bucket was bound, and by the audit.

use std::{sync::Arc, time::Duration};

use hubbub_core::{
    Result,
    events::{
        EventKind,
        cursor::position,
        log::{self, Stretch},
    },
    sid::AccountSid,
    topic::Topic,
};

use super::{Hub, RoomKey};

/// How long a gap may close by itself: events of one channel from two processes overtake each other on the bus.
const PATIENCE: Duration = Duration::from_millis(60);
/// How many events are read at once.
const PORTION: u64 = 200;

impl Hub {
    /// Heals a gap that does not close by itself.
    pub(super) fn heal_soon(self: &Arc<Self>, key: RoomKey) {
        let hub = Arc::clone(self);
        tokio::spawn(async move {
            hub.heal(key).await;
        });
    }

    /// Reads what was said between the room's first event and the moment the bus began to listen for it.
    pub(super) fn heal_after_binding(self: &Arc<Self>, key: RoomKey) {
        let hub = Arc::clone(self);
        tokio::spawn(async move {
            hub.buckets.bound([Topic::channel(key.0, key.1)]).await;
            hub.heal(key).await;
        });
    }

    /// Brings the room up to what the database has. True when it is there.
    pub(super) async fn heal(self: &Arc<Self>, key: RoomKey) -> bool {
        tokio::time::sleep(PATIENCE).await;
        let healed = match self.read_missing(key).await {
            Ok(()) => true,
            Err(error) => {
                tracing::warn!(?error, channel = %key.1, "missing events of channel {} could not be read; the audit tries again", key.1);
                false
            }
        };
        if let Some(room) = self.room(key) {
            room.lock().healing = false;
        }
        healed
    }

    async fn read_missing(self: &Arc<Self>, key: RoomKey) -> Result<()> {
        let db = self.core.db.reader();
        let Some((account, until)) = position(db, key.0, key.1).await? else {
            return Ok(());
        };
        while let Some(room) = self.room(key) {
            let after = room.lock().last_seq();
            if after >= until {
                return Ok(());
            }
            let events = log::read(db, stretch(account, key, after, until), PORTION).await?;
            if events.is_empty() {
                // The log does not reach back that far.
                room.lock().skip_to(until);
                return Ok(());
            }
            for mut event in events {
                // Whoever sent it has it by the ack.
                event.connection = self.core.writer.socket_of(event.id);
                let event = Arc::new(event);
                {
                    let mut room = room.lock();
                    // The room may stand behind a trimmed stretch of the log.
                    room.skip_to(event.seq.unwrap_or(0) - 1);
                    room.take([Arc::clone(&event)], self.watermark(), &|event| {
                        self.newcomers(event)
                    });
                }
                self.typing_is_over(key, &event);
                if event.kind == EventKind::MemberJoined {
                    self.seat_late(key, &event);
                }
            }
        }
        Ok(())
    }
}

fn stretch(account: AccountSid, key: RoomKey, after: i64, until: i64) -> Stretch {
    Stretch {
        account,
        service: key.0,
        channel: key.1,
        after,
        until,
    }
}
