//! Who types where, as far as this process has heard: from its own sockets, and over the bus from those of others.
//!
//! Every socket gives signs of its own, and a user types as long as any of its sockets does. So the others are told of
//! the first sign and of the end of the last one, however many devices and nodes there are. Nothing here waits or tells.

use std::{collections::HashMap, time::Duration};

use hubbub_core::sid::AccountSid;
use smallvec::SmallVec;
use tokio::time::Instant;
use uuid::Uuid;

use super::RoomKey;

/// How much later than it should a sign of another process ends here, when nobody says that it has ended.
const GRACE: Duration = Duration::from_secs(1);

/// The table. Rooms in which nobody types are not in it.
#[derive(Default)]
pub(super) struct Typists {
    rooms: HashMap<RoomKey, Vec<Typist>>,
    /// Where the sockets of this process type.
    own: HashMap<Uuid, SmallVec<[RoomKey; 1]>>,
}

struct Typist {
    account: AccountSid,
    identity: String,
    signs: SmallVec<[Sign; 1]>,
}

struct Sign {
    socket: Uuid,
    /// When the other processes were last told.
    told: Instant,
    until: Instant,
    /// Of a socket of this process, which has to tell the others when it ends.
    own: bool,
}

/// What time has ended.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Expired {
    pub(super) key: RoomKey,
    pub(super) account: AccountSid,
    pub(super) identity: String,
    /// The own socket whose sign it was, for the others to be told; `None` when it was the last one of another process.
    pub(super) own: Option<Uuid>,
}

impl Typists {
    pub(super) fn is_empty(&self) -> bool {
        self.rooms.is_empty()
    }

    /// Puts the end of an own socket's sign off. False when the others have to be told: of a first sign, or again
    /// because it was told half its time ago.
    pub(super) fn renew(
        &mut self,
        key: RoomKey,
        identity: &str,
        socket: Uuid,
        lasts: Duration,
        now: Instant,
    ) -> bool {
        if let Some(sign) = self.sign(key, identity, socket)
            && sign.own
        {
            sign.until = now + lasts;
            return now < sign.told + lasts / 2;
        }
        let rooms = self.own.entry(socket).or_default();
        if !rooms.contains(&key) {
            rooms.push(key);
        }
        false
    }

    /// Takes a sign. True when it is the user's first.
    pub(super) fn begin(
        &mut self,
        key: RoomKey,
        typist: (AccountSid, &str),
        socket: Uuid,
        lasts: Duration,
        now: Instant,
    ) -> bool {
        let own = self.own.get(&socket).is_some_and(|rooms| rooms.contains(&key));
        // Another process repeats what lasts when half of it is over, and may not say when it ends.
        let until = now + if own { lasts } else { lasts + lasts / 2 + GRACE };
        let sign = Sign {
            socket,
            told: now,
            until,
            own,
        };
        let (account, identity) = typist;
        let room = self.rooms.entry(key).or_default();
        let Some(known) = room.iter_mut().find(|typist| typist.identity == identity) else {
            room.push(Typist {
                account,
                identity: identity.to_owned(),
                signs: SmallVec::from_iter([sign]),
            });
            return true;
        };
        match known.signs.iter_mut().find(|known| known.socket == socket) {
            Some(known) => *known = sign,
            None => known.signs.push(sign),
        }
        false
    }

    /// Ends a sign. True when it was the user's last.
    pub(super) fn end(&mut self, key: RoomKey, identity: &str, socket: Uuid) -> bool {
        self.change(key, identity, |signs| signs.retain(|sign| sign.socket != socket))
    }

    /// Ends all signs of a user in a room. True when there were any.
    pub(super) fn end_all(&mut self, key: RoomKey, identity: &str) -> bool {
        let mut ended = SmallVec::<[Uuid; 1]>::new();
        let any = self.change(key, identity, |signs| {
            ended.extend(signs.drain(..).filter(|sign| sign.own).map(|sign| sign.socket));
        });
        for socket in ended {
            self.forget_own(socket, key);
        }
        any
    }

    /// The room is gone.
    pub(super) fn forget_room(&mut self, key: RoomKey) {
        for typist in self.rooms.remove(&key).unwrap_or_default() {
            for sign in typist.signs {
                self.forget_own(sign.socket, key);
            }
        }
    }

    /// An own socket is over: answers where it typed, for everybody to be told that it has ended.
    pub(super) fn leave(&mut self, identity: &str, socket: Uuid) -> SmallVec<[RoomKey; 1]> {
        let rooms = self.own.remove(&socket).unwrap_or_default();
        for key in &rooms {
            if let Some(sign) = self.sign(*key, identity, socket) {
                sign.own = false;
            }
        }
        rooms
    }

    /// What has ended by now. Own signs stay until the telling of their end is heard.
    pub(super) fn expire(&mut self, now: Instant) -> Vec<Expired> {
        let mut expired = Vec::new();
        self.rooms.retain(|key, room| {
            room.retain_mut(|typist| {
                let mut over = |own| {
                    expired.push(Expired {
                        key: *key,
                        account: typist.account,
                        identity: typist.identity.clone(),
                        own,
                    });
                };
                typist.signs.retain(|sign| {
                    if sign.until > now {
                        return true;
                    }
                    if sign.own {
                        over(Some(sign.socket));
                        sign.own = false;
                        sign.until = now + GRACE;
                        return true;
                    }
                    false
                });
                if typist.signs.is_empty() {
                    over(None);
                }
                !typist.signs.is_empty()
            });
            !room.is_empty()
        });
        for expired in &expired {
            if let Some(socket) = expired.own {
                self.forget_own(socket, expired.key);
            }
        }
        expired
    }

    fn sign(&mut self, key: RoomKey, identity: &str, socket: Uuid) -> Option<&mut Sign> {
        self.rooms
            .get_mut(&key)?
            .iter_mut()
            .find(|typist| typist.identity == identity)?
            .signs
            .iter_mut()
            .find(|sign| sign.socket == socket)
    }

    /// Changes a user's signs in a room. True when they were there and are gone.
    fn change(
        &mut self,
        key: RoomKey,
        identity: &str,
        change: impl FnOnce(&mut SmallVec<[Sign; 1]>),
    ) -> bool {
        let Some(room) = self.rooms.get_mut(&key) else {
            return false;
        };
        let Some(place) = room.iter().position(|typist| typist.identity == identity) else {
            return false;
        };
        change(&mut room[place].signs);
        if !room[place].signs.is_empty() {
            return false;
        }
        room.swap_remove(place);
        if room.is_empty() {
            self.rooms.remove(&key);
        }
        true
    }

    fn forget_own(&mut self, socket: Uuid, key: RoomKey) {
        if let Some(rooms) = self.own.get_mut(&socket) {
            rooms.retain(|own| *own != key);
            if rooms.is_empty() {
                self.own.remove(&socket);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use hubbub_core::sid::{ChannelSid, ServiceSid};

    use super::*;

    const LASTS: Duration = Duration::from_secs(4);

    struct Here {
        typists: Typists,
        key: RoomKey,
        account: AccountSid,
        began: Instant,
    }

    impl Here {
        fn new() -> Self {
            Self {
                typists: Typists::default(),
                key: (ServiceSid::generate(), ChannelSid::generate()),
                account: AccountSid::generate(),
                began: Instant::now(),
            }
        }

        fn at(&self, seconds: u64) -> Instant {
            self.began + Duration::from_secs(seconds)
        }

        /// An own socket's verb, with what is heard of it.
        fn types(&mut self, socket: Uuid, seconds: u64) -> bool {
            let now = self.at(seconds);
            !self.typists.renew(self.key, "alice", socket, LASTS, now) && self.hears(socket, seconds)
        }

        fn hears(&mut self, socket: Uuid, seconds: u64) -> bool {
            let now = self.at(seconds);
            self.typists
                .begin(self.key, (self.account, "alice"), socket, LASTS, now)
        }

        fn expired(&mut self, seconds: u64) -> Vec<Option<Uuid>> {
            let now = self.at(seconds);
            self.typists
                .expire(now)
                .into_iter()
                .map(|expired| expired.own)
                .collect()
        }
    }

    #[test]
    fn a_user_types_as_long_as_any_of_its_sockets_does() {
        let mut here = Here::new();
        let (one, other) = (Uuid::new_v4(), Uuid::new_v4());
        assert!(here.types(one, 0));
        assert!(!here.types(other, 1), "only the first is told");
        assert_eq!(here.expired(4), [Some(one)]);
        assert!(!here.typists.end(here.key, "alice", one));
        assert_eq!(here.expired(5), [Some(other)]);
        assert!(here.typists.end(here.key, "alice", other));
        assert!(here.typists.is_empty() && here.typists.own.is_empty());
    }

    #[test]
    fn others_are_told_again_after_half_its_time() {
        let mut here = Here::new();
        let socket = Uuid::new_v4();
        assert!(here.types(socket, 0));
        let renewed = |here: &mut Here, seconds| {
            let now = here.at(seconds);
            here.typists.renew(here.key, "alice", socket, LASTS, now)
        };
        assert!(renewed(&mut here, 1));
        assert!(!renewed(&mut here, 2));
        assert!(!here.hears(socket, 2), "it is no news");
        assert!(renewed(&mut here, 3));
        assert_eq!(here.expired(6), []);
        assert_eq!(here.expired(7), [Some(socket)], "its end is told …");
        assert_eq!(here.expired(7), [], "… once");
        assert!(here.typists.end(here.key, "alice", socket), "and heard");
    }

    #[test]
    fn who_goes_on_typing_while_the_end_is_on_its_way_types_on() {
        let mut here = Here::new();
        let socket = Uuid::new_v4();
        here.types(socket, 0);
        assert_eq!(here.expired(4), [Some(socket)]);
        let now = here.at(4);
        assert!(!here.typists.renew(here.key, "alice", socket, LASTS, now));
        assert!(here.typists.end(here.key, "alice", socket));
        assert!(here.hears(socket, 4));
        assert_eq!(here.expired(8), [Some(socket)], "as an own one");
    }

    #[test]
    fn a_sign_of_a_process_that_says_nothing_more_ends_by_itself() {
        let mut here = Here::new();
        assert!(here.hears(Uuid::new_v4(), 0));
        assert_eq!(here.expired(6), []);
        assert_eq!(here.expired(7), [None]);
        assert!(here.typists.is_empty());
    }

    #[test]
    fn a_message_ends_all_signs_and_the_next_one_is_news() {
        let mut here = Here::new();
        let (own, foreign) = (Uuid::new_v4(), Uuid::new_v4());
        here.types(own, 0);
        here.hears(foreign, 0);
        assert!(here.typists.end_all(here.key, "alice"));
        assert!(!here.typists.end_all(here.key, "alice"));
        assert!(here.typists.own.is_empty());
        assert!(here.types(own, 1));
    }

    #[test]
    fn a_socket_that_is_over_types_nowhere() {
        let mut here = Here::new();
        let socket = Uuid::new_v4();
        here.types(socket, 0);
        assert_eq!(here.typists.leave("alice", socket).as_slice(), [here.key]);
        assert!(here.typists.leave("alice", socket).is_empty());
        here.typists.forget_room(here.key);
        assert!(here.typists.is_empty() && here.typists.own.is_empty());
    }
}
