//! Input that is valid by its type: parsed once, at the edge.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{
    error::{Error, ErrorCode, Result},
    sid::{ChannelSid, MemberSid, UserSid},
};

/// The author of actions over REST.
pub const SYSTEM: &str = "system";
/// The longest name or identity, in characters.
pub const NAME_CHARACTERS: usize = 256;
/// The longest message body, in bytes of UTF-8.
pub const BODY_BYTES: usize = 32_768;
/// The longest attributes of a channel or a message, in bytes of UTF-8.
pub const ATTRIBUTES_BYTES: usize = 32_768;
/// The longest attributes of a user or a member, in bytes of UTF-8.
pub const SMALL_ATTRIBUTES_BYTES: usize = 4_096;
/// How deep attributes may be nested: what reads them later, ours or an app's, must not fail over it.
pub const ATTRIBUTES_DEPTH: usize = 100;

/// The tenant's own name for a user: 1 to 256 characters, not `system`, not in the form of a user SID.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Identity(String);

impl Identity {
    /// Checks the text.
    ///
    /// # Errors
    /// 50203, 50204, 50206 or 50207.
    pub fn parse(text: &str) -> Result<Self> {
        if text.is_empty() {
            return Err(ErrorCode::IdentityMissing.into());
        }
        if text == SYSTEM {
            return Err(ErrorCode::IdentityReserved.into());
        }
        if UserSid::matches(text) {
            return Err(ErrorCode::IdentityLooksLikeSid.into());
        }
        if text.chars().count() > NAME_CHARACTERS {
            return Err(ErrorCode::IdentityTooLong.into());
        }
        if text.contains('\0') {
            return Err(Error::parameter("Identity", "must not contain a NUL character"));
        }
        Ok(Self(text.to_owned()))
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A channel's `unique_name`; an empty text clears the name.
///
/// # Errors
/// 50004 or 50306.
pub fn unique_name(text: &str) -> Result<Option<String>> {
    if ChannelSid::matches(text) {
        return Err(ErrorCode::UniqueNameLooksLikeSid.into());
    }
    if text.chars().count() > NAME_CHARACTERS {
        return Err(ErrorCode::UniqueNameTooLong.into());
    }
    no_nul("UniqueName", text)?;
    Ok((!text.is_empty()).then(|| text.to_owned()))
}

/// A `friendly_name`; an empty text clears it.
///
/// # Errors
/// 50003.
pub fn friendly_name(text: &str) -> Result<Option<String>> {
    if text.chars().count() > NAME_CHARACTERS {
        return Err(ErrorCode::FriendlyNameTooLong.into());
    }
    no_nul("FriendlyName", text)?;
    Ok((!text.is_empty()).then(|| text.to_owned()))
}

/// An author or editor: an identity or `system`, at most 256 characters.
///
/// # Errors
/// 20001 naming `field` when it is empty, `too_long` when it is too long.
pub fn author(field: &str, text: &str, too_long: ErrorCode) -> Result<String> {
    if text.is_empty() {
        return Err(Error::parameter(
            field,
            "must not be empty; leave it out for 'system'",
        ));
    }
    if text.chars().count() > NAME_CHARACTERS {
        return Err(Error::with(
            too_long,
            format!("{field} is too long (at most {NAME_CHARACTERS} characters)"),
        ));
    }
    no_nul(field, text)?;
    Ok(text.to_owned())
}

/// The attributes of a channel or a message: any JSON text, kept as it was given; empty means `{}`.
///
/// # Errors
/// 50303 or 50304.
pub fn attributes(text: &str) -> Result<String> {
    json_text(text, ATTRIBUTES_BYTES)
}

/// The attributes of a user or a member, which are smaller.
///
/// # Errors
/// 50303 or 50304.
pub fn small_attributes(text: &str) -> Result<String> {
    json_text(text, SMALL_ATTRIBUTES_BYTES)
}

fn json_text(text: &str, limit: usize) -> Result<String> {
    if text.len() > limit {
        return Err(Error::with(
            ErrorCode::AttributesTooLong,
            format!(
                "Attributes are too long: {} bytes, at most {limit} are allowed here",
                text.len()
            ),
        ));
    }
    if text.is_empty() {
        return Ok("{}".to_owned());
    }
    let not_json = |why: String| Error::with(ErrorCode::AttributesNotJson, why);
    serde_json::from_str::<serde::de::IgnoredAny>(text)
        .map_err(|cause| not_json(format!("Attributes are not valid JSON: {cause}")))?;
    if is_deeper_than(text, ATTRIBUTES_DEPTH) {
        return Err(not_json(format!(
            "Attributes are nested too deep: at most {ATTRIBUTES_DEPTH} levels are allowed"
        )));
    }
    no_nul("Attributes", text)?;
    Ok(text.to_owned())
}

/// Whether the brackets of valid JSON are nested deeper than so many levels.
fn is_deeper_than(json: &str, levels: usize) -> bool {
    let (mut depth, mut in_text, mut escaped) = (0_usize, false, false);
    for byte in json.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_text => escaped = true,
            b'"' => in_text = !in_text,
            _ if in_text => {}
            b'[' | b'{' => {
                depth += 1;
                if depth > levels {
                    return true;
                }
            }
            b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    false
}

/// A message body.
///
/// # Errors
/// 50504 when it is over [`BODY_BYTES`].
pub fn body(text: &str) -> Result<String> {
    if text.len() > BODY_BYTES {
        return Err(Error::with(
            ErrorCode::BodyTooLong,
            format!(
                "Body is too long: {} bytes of UTF-8, at most {BODY_BYTES} are allowed",
                text.len()
            ),
        ));
    }
    no_nul("Body", text)?;
    Ok(text.to_owned())
}

/// The sender's own id of a message: 1 to 255 characters.
///
/// # Errors
/// 20001 naming `field`.
pub fn client_id(field: &str, text: &str) -> Result<String> {
    if text.is_empty() || text.chars().count() > 255 {
        return Err(Error::parameter(field, "must have 1 to 255 characters"));
    }
    no_nul(field, text)?;
    Ok(text.to_owned())
}

/// Neither database keeps a NUL character in a text.
fn no_nul(field: &str, text: &str) -> Result<()> {
    if text.contains('\0') {
        Err(Error::parameter(field, "must not contain a NUL character"))
    } else {
        Ok(())
    }
}

/// How a channel is addressed: by SID or by `unique_name`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum ChannelRef {
    /// Its SID.
    Sid(ChannelSid),
    /// Its unique name.
    Name(String),
}

impl From<&str> for ChannelRef {
    fn from(text: &str) -> Self {
        text.parse()
            .map_or_else(|_| Self::Name(text.to_owned()), Self::Sid)
    }
}

impl From<ChannelSid> for ChannelRef {
    fn from(sid: ChannelSid) -> Self {
        Self::Sid(sid)
    }
}

impl fmt::Display for ChannelRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sid(sid) => sid.fmt(f),
            Self::Name(name) => f.write_str(name),
        }
    }
}

/// How a user is addressed: by SID or by identity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UserRef {
    /// Its SID.
    Sid(UserSid),
    /// Its identity.
    Identity(String),
}

impl From<&str> for UserRef {
    fn from(text: &str) -> Self {
        text.parse()
            .map_or_else(|_| Self::Identity(text.to_owned()), Self::Sid)
    }
}

impl fmt::Display for UserRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sid(sid) => sid.fmt(f),
            Self::Identity(identity) => f.write_str(identity),
        }
    }
}

/// How a member is addressed: by SID or by identity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MemberRef {
    /// Its SID.
    Sid(MemberSid),
    /// Its identity.
    Identity(String),
}

impl From<&str> for MemberRef {
    fn from(text: &str) -> Self {
        text.parse()
            .map_or_else(|_| Self::Identity(text.to_owned()), Self::Sid)
    }
}

impl fmt::Display for MemberRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sid(sid) => sid.fmt(f),
            Self::Identity(identity) => f.write_str(identity),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identities_that_could_be_taken_for_something_else_are_refused() {
        let code = |text: &str| Identity::parse(text).unwrap_err().code().code();
        assert_eq!(code(""), 50204);
        assert_eq!(code("system"), 50203);
        assert_eq!(code("US0123456789abcdef0123456789abcdef"), 50206);
        assert_eq!(code(&"é".repeat(257)), 50207);
        assert!(Identity::parse(&"é".repeat(256)).is_ok());
    }

    #[test]
    fn attributes_are_kept_as_given_and_must_be_json() {
        assert_eq!(
            attributes("{\"b\": 1,  \"a\":2}").unwrap(),
            "{\"b\": 1,  \"a\":2}"
        );
        assert_eq!(attributes("").unwrap(), "{}");
        assert_eq!(attributes("{oops").unwrap_err().code().code(), 50304);
        let nested = |depth: usize| "[".repeat(depth) + "\"[[\\\"[\"" + &"]".repeat(depth);
        assert!(attributes(&nested(ATTRIBUTES_DEPTH)).is_ok());
        for depth in [ATTRIBUTES_DEPTH + 1, 10_000] {
            assert_eq!(attributes(&nested(depth)).unwrap_err().code().code(), 50304);
        }
        assert_eq!(
            small_attributes(&format!("\"{}\"", "x".repeat(4096)))
                .unwrap_err()
                .code()
                .code(),
            50303
        );
    }

    #[test]
    fn a_body_is_measured_in_bytes() {
        assert!(body(&"é".repeat(BODY_BYTES / 2)).is_ok());
        assert_eq!(
            body(&"é".repeat(BODY_BYTES / 2 + 1)).unwrap_err().code().code(),
            50504
        );
    }
}
