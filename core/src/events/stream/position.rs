//! Where a reader of the stream stands.

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use smallvec::SmallVec;

use crate::{
    events::cursor::{CursorKey, Owner},
    sid::ServiceSid,
    timestamp::Timestamp,
};

/// How a position begins. No cursor and no private id begins so, and therefore none passes for the other.
const KIND: u8 = b'e';

/// Where a reader stands: it has all of the service's events up to a place, and nothing that lies behind it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Position {
    /// The place in the order of all events.
    pub(super) place: i64,
    /// What comes behind it happened at about this time or later.
    pub(super) at: Timestamp,
}

impl CursorKey {
    /// Writes a position in the service's stream.
    pub(super) fn seal_position(&self, service: ServiceSid, position: Position) -> String {
        let mut bytes = SmallVec::new();
        bytes.push(KIND);
        bytes.extend_from_slice(&Owner::new(service, "").to_bytes());
        bytes.extend_from_slice(&position.place.to_be_bytes());
        bytes.extend_from_slice(&position.at.0.to_be_bytes());
        self.sign(&mut bytes);
        BASE64_URL_SAFE_NO_PAD.encode(&bytes)
    }

    /// Reads a position; `None` when it is unreadable, not ours, or of another service.
    pub(super) fn open_position(&self, text: &str, service: ServiceSid) -> Option<Position> {
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(text).ok()?;
        let (&[KIND], rest) = self.signed(&bytes)?.split_first_chunk::<1>()? else {
            return None;
        };
        let (given, rest) = rest.split_first_chunk::<8>()?;
        let (place, at) = rest.split_first_chunk::<8>()?;
        (*given == Owner::new(service, "").to_bytes()).then_some(Position {
            place: i64::from_be_bytes(*place),
            at: Timestamp(i64::from_be_bytes(at.try_into().ok()?)),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secrets::Vault;

    #[test]
    fn a_position_is_good_for_its_service_and_cannot_be_made_up() {
        let key = CursorKey::new(&Vault::new([1; 32]));
        let service = ServiceSid::generate();
        let position = Position {
            place: 77,
            at: Timestamp(99),
        };
        let text = key.seal_position(service, position);
        assert_eq!(key.open_position(&text, service), Some(position));
        assert_eq!(key.open_position(&text, ServiceSid::generate()), None);
        let other = CursorKey::new(&Vault::new([2; 32]));
        assert_eq!(other.open_position(&text, service), None);
        for nonsense in ["", "AAAA", "now!", &text[..text.len() - 2]] {
            assert_eq!(key.open_position(nonsense, service), None);
        }
        let cursor = key.encode(Owner::new(service, ""), Timestamp(77), []);
        assert_eq!(key.open_position(&cursor, service), None);
        assert_eq!(key.decode(&text, service, ""), None);
    }
}
