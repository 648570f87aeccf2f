//! The variable parts of a path, decoded once and strictly from the raw path: a name may contain anything, encoded
//! slashes included.

use hubbub_core::{
    Error, Result,
    input::{ChannelRef, MemberRef, UserRef},
    providers,
    sid::{
        AccountSid, ApiKeySid, AttributeIndexSid, AudienceSid, AuditEventSid, BindingSid, CampaignSid,
        CredentialSid, DeliverySid, InviteSid, MessageSid, OperatorPoolSid, RoleSid, ServiceSid,
        WebhookEndpointSid, WebhookSid,
    },
};
use percent_encoding::percent_decode_str;

/// The decoded parts by their names in the route's pattern.
pub(crate) struct Segments {
    parts: Vec<(String, String)>,
    path: String,
}

impl Segments {
    /// Reads `raw`, a path that matched `pattern`.
    ///
    /// # Errors
    /// 20404 when a part is not UTF-8 or has a NUL, which nothing is named with.
    pub(crate) fn of(pattern: &str, raw: &str) -> Result<Self> {
        let mut parts = Vec::new();
        for (template, given) in pattern.split('/').zip(raw.split('/')) {
            let Some((before, rest)) = template.split_once('{') else {
                continue;
            };
            let Some((name, after)) = rest.split_once('}') else {
                continue;
            };
            let text = percent_decode_str(given)
                .decode_utf8()
                .map_err(|_| missing(raw))?;
            let value = text
                .strip_prefix(before)
                .and_then(|text| text.strip_suffix(after))
                .filter(|value| !value.contains('\0'))
                .ok_or_else(|| missing(raw))?;
            parts.push((name.to_owned(), value.to_owned()));
        }
        Ok(Self {
            parts,
            path: raw.to_owned(),
        })
    }

    /// Whether the pattern has `{name}`.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.parts.iter().any(|(known, _)| known == name)
    }

    /// The part at `{name}`.
    ///
    /// # Errors
    /// 20404 when it cannot be an `S`.
    pub(crate) fn get<S: Segment>(&self, name: &str) -> Result<S> {
        self.parts
            .iter()
            .find(|(known, _)| known == name)
            .and_then(|(_, text)| S::parse(text))
            .ok_or_else(|| self.missing())
    }

    /// 20404 for the path.
    pub(crate) fn missing(&self) -> Error {
        missing(&self.path)
    }
}

/// 20404 for a path as it came in, named without its version as Twilio does.
pub(crate) fn missing(path: &str) -> Error {
    Error::not_found(path.strip_prefix("/v2").unwrap_or(path))
}

/// What a part of a path can be.
pub(crate) trait Segment: Sized {
    /// Reads the decoded text.
    fn parse(text: &str) -> Option<Self>;
}

macro_rules! sids {
    ($($sid:ty),*) => {$(
        impl Segment for $sid {
            fn parse(text: &str) -> Option<Self> {
                text.parse().ok()
            }
        }
    )*};
}

macro_rules! references {
    ($($reference:ty),*) => {$(
        impl Segment for $reference {
            fn parse(text: &str) -> Option<Self> {
                Some(text.into())
            }
        }
    )*};
}

sids!(
    AccountSid,
    ApiKeySid,
    AuditEventSid,
    ServiceSid,
    RoleSid,
    MessageSid,
    DeliverySid,
    InviteSid,
    WebhookSid,
    WebhookEndpointSid,
    CredentialSid,
    BindingSid,
    AttributeIndexSid,
    OperatorPoolSid,
    AudienceSid,
    CampaignSid
);
references!(ChannelRef, UserRef, MemberRef);

impl Segment for i64 {
    fn parse(text: &str) -> Option<Self> {
        text.parse().ok()
    }
}

impl Segment for providers::Kind {
    fn parse(text: &str) -> Option<Self> {
        Self::parse(text)
    }
}

/// A name that is to be given.
impl Segment for String {
    fn parse(text: &str) -> Option<Self> {
        Some(text.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MEMBER: &str = "/v2/Services/{ServiceSid}/Channels/{ChannelSid}/Members/{Sid}";

    fn member_of(channel: &str, member: &str) -> Result<(ChannelRef, MemberRef)> {
        let segments = Segments::of(
            MEMBER,
            &format!("/v2/Services/IS1/Channels/{channel}/Members/{member}"),
        )?;
        Ok((segments.get("ChannelSid")?, segments.get("Sid")?))
    }

    #[test]
    fn names_are_decoded_exactly_once() {
        for (channel, member, names) in [
            ("a%2Fb", "name@example.com", ("a/b", "name@example.com")),
            ("a%252Fb", "a+b", ("a%2Fb", "a+b")),
            (
                "with%20a%20blank",
                "Zo%C3%AB-%F0%9F%99%82",
                ("with a blank", "Zoë-🙂"),
            ),
            ("%3F%23%25", "a%2Bb", ("?#%", "a+b")),
        ] {
            let expected = (
                ChannelRef::Name(names.0.to_owned()),
                MemberRef::Identity(names.1.to_owned()),
            );
            assert_eq!(member_of(channel, member).unwrap(), expected);
        }
    }

    #[test]
    fn what_nothing_is_named_with_is_not_found() {
        for name in ["a%00b", "%ff%fe"] {
            assert_eq!(member_of(name, "x").unwrap_err().code().code(), 20404);
        }
        let segments = Segments::of("/v2/Services/{Sid}", "/v2/Services/nonsense").unwrap();
        let refused = segments.get::<ServiceSid>("Sid").unwrap_err();
        assert_eq!(
            refused.message(),
            "The requested resource /Services/nonsense was not found"
        );
    }

    #[test]
    fn a_suffix_of_the_pattern_is_no_part_of_the_value() {
        let sid = AccountSid::generate();
        let segments = Segments::of(
            "/2010-04-01/Accounts/{Sid}.json",
            &format!("/2010-04-01/Accounts/{sid}.json"),
        )
        .unwrap();
        assert_eq!(segments.get::<AccountSid>("Sid").unwrap(), sid);
    }
}
