//! Engine.IO and Socket.IO packets, read without parsing their JSON: a delivery costs the generator a few searches.
//!
//! A field is the first one of its name. That holds because the server writes the envelope before the message, and
//! because the texts in these messages are our own and hold no quotes.

use memchr::memmem;

/// A packet from the server.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Packet<'a> {
    /// The session is open.
    Open,
    /// To be answered.
    Ping,
    /// Let in.
    Connected,
    /// Refused, and why.
    Refused(&'a [u8]),
    /// An event: its name, and the packet's JSON.
    Event(&'a [u8], Json<'a>),
    /// An answer to the call of that number.
    Ack(u32, Json<'a>),
    /// The session or the namespace is over.
    Over,
}

impl<'a> Packet<'a> {
    /// `None` when it is a packet that this client knows nothing of.
    pub(crate) fn read(text: &'a [u8]) -> Option<Self> {
        match *text {
            [b'0', ..] => Some(Self::Open),
            [b'2'] => Some(Self::Ping),
            [b'4', b'2', ref json @ ..] => {
                let rest = json.strip_prefix(b"[\"")?;
                let name = &rest[..memchr::memchr(b'"', rest)?];
                Some(Self::Event(name, Json(json)))
            }
            [b'4', b'3', ref rest @ ..] => {
                let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
                let number = integer(&rest[..digits])?;
                Some(Self::Ack(u32::try_from(number).ok()?, Json(&rest[digits..])))
            }
            [b'4', b'0', ..] => Some(Self::Connected),
            [b'4', b'4', ref rest @ ..] => Some(Self::Refused(rest)),
            [b'1'] | [b'4', b'1', ..] => Some(Self::Over),
            _ => None,
        }
    }
}

/// JSON that is searched, not parsed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Json<'a>(pub(crate) &'a [u8]);

impl<'a> Json<'a> {
    /// The whole number under a key, which is given as `"key":`.
    pub(crate) fn integer(self, key: &str) -> Option<i64> {
        let value = self.value(key)?;
        let digits = value.iter().take_while(|byte| byte.is_ascii_digit()).count();
        integer(&value[..digits])
    }

    /// The text under a key, which is given as `"key":`. Texts with escapes are not for this.
    pub(crate) fn text(self, key: &str) -> Option<&'a [u8]> {
        let text = self.value(key)?.strip_prefix(b"\"")?;
        Some(&text[..memchr::memchr(b'"', text)?])
    }

    /// Whether an ack is a good one.
    pub(crate) fn is_ok(self) -> bool {
        self.0.starts_with(b"[{\"ok\":true")
    }

    /// How often the key, given as `"key":`, is there.
    pub(crate) fn count(self, key: &str) -> usize {
        memmem::find_iter(self.0, key).count()
    }

    fn value(self, key: &str) -> Option<&'a [u8]> {
        let at = memmem::find(self.0, key.as_bytes())?;
        Some(&self.0[at + key.len()..])
    }
}

fn integer(digits: &[u8]) -> Option<i64> {
    if digits.is_empty() || digits.len() > 18 {
        return None;
    }
    Some(
        digits
            .iter()
            .fold(0, |number, digit| number * 10 + i64::from(digit - b'0')),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_are_told_apart() {
        assert_eq!(Packet::read(b"0{\"sid\":\"x\"}"), Some(Packet::Open));
        assert_eq!(Packet::read(b"2"), Some(Packet::Ping));
        assert_eq!(Packet::read(b"40{\"sid\":\"x\"}"), Some(Packet::Connected));
        assert_eq!(
            Packet::read(b"44{\"message\":\"no\"}"),
            Some(Packet::Refused(b"{\"message\":\"no\"}"))
        );
        assert_eq!(Packet::read(b"41"), Some(Packet::Over));
        assert_eq!(Packet::read(b"4317[{}]"), Some(Packet::Ack(17, Json(b"[{}]"))));
        let event = b"42[\"synced\",{\"complete\":true}]";
        assert_eq!(
            Packet::read(event),
            Some(Packet::Event(b"synced", Json(&event[2..])))
        );
        for unknown in [&b""[..], b"6", b"43[{}]", b"42[]", b"451-[\"a\"]"] {
            assert_eq!(Packet::read(unknown), None);
        }
    }

    #[test]
    fn fields_are_found_by_their_first_occurrence() {
        let json = Json(br#"["e",{"seq":12,"message":{"body":"abc","index":0},"cursor":"c","seq":13}]"#);
        assert_eq!(json.integer("\"seq\":"), Some(12));
        assert_eq!(json.integer("\"index\":"), Some(0));
        assert_eq!(json.integer("\"body\":"), None);
        assert_eq!(json.text("\"body\":"), Some(&b"abc"[..]));
        assert_eq!(json.text("\"none\":"), None);
        assert_eq!(json.count("\"seq\":"), 2);
        assert!(!json.is_ok());
        assert!(Json(b"[{\"ok\":true,\"data\":{}}]").is_ok());
    }
}
