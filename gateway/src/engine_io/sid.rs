//! Session ids: 120 bits from the thread's cryptographic generator, as 20 base64url characters.

use std::fmt;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};

const RANDOM_BYTES: usize = 15;
const LENGTH: usize = RANDOM_BYTES / 3 * 4;

/// The id of an Engine.IO session. Whoever knows it can poll the session, so it is a secret:
/// `Debug` shows only its beginning.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Sid([u8; LENGTH]);

impl Sid {
    /// A fresh, unguessable id.
    #[must_use]
    pub fn random() -> Self {
        let bytes: [u8; RANDOM_BYTES] = rand::random();
        let mut text = [b'A'; LENGTH];
        // Fifteen bytes are exactly twenty characters, so the buffer always fits.
        let written = URL_SAFE_NO_PAD.encode_slice(bytes, &mut text);
        debug_assert_eq!(written, Ok(LENGTH));
        Self(text)
    }

    /// Reads what a client sent; `None` when it cannot be one of ours.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let bytes: [u8; LENGTH] = text.as_bytes().try_into().ok()?;
        bytes
            .iter()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
            .then_some(Self(bytes))
    }

    /// The twenty characters.
    #[must_use]
    pub fn as_str(&self) -> &str {
        // Both constructors only let ASCII in.
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl fmt::Display for Sid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Sid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sid({}…)", &self.as_str()[..4])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_random_sid_reads_back_and_differs_from_the_next() {
        let sid = Sid::random();
        assert_eq!(Sid::parse(sid.as_str()), Some(sid));
        assert_ne!(sid, Sid::random());
    }

    #[test]
    fn what_is_no_sid_is_not_parsed() {
        for text in [
            "",
            "abc",
            "AAAAAAAAAAAAAAAAAAA!",
            "AAAAAAAAAAAAAAAAAAAAA",
            "ääääääääää",
        ] {
            assert_eq!(Sid::parse(text), None, "{text}");
        }
    }
}
