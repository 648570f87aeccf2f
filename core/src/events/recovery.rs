//! Private ids of sockets, by which clients come back as the socket they were: what Socket.IO's connection state
//! recovery calls `pid`.

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};

use smallvec::SmallVec;

use super::cursor::{CursorKey, Owner};
use crate::sid::ServiceSid;

/// How a private id begins. No cursor begins so, and therefore neither passes for the other.
const KIND: u8 = b'p';

impl CursorKey {
    /// Writes the private id of this user's socket: its public id, which nobody else can come back under.
    #[must_use]
    pub fn seal_socket(&self, service: ServiceSid, identity: &str, id: &str) -> String {
        let mut bytes = SmallVec::new();
        bytes.push(KIND);
        bytes.extend_from_slice(&Owner::new(service, identity).to_bytes());
        bytes.extend_from_slice(id.as_bytes());
        self.sign(&mut bytes);
        BASE64_URL_SAFE_NO_PAD.encode(&bytes)
    }

    /// Reads a private id; `None` when it is unreadable, not ours, or another user's.
    #[must_use]
    pub fn open_socket(&self, text: &str, service: ServiceSid, identity: &str) -> Option<String> {
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(text).ok()?;
        let (&[KIND], rest) = self.signed(&bytes)?.split_first_chunk::<1>()? else {
            return None;
        };
        let (given, id) = rest.split_first_chunk::<8>()?;
        if *given != Owner::new(service, identity).to_bytes() {
            return None;
        }
        String::from_utf8(id.to_vec()).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{secrets::Vault, timestamp::Timestamp};

    #[test]
    fn a_private_id_is_read_only_by_its_user_and_cannot_be_made_up() {
        let key = CursorKey::new(&Vault::new([1; 32]));
        let service = ServiceSid::generate();
        let pid = key.seal_socket(service, "alice", "L2vIexample");
        assert_eq!(
            key.open_socket(&pid, service, "alice").as_deref(),
            Some("L2vIexample")
        );
        assert_eq!(key.open_socket(&pid, service, "bob"), None);
        assert_eq!(key.open_socket(&pid, ServiceSid::generate(), "alice"), None);
        let other = CursorKey::new(&Vault::new([2; 32]));
        assert_eq!(other.open_socket(&pid, service, "alice"), None);
        for place in 0..pid.len() {
            let mut forged = pid.clone().into_bytes();
            forged[place] = if forged[place] == b'A' { b'B' } else { b'A' };
            let forged = String::from_utf8(forged).unwrap();
            assert_eq!(key.open_socket(&forged, service, "alice"), None, "{place}");
        }
        for nonsense in ["", "AAAA", "not a pid!", &pid[..pid.len() - 2]] {
            assert_eq!(key.open_socket(nonsense, service, "alice"), None);
        }
    }

    #[test]
    fn a_cursor_is_no_private_id_and_a_private_id_no_cursor() {
        let key = CursorKey::new(&Vault::new([1; 32]));
        let service = ServiceSid::generate();
        let cursor = key.encode(Owner::new(service, "alice"), Timestamp(77), []);
        assert_eq!(key.open_socket(&cursor, service, "alice"), None);
        let pid = key.seal_socket(service, "alice", "12345678");
        assert_eq!(key.decode(&pid, service, "alice"), None);
    }
}
